"""Loads the decoders into a process, so that those forked from it have nothing left to load."""

import io

import av
import cv2
import numpy as np
from PIL import Image, ImageCms

from dfjax.media import image, video
from dfjax.media.film import Film


def load() -> None:
    """Runs the decoders of pictures and videos once; OpenCV uses one thread from now on."""
    cv2.setNumThreads(1)
    grey = np.full((16, 16, 3), 128, np.uint8)
    for encoding in ("jpeg", "png"):
        image.decode_image(image.encode_image(grey, encoding))
    for file_format in ("GIF", "TIFF"):
        picture = io.BytesIO()
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        Image.fromarray(grey).save(picture, file_format, icc_profile=profile)
        image.decode_image(picture.getvalue())
    file = io.BytesIO()
    video.write_video(file, [grey] * 2, fps=25, crf=40)
    file.seek(0)
    with av.open(file) as container:
        for frame in Film(container, "a video").frames():
            frame.image()
