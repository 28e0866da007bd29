"""Clips to crops in sandboxed processes, one for each clip."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dfjax import console, files
from dfjax.corpora.clip import Clip
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import limits
from dfjax.media.errors import MediaError
from dfjax.preparation import crop_rows, crop_store
from dfjax.preparation.crop_clip import ClipCrops
from dfjax.preparation.crop_store import CropStore, Outcome
from dfjax.sandbox.errors import TimeLimitError, WorkerError
from dfjax.sandbox.pool import Sandbox

_MEMORY = 8 * 2**30  # bytes of address space beside frames of videos: 40 frames of 64 megapixels
_MAX_BYTES = 2 * 2**30  # of the crops of a clip
_CLIPS_AHEAD = 4  # per process: enough to keep it busy, and few crops in memory
_SECONDS = 3600.0  # for one clip
_TRIES = 2


@dataclasses.dataclass(frozen=True)
class Cropping:
    """How the crops of clips are made; the arguments of `crop_clip.crop_clip`.

    Attributes:
      module: has the task "crop_clip", see `preparation.tasks`.
      distortion: a further argument of the task of another module, plain JSON.
    """

    spec: CropSpec
    num_frames: int
    originals: Mapping[str, str] | None = None
    module: str = "dfjax.preparation.tasks"
    distortion: Mapping[str, Any] | None = None


def crop_clips(
    clips: Sequence[Clip], store: CropStore, cropping: Cropping, *, jobs: int
) -> Iterator[tuple[Clip, Outcome]]:
    """Yields clips with their outcomes as `jobs` processes finish them; saves crops in `store`.

    Whatever is wrong with a clip is its outcome, and so is the death of its process, if two die.

    Raises:
      OSError: crops cannot be saved; what is finished stays.
      RuntimeError: no process starts.
    """
    memory = _MEMORY + 3 * limits.MAX_FRAME_PIXELS * cropping.num_frames
    waiting, running = collections.deque(clips), {}
    with contextlib.ExitStack() as stack:
        threads = stack.enter_context(concurrent.futures.ThreadPoolExecutor(jobs))
        sandbox = stack.enter_context(contextlib.closing(Sandbox(cropping.module, memory=memory)))
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        while waiting or running:
            while waiting and len(running) < _CLIPS_AHEAD * jobs:
                clip = waiting.popleft()
                running[threads.submit(_crop, clip, sandbox, cropping)] = clip
            done, _ = concurrent.futures.wait(running, return_when="FIRST_COMPLETED")
            for future in done:
                clip, result = running.pop(future), future.result()
                if isinstance(result, ClipCrops):
                    store.save(clip, result)
                    result = crop_store.make_outcome(result)
                yield clip, result


def _crop(clip: Clip, sandbox: Sandbox, cropping: Cropping) -> ClipCrops | Outcome:
    """The crops of a clip, or why there are none."""
    for _ in range(_TRIES):
        try:
            return _run(clip, sandbox, cropping)
        except MediaError as error:
            return Outcome(error.code, console.one_line(error))
        except TimeLimitError:
            message = f"{clip.path}: it took more than {_SECONDS:.0f} s: check the file, or cut it"
            return Outcome("time_limit", message)
        except WorkerError:  # by a crash, or for lack of memory, which may pass
            continue
    message = (
        f"{clip.path}: the process working on it died twice, by a crash or for lack of memory: "
        "check the file, or use fewer --jobs"
    )
    return Outcome("worker_died", message)


def _run(clip: Clip, sandbox: Sandbox, cropping: Cropping) -> ClipCrops:
    path = os.path.abspath(clip.path)
    originals = cropping.originals
    if originals is not None:
        known = clip.original in originals
        originals = {clip.original: os.path.abspath(originals[clip.original])} if known else {}
    arguments = {
        "clip": dataclasses.asdict(dataclasses.replace(clip, path=path)),
        "spec": cropping.spec.to_json(),
        "num_frames": cropping.num_frames,
        "originals": originals,
        "distortion": cropping.distortion,
    }
    reads = [path, *(originals or {}).values()]
    try:
        reply, arrays = sandbox.run(
            "crop_clip",
            arguments,
            seconds=_SECONDS,
            reads=reads,
            max_bytes=_MAX_BYTES,
            threads=cropping.distortion is not None,  # for the encoders of AVIF and H.265
        )
    except MediaError as error:
        message = str(error).replace(files.legible(path), files.legible(clip.path))
        raise MediaError(error.code, message) from error
    try:
        rows = crop_rows.decode(
            arrays["rows"].tobytes(),
            num_crops=reply["num_crops"],
            num_landmarks=reply["num_landmarks"],
        )
        return ClipCrops(
            rows,
            reply["num_frames"],
            reply["damaged"],
            tuple(map(console.one_line, reply["notes"])),
            reply["own_boxes"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WorkerError("the process that decoded the clip answered nonsense") from error
