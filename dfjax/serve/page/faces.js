// The faces that spoke most for a manipulation and against, with or without their heat maps.

import { $, element } from "./dom.js";
import { choose } from "./media.js";
import { view } from "./moments.js";
import { momentName, percent, personName } from "./words.js";

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
  const where = `${personName(face.track)}${kind === "video" ? `, ${momentName(face)}` : ""}`;
  const picture = element("img", { width: 256, height: 256 });
  Object.assign(picture.dataset, { crop: face.crop, heat: face.heat_map ?? "", where });
  const words = element("figcaption", {}, element("b", {}, percent(face.score)), ` ${where}`);
  if (kind === "video") {
    const button = element("button", { type: "button" }, "Show in the video");
    button.setAttribute("aria-label", `Show ${where} in the video`);
    button.addEventListener("click", () => {
      choose(view.report.timeline.findIndex((entry) => entry.frame === face.frame));
      $("media").scrollIntoView();
    });
    words.append(element("br"), button);
  }
  return element("figure", {}, picture, words);
}

export function switchHeat() {
  for (const picture of $("faces").querySelectorAll("img")) {
    const { crop, heat, where } = picture.dataset;
    const isHeat = $("heat").checked && heat !== "";
    picture.src = isHeat ? heat : crop;
    picture.alt = isHeat ? `Heat map over the face of ${where}` : `Face of ${where}`;
  }
}
