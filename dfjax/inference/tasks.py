"""Tasks of the sandboxed processes: the only code that decodes strangers' pictures and videos.

`inference.sandboxed` calls them and makes objects of their arrays again. A zygote imports this
module once; it loads neither JAX nor the web framework.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from dfjax.faces import align, detect
from dfjax.faces.align import Crop
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference.extract import FaceExtractor
from dfjax.media import image as media_image
from dfjax.media.errors import MediaError
from dfjax.sandbox.messages import Arrays
from dfjax.sandbox.zygote import Caller, Task

CROP_FIELDS = tuple(field.name for field in dataclasses.fields(Crop))


def warm_up() -> None:
    """Loads and touches what nearly every task needs: the decoders and the face detector."""
    cv2.setNumThreads(1)
    spec = CropSpec()
    detect.load_models(spec)
    grey = media_image.encode_image(np.full((160, 160, 3), 128, np.uint8), "jpeg")
    FaceExtractor(spec).image(media_image.decode_image(grey))


def extract_faces(
    arguments: dict[str, Any], _: Sequence[bytes], caller: Caller
) -> tuple[dict[str, Any], Arrays]:
    """Returns what `FaceExtractor.file` does for the file `path`, with `spec` and `num_frames`.

    Each field of `Crop` is an array with one row per face. With `reidentify`, the caller embeds
    faces.
    """
    embed = caller.ask if arguments["reidentify"] else None
    extractor = FaceExtractor(CropSpec.from_json(arguments["spec"]), embed=embed)
    extracted = extractor.file(
        arguments["path"], num_frames=arguments["num_frames"], progress=caller.progress
    )
    reply = {
        "facts": dataclasses.asdict(extracted.facts),
        "seconds": extracted.seconds,
        "faces": [(face.frame, face.time, face.track) for face in extracted.faces],
    }
    if not extracted.faces:
        return reply, {}
    return reply, {
        name: np.stack([np.asarray(getattr(face.crop, name)) for face in extracted.faces])
        for name in CROP_FIELDS
    }


def decode_crops(
    arguments: dict[str, Any], blobs: Sequence[bytes], _: Caller
) -> tuple[dict[str, Any], Arrays]:
    """Returns encoded pictures of faces, stretched to the size of `spec`: `crops` [N, S, S, 3]."""
    spec, crops = CropSpec.from_json(arguments["spec"]), []
    for index, blob in enumerate(blobs):
        try:
            crops.append(align.resize_crop(media_image.decode_image(blob), spec).image)
        except MediaError as error:
            raise MediaError(error.code, f"picture {index}: {error}") from error
    return {}, {"crops": np.stack(crops)}


TASKS: dict[str, Task] = {"extract_faces": extract_faces, "decode_crops": decode_crops}
