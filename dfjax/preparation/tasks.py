"""The task of the sandboxed processes: the crops of one clip. Loads neither TFDS nor JAX."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dfjax.corpora.clip import Clip
from dfjax.faces import preload
from dfjax.faces.crop_spec import CropSpec
from dfjax.preparation import crop_clip as cropping
from dfjax.preparation import crop_rows
from dfjax.sandbox.messages import Arrays
from dfjax.sandbox.zygote import Caller, Task

load, touch = preload.load, preload.touch


def crop_clip(
    arguments: dict[str, Any], _: Sequence[bytes], __: Caller
) -> tuple[dict[str, Any], Arrays]:
    """Returns what `crop_clip.crop_clip` does; the crops are `crop_rows`, as bytes."""
    return crop(arguments)


def crop(
    arguments: dict[str, Any], change: cropping.Change | None = None
) -> tuple[dict[str, Any], Arrays]:
    """Returns the answer of `crop_clip`, whose frames `change` makes others of first."""
    made = cropping.crop_clip(
        Clip(**arguments["clip"]),
        CropSpec.from_json(arguments["spec"]),
        arguments["num_frames"],
        arguments["originals"],
        change,
    )
    reply = {
        "num_crops": len(made.crops),
        "num_landmarks": crop_rows.num_landmarks(made.crops),
        "num_frames": made.num_frames,
        "damaged": made.damaged,
        "notes": made.notes,
        "own_boxes": made.own_boxes,
    }
    return reply, {"rows": np.frombuffer(crop_rows.encode(made.crops), np.uint8)}


TASKS: dict[str, Task] = {"crop_clip": crop_clip}
