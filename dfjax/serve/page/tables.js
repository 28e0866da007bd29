// The tables of persons, shots and facts, and the report to copy and as a file.

import { $, element } from "./dom.js";
import { clock, fill, momentName, parts, percent } from "./phrases.js";
import { FACTS, LEVELS, REASONS, TABLES } from "./words.js";

export function showTracks({ tracks, rule }) {
  $("tracks").hidden = tracks.length === 0;
  $("what-persons-are").textContent = fill(TABLES.what_persons_are, { rule });
  $("track-rows").replaceChildren(
    ...tracks.map((judged) =>
      row(
        judged.track + 1,
        judgement(judged),
        likelihood(judged),
        number(fill(TABLES.usable, judged)),
      ),
    ),
  );
}

export function showShots({ shots }) {
  $("shots").hidden = shots.length < 2;
  $("shot-rows").replaceChildren(
    ...shots.map(({ shot, start_s: start, end_s: end, analysed, tracks, ...judged }) =>
      row(
        shot + 1,
        analysed ? judgement(judged) : element("td", {}, TABLES.not_looked_at),
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
    ...moments.map((moment) => element("li", {}, momentName(moment))),
  );
}

const number = (text) => element("td", { class: "number" }, text);

const row = (head, ...cells) => element("tr", {}, element("th", { scope: "row" }, head), ...cells);

const likelihood = ({ score }) => number(score === null ? TABLES.no_score : percent(score));

function judgement({ level: key, reason }) {
  const level = element("strong", { class: key }, LEVELS[key]);
  const told = reason ? parts(TABLES.judged, { level, reason: REASONS[reason] }) : [level];
  return element("td", {}, ...told);
}

export function showFacts({ media, model, versions }) {
  const { name, sha256, bytes, kind } = media;
  const facts = [
    [FACTS.name, element("bdi", {}, name)],
    [FACTS.sha256, sha256],
    [FACTS.size, bytes === null ? null : fill(FACTS.bytes, { count: bytes.toLocaleString() })],
    [FACTS.kind, kind && kindOf(media)],
    [FACTS.frames, kind === "video" ? framesOf(media) : null],
    [FACTS.program, versions.dfjax],
    [FACTS.model, fill(FACTS.run_by, model)],
    [FACTS.release, model.release?.name],
    [FACTS.trained_on, model.release?.trained_on],
    [FACTS.terms, model.release?.terms],
    [FACTS.weights, model.weights],
    [FACTS.decision, decisionOf(model.decision)],
  ];
  $("facts").replaceChildren(
    ...facts
      .filter(([, value]) => value)
      .map(([name, value]) =>
        element("div", {}, element("dt", {}, name), element("dd", {}, value)),
      ),
  );
}

const rounded = (value, digits) => String(Number(value.toFixed(digits)));

function kindOf({ kind, fps, duration_s: duration, ...media }) {
  const told = [fill(FACTS[kind], media)];
  if (fps) told.push(fill(FACTS.fps, { fps: rounded(fps, 2) }));
  if (duration !== null) told.push(fill(FACTS.duration, { time: clock(duration) }));
  return told.join(", ");
}

function framesOf({ frames }) {
  const told = fill(FACTS.decoded, frames);
  return frames.declared ? `${told}, ${fill(FACTS.declared, frames)}` : told;
}

function decisionOf({ error_rate: share, ...scores }) {
  const limits = Object.entries(scores).map(([name, score]) => [name, rounded(score, 4)]);
  const values = { ...Object.fromEntries(limits), rate: rounded(100 * share, 1) };
  const forms = [FACTS.threshold, ...(scores.low < scores.high ? [FACTS.band] : []), FACTS.stricter];
  return forms.map((form) => fill(form, values)).join("; ");
}

export function offerDownload(report) {
  $("summary").textContent = report.summary;
  const link = $("download");
  if (link.href) URL.revokeObjectURL(link.href);
  const text = JSON.stringify(report, null, 2);
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `${report.media.name.replace(/[^A-Za-z0-9.-]+/g, "_")}.report.json`;
}
