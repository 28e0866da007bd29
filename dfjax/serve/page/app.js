// A file goes to the server, its report comes back and is shown beside the file.
//
// Names, messages and everything else from outside reach the page as text, never as markup.

const MAX_DIRECT_BYTES = 8 * 2 ** 20; // a larger file becomes a job, which is asked after
const POLL_MS = 1000;
const BUSY_SECONDS = 5; // to wait where a busy server names no time
const CHART_HEIGHT = 200;
const SHAPES = [
  null, // a circle
  "M0-5.5L5.5 4.5H-5.5Z",
  "M-4.5-4.5H4.5V4.5H-4.5Z",
  "M0-6L6 0L0 6L-6 0Z",
  "M-5-2H-2V-5H2V-2H5V2H2V5H-2V2H-5Z",
];
const WORDS = {
  real: "no sign of manipulation",
  fake: "probably manipulated",
  inconclusive: "no verdict",
};
const SHORT_WORDS = { ...WORDS, real: "real", fake: "fake" };

const $ = (id) => document.getElementById(id);

let running = null; // AbortController of the file that is being analysed
let shown = null; // { file, url, report, player, moments }

// Making elements

function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function drawing(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// Words

function percent(score) {
  if (score > 0.99) return "over 99%";
  return score < 0.01 ? "under 1%" : `${Math.round(100 * score)}%`;
}

function clock(seconds) {
  const tenths = Math.round(10 * seconds);
  const rest = String(Math.floor(tenths / 10) % 60).padStart(2, "0");
  return `${Math.floor(tenths / 600)}:${rest}.${tenths % 10}`;
}

const spaced = (code) => code.replaceAll("_", " ");

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

function momentName(entry) {
  return entry.time_s === null ? `frame ${entry.frame}` : clock(entry.time_s);
}

// Talking to the server

class Failure extends Error {}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

// XMLHttpRequest, because fetch does not tell how much of an upload is done.
function exchange(method, address, body, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      if (event.loaded < event.total) say("Sending the file.", event.loaded / event.total);
      else say("Looking for faces and judging them.");
    });
    request.addEventListener("load", () => resolve(request));
    const lost = "The server cannot be reached, or does not take a file of this size.";
    request.addEventListener("error", () => reject(new Failure(lost)));
    signal?.addEventListener("abort", () => {
      request.abort();
      reject(signal.reason);
    });
    request.send(body);
  });
}

async function ask(method, address, body, signal) {
  for (;;) {
    const request = await exchange(method, address, body, signal);
    if (request.status < 400 && request.response) return request.response;
    const wait = request.getResponseHeader("Retry-After");
    if (request.status !== 429 && !(request.status === 503 && wait)) {
      const message = request.response?.error?.message;
      throw new Failure(message ? sentence(message) : `The server answered ${request.status}.`);
    }
    const seconds = Number(wait) || BUSY_SECONDS;
    say(`The server is busy, trying again in ${seconds} s.`);
    await pause(1000 * seconds, signal);
  }
}

async function analyse(file, signal) {
  const form = new FormData();
  form.append("file", file, file.name);
  if (file.size <= MAX_DIRECT_BYTES) return ask("POST", "/v1/detect", form, signal);
  const { id } = await ask("POST", "/v1/jobs", form, signal);
  const address = `/v1/jobs/${encodeURIComponent(id)}`;
  try {
    return await follow(address, signal);
  } finally {
    exchange("DELETE", address).catch(() => {}); // the server forgets it later in any case
  }
}

async function follow(address, signal) {
  for (;;) {
    const job = await ask("GET", address, null, signal);
    if (job.status === "done") return job.report;
    if (job.status === "failed") throw new Failure(sentence(job.error.message));
    if (job.status === "queued") say("Waiting for its turn.");
    else say("Looking for faces and judging them.", job.progress);
    await pause(POLL_MS, signal);
  }
}

// `share` is how much is done, 0 to 1; without it nobody knows.
function say(text, share) {
  if ($("status").textContent !== text) $("status").textContent = text; // or it is read out anew
  if (share === undefined) $("progress").removeAttribute("value");
  else $("progress").value = share;
}

// From a file to its report

async function take(file) {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  closeCamera();
  $("failure").hidden = $("result").hidden = true;
  $("busy").hidden = false;
  say("Sending the file.");
  try {
    show(file, await analyse(file, mine.signal));
  } catch (error) {
    if (!mine.signal.aborted) fail(error);
  } finally {
    if (running === mine) $("busy").hidden = true;
  }
}

