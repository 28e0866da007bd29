"""Readies a process for files, so that those forked from it have nothing left to load."""

import io

import av
import cv2
import numpy as np

from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import FaceDetector
from dfjax.media import image as media_image
from dfjax.media import video as media_video

_GREY = np.full((160, 160, 3), 128, np.uint8)


def load() -> None:
    """Runs every decoder and the face detector once; they use one thread from now on."""
    cv2.setNumThreads(1)
    for encoding in ("jpeg", "png"):
        media_image.decode_image(media_image.encode_image(_GREY, encoding))
    file = io.BytesIO()
    media_video.write_video(file, [_GREY] * 2, fps=25, crf=40)
    file.seek(0)
    with av.open(file) as container:
        for frame in container.decode(video=0):
            media_video.to_rgb(frame)
    touch()


def touch() -> None:
    """Looks for a face in a small grey picture: most of the memory that a task will need."""
    FaceDetector(CropSpec()).run_once(_GREY)
