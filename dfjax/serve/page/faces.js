// The faces that spoke most for a manipulation and against, with or without their heat maps.

import { $, element } from "./dom.js";
import { choose } from "./media.js";
import { view } from "./moments.js";
import { fill, parts, percent, personName, timeName } from "./phrases.js";
import { PAGE, RESULT } from "./words.js";

export function showFaces({ strongest, weakest, media }) {
  $("faces").hidden = strongest.length === 0;
  $("weakest-title").hidden = weakest.length === 0;
  $("heat-block").hidden = !strongest.some((face) => face.heat_map);
  for (const [id, faces] of Object.entries({ strongest, weakest })) {
    $(id).replaceChildren(...faces.map((face) => faceFigure(face, media.kind)));
  }
  switchHeat();
}

function faceFigure(face, kind) {
  const where = `${personName(face.track)}${kind === "video" ? `, ${timeName(face)}` : ""}`;
  const picture = element("img", { width: 256, height: 256 });
  Object.assign(picture.dataset, { crop: face.crop, heat: face.heat_map ?? "", where });
  const score = element("b", {}, percent(face.score));
  const caption = element("figcaption", {}, ...parts(PAGE.face, { percent: score, where }));
  if (kind === "video") {
    const button = element("button", { type: "button" }, PAGE.show);
    button.setAttribute("aria-label", fill(PAGE.show_where, { where }));
    button.addEventListener("click", () => {
      choose(view.report.timeline.findIndex((entry) => entry.frame === face.frame));
      $("media").scrollIntoView();
    });
    caption.append(element("br"), button);
  }
  return element("figure", {}, picture, caption);
}

export function switchHeat() {
  for (const picture of $("faces").querySelectorAll("img")) {
    const { crop, heat, where } = picture.dataset;
    const isHeat = $("heat").checked && heat !== "";
    picture.src = isHeat ? heat : crop;
    picture.alt = fill(isHeat ? PAGE.heat_map : RESULT.face, { where });
  }
}