function fail(error) {
  $("failure").textContent =
    error instanceof Failure ? error.message : "The answer of the server cannot be shown.";
  $("failure").hidden = false;
  if (!(error instanceof Failure)) throw error;
}

function show(file, report) {
  if (shown) URL.revokeObjectURL(shown.url);
  shown = { file, url: URL.createObjectURL(file), report, player: null, moments: report.timeline };
  $("result").hidden = false;
  showVerdict(report);
  showMedia(report);
  showFaces(report);
  showTracks(report);
  showFacts(report);
  offerDownload(report);
  $("headline").focus({ preventScroll: true });
  $("result").scrollIntoView();
}

// The verdict

function showVerdict({ media, created, verdict, warnings, model, score_meaning: meaning }) {
  $("name").textContent = media.name;
  $("created").textContent = new Date(created).toLocaleString();
  $("caution").hidden = warnings.length === 0;
  $("caution-title").textContent = model.synthetic
    ? "This model knows drawn faces only"
    : "Read this first";
  $("warnings").replaceChildren(...warnings.map((each) => element("li", {}, sentence(each))));
  $("verdict").className = `verdict ${verdict.label}`;
  $("headline").textContent = verdict.headline;
  $("cause").textContent = verdict.cause === null ? "" : sentence(verdict.cause);
  $("meaning").textContent = verdict.meaning;
  $("scale-block").hidden = verdict.score === null;
  $("score-meaning").textContent = meaning;
  if (verdict.score !== null) drawScale(verdict.score, model.decision);
}

function zones({ low, high }) {
  const sides = [0, low, high, 1].map((side) => Math.min(1, Math.max(0, side)));
  return ["real", "inconclusive", "fake"]
    .map((label, i) => ({ label, start: sides[i], end: sides[i + 1] }))
    .filter((zone) => zone.end > zone.start);
}

function drawScale(score, decision) {
  const here = element("span", { class: "here" }, percent(score));
  if (score < 0.15) here.classList.add("left");
  if (score > 0.85) here.classList.add("right");
  here.style.left = `${100 * score}%`;
  const parts = zones(decision);
  const bars = parts.map(({ label, start, end }) => {
    const bar = element("span", { class: `zone ${label}` });
    bar.style.width = `${100 * (end - start)}%`;
    return bar;
  });
  $("scale").replaceChildren(...bars, here);
  $("scale").setAttribute("aria-label", `Score ${percent(score)} on a scale from real to fake`);
  $("scale-legend").replaceChildren(
    ...parts.map(({ label, start, end }) => {
      const sides = `${Math.round(100 * start)}–${Math.round(100 * end)}%`;
      const swatch = element("span", { class: `swatch ${label}` });
      const word = element("span", { class: "word" }, `${SHORT_WORDS[label]} ${sides}`);
      return element("li", { class: label }, swatch, word);
    }),
  );
}

// The picture or video with its boxes

function showMedia(report) {
  const { kind, width, height } = report.media;
  $("media").hidden = kind === null;
  $("stage").querySelector("img, video")?.remove();
  $("unplayable").hidden = true;
  $("time").hidden = kind !== "video" || shown.moments.length === 0;
  $("boxes").replaceChildren();
  if (kind === null) return;
  $("stage").style.aspectRatio = `${width} / ${height}`;
  $("stage").style.maxWidth = `calc(75vh * ${width / height})`;
  const view = kind === "video" ? makePlayer() : element("img", { alt: "The picture you gave" });
  view.addEventListener("error", () => {
    $("unplayable").hidden = false;
    $("play").hidden = true;
    view.remove();
  });
  view.src = shown.url;
  $("stage").prepend(view);
  if (shown.moments.length) {
    if (kind === "video") drawTimeline(report);
    choose(0);
  }
}

function makePlayer() {
  // Its own controls would cover the faces.
  const player = element("video", { playsinline: "", preload: "auto" });
  player.setAttribute("aria-label", "The video you gave");
  const moved = () => followPlayer(player);
  for (const name of ["timeupdate", "seeked"]) player.addEventListener(name, moved);
  for (const name of ["play", "pause"]) {
    player.addEventListener(name, () => ($("play").textContent = player.paused ? "Play" : "Pause"));
  }
  $("play").hidden = false;
  $("play").textContent = "Play";
  shown.player = player;
  return player;
}

