// The verdict and the scale of its score.

import { $, element } from "./dom.js";
import { SHORT_WORDS, percent, sentence } from "./words.js";

export function showVerdict({ media, created, verdict, warnings, model, score_meaning: meaning }) {
  $("name").textContent = media.name;
  $("created").textContent = new Date(created).toLocaleString();
  $("caution").hidden = warnings.length === 0;
  $("caution-title").textContent = model.synthetic
    ? "This model knows only drawn faces"
    : "Read this first";
  $("warnings").replaceChildren(...warnings.map((text) => element("li", {}, sentence(text))));
  $("verdict").className = `verdict ${verdict.label}`;
  $("headline").textContent = verdict.headline;
  $("cause").textContent = verdict.cause === null ? "" : sentence(verdict.cause);
  $("meaning").textContent = verdict.meaning;
  $("scale-block").hidden = verdict.score === null;
  $("score-meaning").textContent = meaning;
  if (verdict.score !== null) drawScale(verdict.score, model.decision);
}

function drawScale(score, decision) {
  const here = element("span", { class: "here" }, percent(score));
  if (score < 0.15) here.classList.add("left");
  if (score > 0.85) here.classList.add("right");
  here.style.left = `${100 * score}%`;
  const parts = zones(decision);
  const bars = parts.map(({ label, start, end }) => {
    const bar = element("span", { class: `zone ${label}` });
    bar.style.width = `${100 * (end - start)}%`;
    return bar;
  });
  $("scale").replaceChildren(...bars, here);
  $("scale").setAttribute("aria-label", `Score ${percent(score)} on a scale from real to fake`);
  $("scale-legend").replaceChildren(
    ...parts.map(({ label, start, end }) => {
      const sides = `${Math.round(100 * start)}–${Math.round(100 * end)}%`;
      const swatch = element("span", { class: `swatch ${label}` });
      const word = element("span", { class: "word" }, `${SHORT_WORDS[label]} ${sides}`);
      return element("li", { class: label }, swatch, word);
    }),
  );
}

function zones({ low, high }) {
  const sides = [0, low, high, 1].map((side) => Math.min(1, Math.max(0, side)));
  return ["real", "inconclusive", "fake"]
    .map((label, i) => ({ label, start: sides[i], end: sides[i + 1] }))
    .filter((zone) => zone.end > zone.start);
}
