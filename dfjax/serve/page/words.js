// Labels, scores and times in words, as the report of `dfjax predict` has them.

export const WORDS = {
  real: "no sign of manipulation",
  fake: "probably manipulated",
  inconclusive: "no verdict",
};

export const SHORT_WORDS = { ...WORDS, real: "real", fake: "fake" };

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

export function momentName(entry) {
  return entry.time_s === null ? `frame ${entry.frame}` : clock(entry.time_s);
}
