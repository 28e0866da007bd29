// A file goes to the server; its report comes back and is shown next to the file.
//
// Names, messages and everything else from outside reach the page as text, never as markup.

import { closeCamera, openCamera, takePicture } from "./camera.js";
import { $ } from "./dom.js";
import { showEvidence } from "./evidence.js";
import { showFaces, switchHeat } from "./faces.js";
import { chooseByKey, chooseByPointer, playOrPause, showMedia } from "./media.js";
import { analyze } from "./server.js";
import { fail, say } from "./status.js";
import { offerDownload, showFacts, showMoments, showShots, showTracks } from "./tables.js";
import { showVerdict } from "./verdict.js";
import { PAGE } from "./words.js";

let running = null; // AbortController of the file that is being analyzed

async function take(file) {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  closeCamera();
  $("failure").hidden = $("result").hidden = true;
  $("busy").hidden = false;
  say(PAGE.sending);
  try {
    show(file, await analyze(file, mine.signal));
  } catch (error) {
    if (!mine.signal.aborted) fail(error);
  } finally {
    if (running === mine) $("busy").hidden = true;
  }
}

function show(file, report) {
  $("result").hidden = false;
  showVerdict(report);
  showMedia(file, report);
  showFaces(report);
  showMoments(report);
  showShots(report);
  showTracks(report);
  showEvidence(report);
  showFacts(report);
  offerDownload(report);
  $("headline").focus({ preventScroll: true });
  $("result").scrollIntoView();
}

function chooseAnother() {
  $("result").hidden = true;
  $("file").value = "";
  $("file").focus();
  $("choose").scrollIntoView();
}

function cancel() {
  running.abort();
  $("busy").hidden = true;
  $("file").value = "";
  $("file").focus();
}

function drop(event) {
  event.preventDefault();
  $("choose").classList.remove("over");
  if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
}

$("file").addEventListener("change", () => $("file").files.length && take($("file").files[0]));
$("cancel").addEventListener("click", cancel);
$("again").addEventListener("click", chooseAnother);
$("copy").hidden = !navigator.clipboard; // browsers allow it on https and localhost
$("copy").addEventListener("click", () => navigator.clipboard.writeText($("summary").textContent));
$("print").addEventListener("click", () => print());
$("heat").addEventListener("change", switchHeat);
$("play").addEventListener("click", playOrPause);
$("camera-open").hidden = !navigator.mediaDevices; // browsers allow it on https and localhost
$("camera-open").addEventListener("click", openCamera);
$("camera-close").addEventListener("click", closeCamera);
$("camera-take").addEventListener("click", async () => take(await takePicture()));
$("timeline").addEventListener("keydown", chooseByKey);
$("timeline").addEventListener("pointerdown", (event) => {
  $("timeline").setPointerCapture(event.pointerId);
  chooseByPointer(event);
});
$("timeline").addEventListener("pointermove", (event) => event.buttons && chooseByPointer(event));
// A file dropped outside the field would replace the page.
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("dragenter", () => $("choose").classList.add("over"));
addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) $("choose").classList.remove("over"); // left the window
});
addEventListener("drop", drop);
