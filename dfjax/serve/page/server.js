// Sends a file to the server and waits for its report.

import { fill, sentence } from "./phrases.js";
import { Failure, say } from "./status.js";
import { PAGE } from "./words.js";

const MAX_DIRECT_BYTES = 8 * 2 ** 20; // a larger file becomes a job
const POLL_MS = 1000;
const BUSY_SECONDS = 5; // to wait if a busy server does not say how long
const MAX_DEATHS = 3; // of the process that reads the file: the file kills it

export async function analyze(file, signal) {
  const form = new FormData();
  form.append("file", file, file.name);
  if (file.size <= MAX_DIRECT_BYTES) return request("POST", "/v1/detect", form, signal);
  const { id } = await request("POST", "/v1/jobs", form, signal);
  const address = `/v1/jobs/${encodeURIComponent(id)}`;
  try {
    return await follow(address, signal);
  } finally {
    exchange("DELETE", address).catch(() => {}); // if it fails, the server forgets the job later
  }
}

async function follow(address, signal) {
  for (;;) {
    const job = await request("GET", address, null, signal);
    if (job.status === "done") return job.report;
    if (job.status === "failed") throw new Failure(sentence(job.error.message));
    if (job.status === "queued") say(PAGE.waiting);
    else say(PAGE.looking, job.progress);
    await pause(POLL_MS, signal);
  }
}

// Repeats a request for as long as the server is busy.
async function request(method, address, body, signal) {
  for (let deaths = 0; ; ) {
    const reply = await exchange(method, address, body, signal);
    if (reply.status < 400 && reply.response) return reply.response;
    const error = reply.response?.error;
    if (error?.code === "worker_died") deaths += 1;
    const wait = reply.getResponseHeader("Retry-After");
    const isBusy = reply.status === 429 || (reply.status === 503 && wait);
    if (!isBusy || deaths === MAX_DEATHS) {
      const { status } = reply;
      throw new Failure(error?.message ? sentence(error.message) : fill(PAGE.answered, { status }));
    }
    const seconds = Number(wait) || BUSY_SECONDS;
    say(fill(PAGE.busy, { seconds }));
    await pause(1000 * seconds, signal);
  }
}

// XMLHttpRequest, because fetch does not report the progress of an upload.
function exchange(method, address, body, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      if (event.loaded < event.total) say(PAGE.sending, event.loaded / event.total);
      else say(PAGE.looking);
    });
    request.addEventListener("load", () => resolve(request));
    request.addEventListener("error", () => reject(new Failure(PAGE.lost)));
    signal?.addEventListener("abort", () => {
      request.abort();
      reject(signal.reason);
    });
    request.send(body);
  });
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
