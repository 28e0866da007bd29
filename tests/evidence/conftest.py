"""A picture and a clip without credentials, by their kind."""

import io

import numpy as np
import pytest
from PIL import Image

from dfjax.media import image, video

MIMES = {"jpg": "image/jpeg", "png": "image/png", "mp4": "video/mp4"}


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> dict[str, bytes]:
    """A file of each kind in `MIMES`."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3), np.uint8)
    jpeg, path = io.BytesIO(), tmp_path_factory.mktemp("plain") / "a.mp4"
    Image.fromarray(noise[0]).save(jpeg, "JPEG", quality=90)
    video.write_video(path, noise, fps=25, crf=20)
    return {
        "jpg": jpeg.getvalue(),
        "png": image.encode_image(noise[0], "png"),
        "mp4": path.read_bytes(),
    }
