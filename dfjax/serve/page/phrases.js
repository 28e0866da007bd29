// Scores, times and places as phrases of the catalogue, as `dfjax.phrases` makes them of it.

import { FORGERIES, PHRASES, SCOPE } from "./words.js";

// A text of the catalogue with what belongs into its braces, which may be elements: parts to append.
export const parts = (text, values) =>
  text.split(/\{(\w+)\}/).map((part, i) => (i % 2 ? values[part] : part));

export const fill = (text, values) => parts(text, values).join("");

export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

export const spaced = (code) => code.replaceAll("_", " ");

export function percent(score) {
  if (score > 0.99) return PHRASES.over;
  return score < 0.01 ? PHRASES.under : fill(PHRASES.percent, { number: Math.round(100 * score) });
}

export function clock(seconds) {
  const tenths = Math.round(10 * seconds);
  const rest = String(Math.floor(tenths / 10) % 60).padStart(2, "0");
  return `${Math.floor(tenths / 600)}:${rest}.${tenths % 10}`;
}

export const frameName = (number) => fill(PHRASES.frame, { number });

// When an analyzed frame is shown.
export const timeName = ({ frame, time_s: time }) =>
  time === null ? frameName(frame) : clock(time);

export const personName = (track) => fill(PHRASES.person, { number: track + 1 });

// Whom a moment of a report shows, and when.
function placeName({ track, shots, first_s: first, last_s: last }) {
  const told = [personName(track)];
  const numbers = shots.map((shot) => shot + 1);
  if (numbers.length === 1) told.push(fill(PHRASES.shot, { number: numbers[0] }));
  if (numbers.length > 1) told.push(fill(PHRASES.shots, { numbers: numbers.join(", ") }));
  if (first !== null) told.push(fill(PHRASES.span, { start: clock(first), end: clock(last) }));
  return told.join(", ");
}

export const momentName = (moment) =>
  sentence(fill(PHRASES.moment, { place: placeName(moment), percent: percent(moment.score) }));

// What a model was shown, and what it may therefore miss.
export function scopeName({ forgeries, others }) {
  if (!forgeries) return SCOPE.unknown;
  const list = (names) => names.map((name) => FORGERIES[name] ?? name).join(", ");
  const known = fill(SCOPE.known, { forgeries: list(forgeries) });
  return others.length ? `${known} ${fill(SCOPE.missed, { forgeries: list(others) })}` : known;
}