function playOrPause() {
  if (shown.player.paused) shown.player.play();
  else shown.player.pause();
}

function labelOf(track) {
  return shown.report.tracks.find((each) => each.track === track).label;
}

// The label is that of the whole track, the percentage that of this one frame.
function describe({ track, score, quality }) {
  if (quality !== null) return `${track}: not judged, ${spaced(quality)}`;
  return `${track}: ${SHORT_WORDS[labelOf(track)]}, ${percent(score)}`;
}

function drawBoxes(entry) {
  const { width, height } = shown.report.media;
  const box = (face, name) => {
    const [x0, y0, x1, y1] = face.box.map((side, i) => (100 * side) / (i % 2 ? height : width));
    const place = { x: `${x0}%`, y: `${y0}%`, width: `${x1 - x0}%`, height: `${y1 - y0}%` };
    return drawing("rect", { class: name, rx: 3, ...place });
  };
  const text = (face) => {
    const isRight = face.box[0] > 0.6 * width; // its words end with the box: there is more room
    const x = (100 * Math.min(width, Math.max(0, face.box[isRight ? 2 : 0]))) / width;
    const y = (100 * Math.max(0, face.box[1])) / height;
    const anchor = isRight ? { dx: -6, "text-anchor": "end" } : { dx: 6 };
    const place = { x: `${x}%`, y: `${y}%`, dy: y > 8 ? -9 : 19 };
    return drawing("text", { ...place, ...anchor }, describe(face));
  };
  $("boxes").replaceChildren(
    ...(entry?.faces ?? []).map((face) =>
      drawing(
        "g",
        { class: labelOf(face.track) },
        box(face, "halo"),
        box(face, "line"),
        text(face),
      ),
    ),
  );
}

// Moments: the analysed frames that show a face

function along(entry) {
  const { duration_s: duration, frames } = shown.report.media;
  return entry.time_s === null ? entry.frame / frames.decoded : entry.time_s / duration;
}

function nearest(share) {
  const distance = (i) => Math.abs(along(shown.moments[i]) - share);
  return shown.moments.reduce((best, _, i) => (distance(i) < distance(best) ? i : best), 0);
}

function choose(index) {
  const entry = shown.moments[index];
  if (shown.report.media.kind === "video") markMoment(index, along(entry));
  drawBoxes(entry);
  const player = shown.player;
  if (!player) return;
  player.pause();
  const { fps, duration_s: duration } = shown.report.media;
  // The middle of the frame's time: at its very start, players show the frame before.
  const time = along(entry) * (duration ?? player.duration) + (fps ? 0.5 / fps : 0);
  if (Number.isFinite(time)) player.currentTime = time;
}

function markMoment(index, share) {
  const entry = shown.moments[index];
  const faces = entry.faces.map((face) => `track ${describe(face)} here`);
  const words = `${momentName(entry)}, ${faces.join("; ")}`;
  $("timeline").setAttribute("aria-valuenow", index);
  $("timeline").setAttribute("aria-valuetext", words);
  $("moment").textContent = sentence(words);
  for (const end of ["x1", "x2"]) $("cursor")?.setAttribute(end, `${100 * share}%`);
}

function followPlayer(player) {
  if (player !== shown.player || !shown.moments.length || !player.duration) return;
  const { fps, duration_s: duration, frames } = shown.report.media;
  const now = player.currentTime;
  const start = fps ? Math.floor(now * fps) / fps : now; // of the frame on show
  const share = Math.min(1, start / (duration ?? player.duration));
  const index = nearest(share);
  markMoment(index, share);
  // Between two analysed frames nobody looked; where faces come and go, show none.
  const isNear = Math.abs(along(shown.moments[index]) - share) <= 1 / frames.analysed;
  drawBoxes(isNear ? shown.moments[index] : null);
}

function pointed(event) {
  const area = $("timeline").querySelector("svg").getBoundingClientRect();
  choose(nearest((event.clientX - area.left) / area.width));
}

function stepped(event) {
  const last = shown.moments.length - 1;
  const now = Number($("timeline").getAttribute("aria-valuenow"));
  const goal = {
    ArrowLeft: now - 1,
    ArrowDown: now - 1,
    ArrowRight: now + 1,
    ArrowUp: now + 1,
    PageDown: now - 5,
    PageUp: now + 5,
    Home: 0,
    End: last,
  }[event.key];
  if (goal === undefined) return;
  event.preventDefault();
  choose(Math.min(last, Math.max(0, goal)));
}

// The chart

