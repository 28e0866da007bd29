// The tables of persons, shots and facts, and the report to copy and as a file.

import { $, element } from "./dom.js";
import { clock, percent, placeName, sentence } from "./words.js";

export function showTracks({ tracks, rule, words }) {
  $("tracks").hidden = tracks.length === 0;
  $("rule").textContent = rule;
  $("track-rows").replaceChildren(
    ...tracks.map(({ track, usable, faces, ...judged }) =>
      row(track + 1, judgement(judged, words), likelihood(judged), number(`${usable} of ${faces}`)),
    ),
  );
}

export function showShots({ shots, words }) {
  $("shots").hidden = shots.length < 2;
  $("shot-rows").replaceChildren(
    ...shots.map(({ shot, start_s: start, end_s: end, analysed, tracks, ...judged }) =>
      row(
        shot + 1,
        analysed ? judgement(judged, words) : element("td", {}, "not looked at"),
        likelihood(judged),
        number(clock(start)),
        number(clock(end)),
        element("td", {}, tracks.map((track) => track + 1).join(", ")),
      ),
    ),
  );
}

export function showMoments({ moments }) {
  $("moments").hidden = moments.length === 0;
  $("moment-list").replaceChildren(
    ...moments.map((moment) => {
      const text = `${placeName(moment)}, likelihood ${percent(moment.score)}`;
      return element("li", {}, sentence(text));
    }),
  );
}

const number = (text) => element("td", { class: "number" }, text);

const row = (head, ...cells) => element("tr", {}, element("th", { scope: "row" }, head), ...cells);

const likelihood = ({ score }) => number(score === null ? "–" : percent(score));

function judgement({ level, reason }, words) {
  const name = element("strong", { class: level }, words.levels[level]);
  return element("td", {}, name, reason ? `: ${words.reasons[reason]}` : "");
}

export function showFacts({ media, model, versions }) {
  const { decoded, analysed } = media.frames;
  const { threshold, low, high } = model.decision;
  const band = low < high ? `; no verdict from ${low.toFixed(3)} to ${high.toFixed(3)}` : "";
  const facts = [
    ["name", element("bdi", {}, media.name)],
    ["SHA-256", media.sha256],
    ["size", media.bytes === null ? null : `${media.bytes.toLocaleString()} bytes`],
    ["kind", media.kind && `${media.kind}, ${media.width} × ${media.height} pixels`],
    ["frames", media.kind === "video" ? `${analysed} analysed of ${decoded}` : null],
    ["dfjax", versions.dfjax],
    ["model", `${model.name}, step ${model.step}, run by ${model.runtime}`],
    ["released as", model.release?.name],
    ["trained on", model.release?.trained_on],
    ["terms", model.release?.terms],
    ["weights, SHA-256", model.weights],
    ["decision", `threshold ${threshold.toFixed(3)}${band}`],
  ];
  $("facts").replaceChildren(
    ...facts
      .filter(([, value]) => value)
      .map(([name, value]) =>
        element("div", {}, element("dt", {}, name), element("dd", {}, value)),
      ),
  );
}

export function offerDownload(report) {
  $("summary").textContent = report.summary;
  const link = $("download");
  if (link.href) URL.revokeObjectURL(link.href);
  const text = JSON.stringify(report, null, 2);
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `${report.media.name.replace(/[^A-Za-z0-9.-]+/g, "_")}.report.json`;
}
