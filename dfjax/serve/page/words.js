// Scores, times and places in words, as the report of `dfjax predict` has them; the words of
// levels, labels and reasons are in the report itself.

export function percent(score) {
  if (score > 0.99) return "over 99%";
  return score < 0.01 ? "under 1%" : `${Math.round(100 * score)}%`;
}

export function clock(seconds) {
  const tenths = Math.round(10 * seconds);
  const rest = String(Math.floor(tenths / 10) % 60).padStart(2, "0");
  return `${Math.floor(tenths / 600)}:${rest}.${tenths % 10}`;
}

export const spaced = (code) => code.replaceAll("_", " ");

export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

export const personName = (track) => `person ${track + 1}`;

// Whom a moment of a report shows, and when.
export function placeName({ track, shots, first_s: first, last_s: last }) {
  const parts = [personName(track)];
  if (shots.length) {
    parts.push(`shot${shots.length > 1 ? "s" : ""} ${shots.map((shot) => shot + 1).join(", ")}`);
  }
  if (first !== null) parts.push(`${clock(first)} to ${clock(last)}`);
  return parts.join(", ");
}

// What a model was shown, and what it may therefore miss.
export function scopeWords({ forgeries, others }) {
  if (!forgeries) return "Which forgeries the model was shown is not stated.";
  const missed = others.length ? ` It was not shown, and may miss: ${others.join(", ")}.` : "";
  return `Forgeries that the model was shown: ${forgeries.join(", ")}.${missed}`;
}

export function momentName(entry) {
  return entry.time_s === null ? `frame ${entry.frame}` : clock(entry.time_s);
}
