"""What the decode processes do for the server: the only code of it that sees what files hold.

Runs in a sandboxed process and imports neither JAX nor the web framework. The other half, which
turns the arrays into objects again, is `serve.decoder`.
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


def find_faces(
    arguments: dict[str, Any], _: Sequence[bytes], progress: Callable[[float], None]
) -> tuple[dict[str, Any], Arrays]:
    """`FaceExtractor.file` for the file `path`, with `spec` and `num_frames`.

    The array of each field of `Crop` has one row per face, that of `track` too.
    """
    path = arguments["path"]
    searcher = FaceExtractor(CropSpec.from_json(arguments["spec"]))
    try:
        found = searcher.file(path, num_frames=arguments["num_frames"], progress=progress)
    except MediaError as error:
        raise MediaError(error.code, str(error).replace(path, "the file")) from error
    reply = {
        "facts": dataclasses.asdict(found.facts),
        "seconds": found.seconds,
        "faces": [(face.frame, face.time, face.track) for face in found.faces],
    }
    if not found.faces:
        return reply, {}
    return reply, {
        name: np.stack([np.asarray(getattr(face.crop, name)) for face in found.faces])
        for name in CROP_FIELDS
    }


def decode_crops(
    arguments: dict[str, Any], blobs: Sequence[bytes], _: Callable[[float], None]
) -> tuple[dict[str, Any], Arrays]:
    """Encoded pictures of faces, stretched to the side of `spec`: `crops` uint8 [N, S, S, 3]."""
    spec, crops = CropSpec.from_json(arguments["spec"]), []
    for number, blob in enumerate(blobs):
        try:
            crops.append(align.resize_crop(media_image.decode_image(blob), spec).image)
        except MediaError as error:
            raise MediaError(error.code, f"picture {number}: {error}") from error
    return {}, {"crops": np.stack(crops)}


TASKS: dict[str, Task] = {"find_faces": find_faces, "decode_crops": decode_crops}
