"""Tasks of the sandboxed processes: the only code that decodes strangers' pictures and videos.

`inference.sandboxed` calls them and makes objects of their arrays again. A zygote imports this
module once; it loads neither JAX nor the web framework.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from dfjax.evidence import gather
from dfjax.faces import align, preload
from dfjax.faces.align import Crop
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import draw
from dfjax.inference.extract import FaceExtractor
from dfjax.media import image as media_image
from dfjax.media.errors import MediaError
from dfjax.sandbox.messages import Arrays
from dfjax.sandbox.zygote import Caller, Task

CROP_FIELDS = tuple(field.name for field in dataclasses.fields(Crop))


touch = preload.touch


def load() -> None:
    """Loads everything that the tasks need."""
    preload.load()
    gather.load()


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


def read_evidence(
    arguments: dict[str, Any], _: Sequence[bytes], __: Caller
) -> tuple[dict[str, Any], Arrays]:
    """Returns what `gather.read` does for the file `path`, with `trust_list`."""
    evidence = gather.read(arguments["path"], trust_list=arguments["trust_list"])
    return dataclasses.asdict(evidence), {}


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


def mark_picture(
    arguments: dict[str, Any], blobs: Sequence[bytes], _: Caller
) -> tuple[dict[str, Any], Arrays]:
    """Returns what `draw.mark_picture` does, as `file`, uint8 [N]."""
    data = draw.mark_picture(arguments["path"], _marks(arguments, blobs))
    return {}, {"file": np.frombuffer(data, np.uint8)}


def mark_video(
    arguments: dict[str, Any], blobs: Sequence[bytes], _: Caller
) -> tuple[dict[str, Any], Arrays]:
    """Returns what `draw.mark_video` does, as `file`, uint8 [N]."""
    data = draw.mark_video(
        arguments["path"],
        _marks(arguments, blobs),
        size=tuple(arguments["size"]),
        fps=arguments["fps"],
        analysed=arguments["analysed"],
        is_long=arguments["is_long"],
    )
    return {}, {"file": np.frombuffer(data, np.uint8)}


def _marks(arguments: dict[str, Any], blobs: Sequence[bytes]) -> list[draw.Mark]:
    """The marks; heat maps, which all have one shape or are missing, are the only blob."""
    marks = arguments["marks"]
    heat = [None] * len(marks)
    if arguments["heat_shape"]:
        heat = np.frombuffer(blobs[0], np.float32).reshape(arguments["heat_shape"])
    return [
        draw.Mark(**{**mark, "matrix": np.array(mark["matrix"])}, heat=heat_map)
        for mark, heat_map in zip(marks, heat, strict=True)
    ]


TASKS: dict[str, Task] = {
    "extract_faces": extract_faces,
    "read_evidence": read_evidence,
    "decode_crops": decode_crops,
    "mark_picture": mark_picture,
    "mark_video": mark_video,
}
