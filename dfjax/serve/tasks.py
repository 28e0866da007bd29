"""Tasks of the decode processes: the only code of the server that decodes uploaded media.

Runs in a sandboxed process and imports neither JAX nor the web framework. `serve.decoder` makes
objects of the arrays again.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dfjax.faces import align
from dfjax.faces.align import Crop
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference.extract import FaceExtractor
from dfjax.media import image as media_image
from dfjax.media.errors import MediaError
from dfjax.media.sandbox_worker import Arrays, Task

CROP_FIELDS = tuple(field.name for field in dataclasses.fields(Crop))


def extract_faces(
    arguments: dict[str, Any], _: Sequence[bytes], progress: Callable[[float], None]
) -> tuple[dict[str, Any], Arrays]:
    """Returns what `FaceExtractor.file` does for the file `path`, with `spec` and `num_frames`.

    Each field of `Crop` is an array with one row per face.
    """
    path = arguments["path"]
    extractor = FaceExtractor(CropSpec.from_json(arguments["spec"]))
    try:
        extracted = extractor.file(path, num_frames=arguments["num_frames"], progress=progress)
    except MediaError as error:
        raise MediaError(error.code, str(error).replace(path, "the file")) from error
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
    arguments: dict[str, Any], blobs: Sequence[bytes], _: Callable[[float], None]
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
