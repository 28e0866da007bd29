// The tables of tracks and facts, and the report as a file.

import { $, element } from "./dom.js";
import { WORDS, percent, sentence, spaced } from "./words.js";

export function showTracks({ tracks, rule }) {
  $("tracks").hidden = tracks.length === 0;
  $("rule").textContent = sentence(rule);
  $("track-rows").replaceChildren(
    ...tracks.map(({ track, label, reason, score, usable, faces }) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, track),
        element(
          "td",
          {},
          element("strong", { class: label }, WORDS[label]),
          reason ? `: ${spaced(reason)}` : "",
        ),
        element("td", { class: "number" }, score === null ? "–" : percent(score)),
        element("td", { class: "number" }, `${usable} of ${faces}`),
      ),
    ),
  );
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
  const link = $("download");
  if (link.href) URL.revokeObjectURL(link.href);
  const text = JSON.stringify(report, null, 2);
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `${report.media.name.replace(/[^A-Za-z0-9.-]+/g, "_")}.report.json`;
}
