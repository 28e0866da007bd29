// The verdict and the scale of its score.

import { $, element } from "./dom.js";
import { fill, percent, scopeName, sentence } from "./phrases.js";
import { RESULT, SHORT_LEVELS } from "./words.js";

// The levels along the scores, and the side of the decision where each begins.
const ZONES = [
  ["none_found", null],
  ["no_verdict", "low"],
  ["moderate", "high"],
  ["strong", "strong"],
  ["very_strong", "very_strong"],
];

export function showVerdict({ media, created, verdict, warnings, model, scope }) {
  $("name").textContent = media.name;
  $("created").textContent = new Date(created).toLocaleString();
  $("caution").hidden = warnings.length === 0;
  $("caution-title").textContent = model.synthetic
    ? RESULT.drawn_faces
    : RESULT.read_first;
  $("warnings").replaceChildren(...warnings.map((text) => element("li", {}, sentence(text))));
  $("verdict").className = `verdict ${verdict.level}`;
  $("headline").textContent = verdict.headline;
  $("cause").textContent = verdict.cause === null ? "" : sentence(verdict.cause);
  $("meaning").textContent = verdict.meaning;
  $("scale-block").hidden = verdict.score === null;
  $("scope").textContent = scopeName(scope);
  if (verdict.score !== null) drawScale(verdict.score, model.decision);
}

function drawScale(score, decision) {
  const here = element("span", { class: "here" }, percent(score));
  if (score < 0.15) here.classList.add("left");
  if (score > 0.85) here.classList.add("right");
  here.style.left = `${100 * score}%`;
  const parts = zones(decision);
  const bars = parts.map(({ level, start, end }) => {
    const bar = element("span", { class: `zone ${level}` });
    bar.style.width = `${100 * (end - start)}%`;
    return bar;
  });
  $("scale").replaceChildren(...bars, here);
  $("scale").setAttribute("aria-label", fill(RESULT.scale, { percent: percent(score) }));
  $("scale-legend").replaceChildren(
    ...parts.map(({ level, start, end }) => {
      const sides = { start: Math.round(100 * start), end: Math.round(100 * end) };
      const name = fill(RESULT.zone, { level: SHORT_LEVELS[level], ...sides });
      const swatch = element("span", { class: `swatch ${level}` });
      const word = element("span", { class: "word" }, name);
      return element("li", { class: level }, swatch, word);
    }),
  );
}

function zones(decision) {
  const inside = (side) => Math.min(1, Math.max(0, side));
  const starts = ZONES.map(([, side]) => (side === null ? 0 : inside(decision[side])));
  return ZONES.map(([level], i) => ({
    level,
    start: starts[i],
    end: starts[i + 1] ?? 1,
  })).filter((zone) => zone.end > zone.start);
}
