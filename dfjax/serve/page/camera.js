// The camera of the device.

import { $, element } from "./dom.js";
import { fill } from "./phrases.js";
import { Failure, fail } from "./status.js";
import { PAGE } from "./words.js";

export async function openCamera() {
  $("failure").hidden = true;
  try {
    const wanted = { video: { width: { ideal: 1280 } }, audio: false };
    $("camera-video").srcObject = await navigator.mediaDevices.getUserMedia(wanted);
    await $("camera-video").play();
  } catch (error) {
    return fail(new Failure(fill(PAGE.camera_fails, { reason: error.message })));
  }
  $("camera").hidden = false;
  $("camera-take").focus();
}

export function closeCamera() {
  for (const track of $("camera-video").srcObject?.getTracks() ?? []) track.stop();
  $("camera-video").srcObject = null;
  $("camera").hidden = true;
}

// Resolves to a JPEG file.
export function takePicture() {
  const video = $("camera-video");
  const canvas = element("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((resolve) => {
    const finish = (data) => resolve(new File([data], "camera.jpg", { type: data.type }));
    canvas.toBlob(finish, "image/jpeg", 0.95);
  });
}
