// The picture or video with its boxes, and the choice of a moment.

import { $, drawing, element } from "./dom.js";
import { along, describe, labelOf, nearest, view } from "./moments.js";
import { fill, personName, sentence, timeName } from "./phrases.js";
import { drawTimeline } from "./timeline.js";
import { BOXES, PAGE } from "./words.js";

let url = null; // of the file that is shown

export function showMedia(file, report) {
  if (url) URL.revokeObjectURL(url);
  url = URL.createObjectURL(file);
  Object.assign(view, { report, player: null });
  const { kind, width, height } = report.media;
  $("media").hidden = kind === null;
  $("stage").querySelector("img, video")?.remove();
  $("unplayable").hidden = true;
  $("time").hidden = kind !== "video" || report.timeline.length === 0;
  $("boxes").replaceChildren();
  if (kind === null) return;
  $("stage").style.aspectRatio = `${width} / ${height}`;
  $("stage").style.maxWidth = `calc(75vh * ${width / height})`;
  const isVideo = kind === "video";
  const visual = isVideo ? makePlayer() : element("img", { alt: PAGE.your_picture });
  visual.addEventListener("error", () => {
    $("unplayable").hidden = false;
    $("play").hidden = true;
    visual.remove();
  });
  visual.src = url;
  $("stage").prepend(visual);
  if (report.timeline.length) {
    if (isVideo) drawTimeline(report);
    choose(0);
  }
}

function makePlayer() {
  // Its own controls would cover the faces.
  const player = element("video", { playsinline: "", preload: "auto" });
  player.setAttribute("aria-label", PAGE.your_video);
  const moved = () => followPlayer(player);
  for (const name of ["timeupdate", "seeked"]) player.addEventListener(name, moved);
  for (const name of ["play", "pause"]) {
    player.addEventListener(name, () => {
      $("play").textContent = player.paused ? PAGE.play : PAGE.pause;
    });
  }
  $("play").hidden = false;
  $("play").textContent = PAGE.play;
  view.player = player;
  return player;
}

export function playOrPause() {
  if (view.player.paused) view.player.play();
  else view.player.pause();
}

function drawBoxes(entry) {
  const { width, height } = view.report.media;
  const box = (face, name) => {
    const [x0, y0, x1, y1] = face.box.map((side, i) => (100 * side) / (i % 2 ? height : width));
    const place = { x: `${x0}%`, y: `${y0}%`, width: `${x1 - x0}%`, height: `${y1 - y0}%` };
    return drawing("rect", { class: name, rx: 3, ...place });
  };
  const text = (face) => {
    const isRight = face.box[0] > 0.6 * width; // its text ends where the box ends: there is more room
    const x = (100 * Math.min(width, Math.max(0, face.box[isRight ? 2 : 0]))) / width;
    const y = (100 * Math.max(0, face.box[1])) / height;
    const anchor = isRight ? { dx: -6, "text-anchor": "end" } : { dx: 6 };
    const place = { x: `${x}%`, y: `${y}%`, dy: y > 8 ? -9 : 19 };
    return drawing("text", { ...place, ...anchor }, describe(face, face.track + 1, BOXES.picture));
  };
  $("boxes").replaceChildren(
    ...(entry?.faces ?? []).map((face) =>
      drawing(
        "g",
        { class: labelOf(face.track) },
        box(face, "halo"),
        box(face, "line"),
        text(face),
      ),
    ),
  );
}

export function choose(index) {
  const entry = view.report.timeline[index];
  if (view.report.media.kind === "video") markMoment(index, along(entry));
  drawBoxes(entry);
  const player = view.player;
  if (!player) return;
  player.pause();
  const { fps, duration_s: duration } = view.report.media;
  // The middle of the frame's time: at its very start, players show the frame before.
  const time = along(entry) * (duration ?? player.duration) + (fps ? 0.5 / fps : 0);
  if (Number.isFinite(time)) player.currentTime = time;
}

function markMoment(index, share) {
  const entry = view.report.timeline[index];
  const faces = entry.faces.map((face) => describe(face, personName(face.track), BOXES.frame));
  const told = fill(PAGE.faces_at, { time: timeName(entry), faces: faces.join("; ") });
  $("timeline").setAttribute("aria-valuenow", index);
  $("timeline").setAttribute("aria-valuetext", told);
  $("moment").textContent = sentence(told);
  for (const end of ["x1", "x2"]) $("cursor")?.setAttribute(end, `${100 * share}%`);
}

function followPlayer(player) {
  if (player !== view.player || !view.report.timeline.length || !player.duration) return;
  const { fps, duration_s: duration, frames } = view.report.media;
  const now = player.currentTime;
  const start = fps ? Math.floor(now * fps) / fps : now; // of the frame that is visible
  const share = Math.min(1, start / (duration ?? player.duration));
  const index = nearest(share);
  markMoment(index, share);
  // Far from every analyzed frame with a face, boxes would be wrong: show none.
  const isNear = Math.abs(along(view.report.timeline[index]) - share) <= 1 / frames.analysed;
  drawBoxes(isNear ? view.report.timeline[index] : null);
}

export function chooseByPointer(event) {
  const area = $("timeline").querySelector("svg").getBoundingClientRect();
  choose(nearest((event.clientX - area.left) / area.width));
}

export function chooseByKey(event) {
  const last = view.report.timeline.length - 1;
  const now = Number($("timeline").getAttribute("aria-valuenow"));
  const goal = {
    ArrowLeft: now - 1,
    ArrowDown: now - 1,
    ArrowRight: now + 1,
    ArrowUp: now + 1,
    PageDown: now - 5,
    PageUp: now + 5,
    Home: 0,
    End: last,
  }[event.key];
  if (goal === undefined) return;
  event.preventDefault();
  choose(Math.min(last, Math.max(0, goal)));
}
