// The chart of scores over the time of a video.

import { $, drawing, element } from "./dom.js";
import { along, view } from "./moments.js";
import { clock, frameName, personName } from "./phrases.js";

const CHART_HEIGHT = 200;
const SHAPES = [
  null, // a circle
  "M0-5.5L5.5 4.5H-5.5Z",
  "M-4.5-4.5H4.5V4.5H-4.5Z",
  "M0-6L6 0L0 6L-6 0Z",
  "M-5-2H-2V-5H2V-2H5V2H2V5H-2V2H-5Z",
];

export function drawTimeline(report) {
  const { duration_s: duration, frames } = report.media;
  const name = (share) =>
    duration ? clock(duration * share) : frameName(Math.floor(frames.decoded * share));
  const anchors = ["start", "middle", "middle", "middle", "end"];
  const ticks = anchors.map((anchor, i) => {
    const place = { x: `${25 * i}%`, y: CHART_HEIGHT + 22, "text-anchor": anchor };
    return drawing("text", { ...place, class: i % 2 ? "between" : "" }, name(i / 4));
  });
  const numbers = report.tracks.map(({ track }) => track);
  const chart = drawing(
    "svg",
    { width: "100%", height: CHART_HEIGHT, "aria-hidden": "true" },
    ...[0, 0.25, 0.5, 0.75, 1].flatMap(gridLine),
    ...decisionMarks(report.model.decision),
    ...(duration ? [...cuts(report, duration), ...spans(report, duration)] : []),
    ...ticks,
    ...numbers.map(trackLine),
    drawing("line", { id: "cursor", class: "cursor", y1: -6, y2: CHART_HEIGHT, x1: 0, x2: 0 }),
  );
  $("timeline").replaceChildren(chart);
  $("timeline").setAttribute("aria-valuemax", view.report.timeline.length - 1);
  $("timeline-legend").replaceChildren(...numbers.map(legendEntry));
}

const level = (score) => CHART_HEIGHT * (1 - Math.min(1, Math.max(0, score)));

function across(name, score) {
  return drawing("line", { class: name, x1: 0, x2: "100%", y1: level(score), y2: level(score) });
}

function gridLine(score) {
  const place = { x: -8, y: level(score) + 4, "text-anchor": "end" };
  return [across("grid", score), drawing("text", place, `${100 * score}%`)];
}

function decisionMarks({ threshold, low, high }) {
  const height = Math.max(0, level(low) - level(high));
  const band = { class: "band", x: 0, width: "100%", y: level(high), height };
  return [drawing("rect", band), across("threshold", threshold)];
}

function cuts({ shots }, duration) {
  return shots.slice(1).map(({ start_s: start }) => {
    const x = `${(100 * start) / duration}%`;
    return drawing("line", { class: "cut", x1: x, x2: x, y1: 0, y2: CHART_HEIGHT });
  });
}

// Where a person looks manipulated for a while.
function spans({ moments }, duration) {
  return moments.map(({ track, first_s: first, last_s: last }) => {
    const place = { x: `${(100 * first) / duration}%`, width: `${(100 * (last - first)) / duration}%` };
    const name = `span t${track % SHAPES.length}`;
    return drawing("rect", { class: name, y: 0, height: CHART_HEIGHT, ...place });
  });
}

function pointsOf(track) {
  return view.report.timeline.flatMap((entry) =>
    entry.faces
      .filter((face) => face.track === track)
      .map(({ score, quality }) => ({
        x: 100 * along(entry),
        y: level(score),
        isUsed: quality === null,
      })),
  );
}

function trackLine(track) {
  const points = pointsOf(track);
  const path = points.filter((point) => point.isUsed).map(({ x, y }) => `${x},${y}`);
  const frame = { width: "100%", height: CHART_HEIGHT, viewBox: `0 0 100 ${CHART_HEIGHT}` };
  const line = drawing("polyline", { points: path.join(" ") });
  const marks = points.map(({ x, y, isUsed }) => {
    const name = isUsed ? "point" : "point unused";
    return drawing("svg", { x: `${x}%`, y, class: name }, mark(track));
  });
  const stretched = drawing("svg", { ...frame, preserveAspectRatio: "none" }, line);
  return drawing("g", { class: `t${track % SHAPES.length}` }, stretched, ...marks);
}

function mark(track) {
  const round = Math.floor(track / SHAPES.length); // two of one color get different shapes
  const shape = SHAPES[(track + round) % SHAPES.length];
  return shape ? drawing("path", { d: shape }) : drawing("circle", { r: 4.5 });
}

function legendEntry(track) {
  const sign = drawing("svg", { viewBox: "-7 -7 14 14", class: "point", "aria-hidden": "true" });
  sign.append(mark(track));
  const word = element("span", { class: "word" }, ` ${personName(track)}`);
  return element("li", { class: `t${track % SHAPES.length}` }, sign, word);
}