function drawTimeline(report) {
  const { duration_s: duration, frames } = report.media;
  const name = (share) => (duration ? clock(duration * share) : Math.round(frames.decoded * share));
  const anchors = ["start", "middle", "middle", "middle", "end"];
  const ticks = anchors.map((anchor, i) => {
    const place = { x: `${25 * i}%`, y: CHART_HEIGHT + 22, "text-anchor": anchor };
    return drawing("text", { ...place, class: i % 2 ? "between" : "" }, name(i / 4));
  });
  const numbers = report.tracks.map((each) => each.track);
  const chart = drawing(
    "svg",
    { width: "100%", height: CHART_HEIGHT, "aria-hidden": "true" },
    ...[0, 0.25, 0.5, 0.75, 1].flatMap(gridLine),
    ...decisionMarks(report.model.decision),
    ...ticks,
    ...numbers.map(trackLine),
    drawing("line", { id: "cursor", class: "cursor", y1: -6, y2: CHART_HEIGHT, x1: 0, x2: 0 }),
  );
  $("timeline").replaceChildren(chart);
  $("timeline").setAttribute("aria-valuemax", shown.moments.length - 1);
  $("timeline-legend").replaceChildren(...numbers.map(legendEntry));
}

const level = (score) => CHART_HEIGHT * (1 - Math.min(1, Math.max(0, score)));

function across(name, score) {
  return drawing("line", { class: name, x1: 0, x2: "100%", y1: level(score), y2: level(score) });
}

function gridLine(score) {
  const place = { x: -8, y: level(score) + 4, "text-anchor": "end" };
  return [across("grid", score), drawing("text", place, `${100 * score}%`)];
}

function decisionMarks({ threshold, low, high }) {
  const height = Math.max(0, level(low) - level(high));
  const band = { class: "band", x: 0, width: "100%", y: level(high), height };
  return [drawing("rect", band), across("threshold", threshold)];
}

function pointsOf(track) {
  return shown.moments.flatMap((entry) =>
    entry.faces
      .filter((face) => face.track === track)
      .map(({ score, quality }) => ({
        x: 100 * along(entry),
        y: level(score),
        isUsed: quality === null,
      })),
  );
}

function trackLine(track) {
  const points = pointsOf(track);
  const path = points.filter((point) => point.isUsed).map(({ x, y }) => `${x},${y}`);
  const frame = { width: "100%", height: CHART_HEIGHT, viewBox: `0 0 100 ${CHART_HEIGHT}` };
  const line = drawing("polyline", { points: path.join(" ") });
  const marks = points.map(({ x, y, isUsed }) => {
    const name = isUsed ? "point" : "point unused";
    return drawing("svg", { x: `${x}%`, y, class: name }, mark(track));
  });
  const stretched = drawing("svg", { ...frame, preserveAspectRatio: "none" }, line);
  return drawing("g", { class: `t${track % SHAPES.length}` }, stretched, ...marks);
}

function mark(track) {
  const shape = SHAPES[track % SHAPES.length];
  return shape ? drawing("path", { d: shape }) : drawing("circle", { r: 4.5 });
}

function legendEntry(track) {
  const sign = drawing("svg", { viewBox: "-7 -7 14 14", class: "point", "aria-hidden": "true" });
  sign.append(mark(track));
  const word = element("span", { class: "word" }, ` track ${track}`);
  return element("li", { class: `t${track % SHAPES.length}` }, sign, word);
}

// Faces, tracks, facts

function showFaces({ strongest, media }) {
  $("faces").hidden = strongest.length === 0;
  $("heat-block").hidden = !strongest.some((face) => face.heat_map);
  $("strongest").replaceChildren(...strongest.map((face) => faceFigure(face, media.kind)));
  switchHeat();
}

function faceFigure(face, kind) {
  const where = `track ${face.track}${kind === "video" ? `, ${momentName(face)}` : ""}`;
  const picture = element("img", { width: 256, height: 256 });
  Object.assign(picture.dataset, { crop: face.crop, heat: face.heat_map ?? "", where });
  const words = element("figcaption", {}, element("b", {}, percent(face.score)), ` ${where}`);
  if (kind === "video") {
    const button = element("button", { type: "button" }, "Show in the video");
    button.setAttribute("aria-label", `Show ${where} in the video`);
    button.addEventListener("click", () => {
      choose(shown.moments.findIndex((entry) => entry.frame === face.frame));
      $("media").scrollIntoView();
    });
    words.append(element("br"), button);
  }
  return element("figure", {}, picture, words);
}

