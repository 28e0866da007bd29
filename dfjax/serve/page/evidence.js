// What the file says of its origin: content credentials, programs, devices and times.

import { $, element } from "./dom.js";
import { fill, parts, sentence, spaced } from "./phrases.js";
import { EVIDENCE, STATED } from "./words.js";

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
    ...claims.map(({ text }) => claim(EVIDENCE.claim, text)),
    ...others.map(({ text }) => claim(EVIDENCE.claim_of_ingredients, text)),
  );
  const count = credentials.num_ingredients;
  const rows = [
    [EVIDENCE.signed_by, [told(credentials.signer)]],
    [EVIDENCE.organization, [told(credentials.organization)]],
    [EVIDENCE.signed_on, [told(credentials.time, EVIDENCE.no_time_stamp)]],
    [EVIDENCE.written_by, [told(credentials.tool)]],
    [EVIDENCE.made_from, [fill(count === 1 ? EVIDENCE.one_file : EVIDENCE.files, { count })]],
    [EVIDENCE.edits, edits(credentials)],
  ];
  fillList("credentials", SIGNED.includes(state) ? rows : []);
}

function edits({ actions, num_actions: count }) {
  if (actions.length === 0) return [];
  const items = actions.map(({ action, source, tool, time }) => {
    const name = spaced((action ?? EVIDENCE.not_stated).replaceAll("c2pa.", ""));
    const details = [source, tool, time].filter((detail) => detail !== null);
    return element("li", {}, foreign(name), ...details.flatMap((text) => [", ", foreign(text)]));
  });
  const more = count - items.length;
  return [element("ol", {}, ...items), more > 0 ? fill(EVIDENCE.more_edits, { count: more }) : ""];
}

function showStated(stated) {
  $("stated-caution").textContent = stated ? EVIDENCE.anybody : EVIDENCE.unread;
  const rows = Object.entries(STATED).map(([key, name]) => [name, lines([stated?.[key]].flat())]);
  rows.push([EVIDENCE.position, stated?.has_position ? [EVIDENCE.has_position] : []]);
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

const told = (text, otherwise = EVIDENCE.not_stated) => (text === null ? otherwise : foreign(text));

const lines = (texts) =>
  texts.filter(Boolean).flatMap((text, i) => (i ? [element("br"), foreign(text)] : [foreign(text)]));

const claim = (form, text) =>
  element("p", { class: "claim" }, ...parts(form, { claim: element("strong", {}, text) }));
