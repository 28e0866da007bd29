// What the page says while it works, and when it fails.

import { $ } from "./dom.js";
import { PAGE } from "./words.js";

// An error whose message is meant for the user.
export class Failure extends Error {}

// `share` is how much is done, 0 to 1; undefined: unknown.
export function say(text, share) {
  // A screen reader reads out every change, also to the same text.
  if ($("status").textContent !== text) $("status").textContent = text;
  if (share === undefined) $("progress").removeAttribute("value");
  else $("progress").value = share;
}

export function fail(error) {
  $("failure").textContent =
    error instanceof Failure ? error.message : PAGE.strange_answer;
  $("failure").hidden = false;
  if (!(error instanceof Failure)) throw error;
}