function switchHeat() {
  for (const picture of $("strongest").querySelectorAll("img")) {
    const { crop, heat, where } = picture.dataset;
    const isHeat = $("heat").checked && heat !== "";
    picture.src = isHeat ? heat : crop;
    picture.alt = isHeat ? `Heat map over the face of ${where}` : `Face of ${where}`;
  }
}

function showTracks({ tracks, rule }) {
  $("tracks").hidden = tracks.length === 0;
  $("rule").textContent = sentence(rule);
  $("track-rows").replaceChildren(
    ...tracks.map(({ track, label, reason, score, usable, faces }) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, track),
        element(
          "td",
          {},
          element("strong", { class: label }, WORDS[label]),
          reason ? `: ${spaced(reason)}` : "",
        ),
        element("td", { class: "number" }, score === null ? "–" : percent(score)),
        element("td", { class: "number" }, `${usable} of ${faces}`),
      ),
    ),
  );
}

function showFacts({ media, model, versions }) {
  const { decoded, analysed } = media.frames;
  const { threshold, low, high } = model.decision;
  const band = low < high ? `; no verdict from ${low.toFixed(3)} to ${high.toFixed(3)}` : "";
  const facts = [
    ["name", element("bdi", {}, media.name)],
    ["SHA-256", media.sha256],
    ["size", media.bytes === null ? null : `${media.bytes.toLocaleString()} bytes`],
    ["kind", media.kind && `${media.kind}, ${media.width} × ${media.height} pixels`],
    ["frames", media.kind === "video" ? `${analysed} analysed of ${decoded}` : null],
    ["dfjax", versions.dfjax],
    ["model", `${model.name}, step ${model.step}, run by ${model.runtime}`],
    ["weights, SHA-256", model.weights],
    ["decision", `threshold ${threshold.toFixed(3)}${band}`],
  ];
  $("facts").replaceChildren(
    ...facts
      .filter(([, value]) => value)
      .map(([name, value]) =>
        element("div", {}, element("dt", {}, name), element("dd", {}, value)),
      ),
  );
}

function offerDownload(report) {
  const link = $("download");
  if (link.href) URL.revokeObjectURL(link.href);
  const text = JSON.stringify(report, null, 2);
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `${report.media.name.replace(/[^A-Za-z0-9.-]+/g, "_")}.report.json`;
}

// The camera

async function openCamera() {
  $("failure").hidden = true;
  try {
    const wanted = { video: { width: { ideal: 1280 } }, audio: false };
    $("camera-video").srcObject = await navigator.mediaDevices.getUserMedia(wanted);
    await $("camera-video").play();
  } catch (error) {
    return fail(new Failure(`The camera does not open: ${error.message}.`));
  }
  $("camera").hidden = false;
  $("camera-take").focus();
}

function closeCamera() {
  for (const track of $("camera-video").srcObject?.getTracks() ?? []) track.stop();
  $("camera-video").srcObject = null;
  $("camera").hidden = true;
}

function takePicture() {
  const video = $("camera-video");
  const canvas = element("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const hand = (data) => take(new File([data], "camera.jpg", { type: data.type }));
  canvas.toBlob(hand, "image/jpeg", 0.95);
}

// What the user does

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

function dropped(event) {
  event.preventDefault();
  $("choose").classList.remove("over");
  if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
}

$("file").addEventListener("change", () => $("file").files.length && take($("file").files[0]));
$("cancel").addEventListener("click", cancel);
$("again").addEventListener("click", chooseAnother);
$("print").addEventListener("click", () => print());
$("heat").addEventListener("change", switchHeat);
$("play").addEventListener("click", playOrPause);
$("camera-open").hidden = !navigator.mediaDevices; // only https and localhost have cameras
$("camera-open").addEventListener("click", openCamera);
$("camera-close").addEventListener("click", closeCamera);
$("camera-take").addEventListener("click", takePicture);
$("timeline").addEventListener("keydown", stepped);
$("timeline").addEventListener("pointerdown", (event) => {
  $("timeline").setPointerCapture(event.pointerId);
  pointed(event);
});
$("timeline").addEventListener("pointermove", (event) => event.buttons && pointed(event));
// A file dropped beside the field would replace the page.
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("dragenter", () => $("choose").classList.add("over"));
addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) $("choose").classList.remove("over"); // left the window
});
addEventListener("drop", dropped);
