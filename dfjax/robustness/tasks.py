"""The task of the sandboxed processes: the crops of one clip whose frames were made worse.

Loads neither TFDS nor JAX.
"""

from collections.abc import Sequence
from typing import Any

from dfjax.distortions.suite import Condition
from dfjax.faces import preload
from dfjax.preparation import tasks
from dfjax.sandbox.messages import Arrays
from dfjax.sandbox.zygote import Caller, Task

load, touch = preload.load, preload.touch


def crop_clip(
    arguments: dict[str, Any], _: Sequence[bytes], __: Caller
) -> tuple[dict[str, Any], Arrays]:
    """Returns what `preparation.tasks.crop_clip` does; `distortion` has a `Condition`."""
    condition = Condition(**arguments["distortion"])
    return tasks.crop(arguments, lambda frames: condition.distort(frames, arguments["clip"]["key"]))


TASKS: dict[str, Task] = {"crop_clip": crop_clip}
