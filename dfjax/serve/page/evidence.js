// What the file says of its origin: content credentials, programs, devices and times.

import { $, element } from "./dom.js";
import { sentence, spaced } from "./words.js";

const SIGNED = ["trusted", "untrusted", "unknown_signer", "broken"];

export function showEvidence({ evidence }) {
  $("evidence").hidden = evidence === null;
  if (evidence === null) return;
  showCredentials(evidence.content_credentials);
  showStated(evidence.stated);
}

function showCredentials(credentials) {
  const { state, failures, ai_sources: claims, ai_sources_of_ingredients: others } = credentials;
  $("credentials-headline").textContent = `${credentials.headline}.`;
  $("credentials-meaning").textContent = credentials.meaning;
  $("credentials-failures").hidden = failures.length === 0;
  $("credentials-failures").replaceChildren(
    ...failures.map(({ code, text }) =>
      element("li", {}, sentence(text), " ", element("bdi", { class: "quiet" }, code)),
    ),
  );
  $("credentials-claims").replaceChildren(
    ...claims.map(({ text }) => claim("The credentials say of this file: ", text)),
    ...others.map(({ text }) => claim("They say of what it was made from: ", text)),
  );
  const count = credentials.num_ingredients;
  const rows = [
    ["signed by", [told(credentials.signer)]],
    ["organization", [told(credentials.organization)]],
    ["signed on", [told(credentials.time, "without a time stamp of a third party")]],
    ["written by", [told(credentials.tool)]],
    ["made from", [`${count} other file${count === 1 ? "" : "s"}`]],
    ["edits", edits(credentials)],
  ];
  fillList("credentials", SIGNED.includes(state) ? rows : []);
}

function edits({ actions, num_actions: count }) {
  if (actions.length === 0) return [];
  const items = actions.map(({ action, source, tool, time }) => {
    const name = spaced((action ?? "not stated").replaceAll("c2pa.", ""));
    const details = [source, tool, time].filter((detail) => detail !== null);
    return element("li", {}, foreign(name), ...details.flatMap((text) => [", ", foreign(text)]));
  });
  const more = count > items.length ? [`and ${count - items.length} more`] : [];
  return [element("ol", {}, ...items), ...more];
}

function showStated(stated) {
  $("stated-caution").textContent = stated
    ? "As the file states them; anybody can write them."
    : "They could not be read.";
  const names = ["format", "codec", "profile", "make", "model", "software", "created", "taken"];
  const rows = names.map((name) => [name, lines([stated?.[name]])]);
  for (const name of ["encoders", "handlers"]) rows.push([name, lines(stated?.[name] ?? [])]);
  rows.push(["position", stated?.has_position ? ["stated, and not read here"] : []]);
  fillList("stated", rows);
}

function fillList(id, rows) {
  $(id).replaceChildren(
    ...rows
      .filter(([, parts]) => parts.length > 0)
      .map(([name, parts]) =>
        element("div", {}, element("dt", {}, name), element("dd", {}, ...parts)),
      ),
  );
}

const foreign = (text) => element("bdi", {}, text);

const told = (text, otherwise = "not stated") => (text === null ? otherwise : foreign(text));

const lines = (texts) =>
  texts.filter(Boolean).flatMap((text, i) => (i ? [element("br"), foreign(text)] : [foreign(text)]));

const claim = (start, text) =>
  element("p", { class: "claim" }, start, element("strong", {}, text), ".");
