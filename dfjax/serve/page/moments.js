// The report that is shown, and its moments: the analyzed frames with a face.

import { fill, percent } from "./phrases.js";
import { BOXES, FLAWS, LABELS } from "./words.js";

// `player` is the video element, null for a picture.
export const view = { report: null, player: null };

// Where a moment lies in the video, 0 to 1.
export function along(entry) {
  const { duration_s: duration, frames } = view.report.media;
  return entry.time_s === null ? entry.frame / frames.decoded : entry.time_s / duration;
}

// The index of the moment next to a place in the video, 0 to 1.
export function nearest(share) {
  const distance = (i) => Math.abs(along(view.report.timeline[i]) - share);
  return view.report.timeline.reduce((best, _, i) => (distance(i) < distance(best) ? i : best), 0);
}

export function labelOf(track) {
  return view.report.tracks.find((entry) => entry.track === track).label;
}

// The label is that of the whole track, the percentage that of this one frame.
export function describe({ track, score, quality }, who, form) {
  if (quality !== null) return fill(BOXES.not_judged, { who, flaw: FLAWS[quality] });
  return fill(form, { who, label: LABELS[labelOf(track)], percent: percent(score) });
}
