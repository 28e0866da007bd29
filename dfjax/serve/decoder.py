"""Bytes from clients to faces and crops, by sandboxed processes with a bounded queue.

Nothing in this process parses media: `serve.tasks` does, in the sandbox.
"""

import asyncio
import concurrent.futures
import functools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dfjax.faces.align import Crop
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference.extract import ExtractedFace, ExtractedFaces, MediaFacts
from dfjax.media.sandbox import Sandbox, WorkerError
from dfjax.media.sandbox_worker import Arrays
from dfjax.serve import errors, tasks
from dfjax.serve.spool import Spool


class Decoder:
    """Processes that decode media and extract faces, and the folder that they read from.

    Attributes:
      sandbox: the processes.
      num_waiting: tasks that no process has begun.
    """

    def __init__(self, *, workers: int, max_waiting: int):
        """Starts the processes; raises RuntimeError where none starts."""
        self.sandbox = Sandbox("dfjax.serve.tasks", workers=workers)
        self._spool = Spool()
        self._threads = concurrent.futures.ThreadPoolExecutor(workers, "decode")
        self._workers, self._max_waiting, self.num_waiting = workers, max_waiting, 0
        self._seconds_per_task = 1.0  # a moving average

    def check_room(self) -> None:
        """Raises RequestError (429) if the queue is full."""
        if self.num_waiting >= self._max_waiting:
            wait = math.ceil(self.num_waiting * self._seconds_per_task / self._workers)
            raise errors.overloaded(f"{self.num_waiting} files are waiting", max(1, wait))

    async def extract(
        self,
        data: bytes,
        spec: CropSpec,
        *,
        num_frames: int,
        seconds: float,
        progress: Callable[[float], None] | None = None,
    ) -> ExtractedFaces:
        """Returns the faces in the picture or video with these bytes; waits for its turn.

        Raises:
          MediaError, TimeLimitError, WorkerError: see `Sandbox.run`.
        """
        arguments = {"spec": spec.to_json(), "num_frames": num_frames}
        run = functools.partial(self._extract, data, arguments, seconds, progress)
        return _unpack(*await self._run(run), size=spec.size)

    async def decode_crops(
        self, pictures: Sequence[bytes], spec: CropSpec, *, seconds: float
    ) -> np.ndarray:
        """Returns pictures of faces as crops uint8 [N, S, S, 3]; raises as `extract`."""
        arguments = {"spec": spec.to_json()}
        run = functools.partial(
            self.sandbox.run, "decode_crops", arguments, pictures, seconds=seconds
        )
        _, arrays = await self._run(run)
        return _checked(arrays.get("crops"), (len(pictures), spec.size, spec.size, 3))

    def close(self) -> None:
        """Kills the processes and removes every file."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.sandbox.close()
        self._threads.shutdown()
        self._spool.close()

    def _extract(
        self,
        data: bytes,
        arguments: dict[str, Any],
        seconds: float,
        progress: Callable[[float], None] | None,
    ) -> tuple[dict[str, Any], Arrays]:
        with self._spool.file(data) as path:
            arguments = {**arguments, "path": path}
            return self.sandbox.run("extract_faces", arguments, seconds=seconds, progress=progress)

    async def _run(self, run: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()

        def begin() -> Any:
            loop.call_soon_threadsafe(self._count_begun)
            began = time.monotonic()
            try:
                return run()
            finally:
                taken = time.monotonic() - began
                self._seconds_per_task += 0.2 * (taken - self._seconds_per_task)

        self.num_waiting += 1
        future = self._threads.submit(begin)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if future.cancelled():
                self._count_begun()
            raise

    def _count_begun(self) -> None:
        self.num_waiting -= 1


def _unpack(reply: dict[str, Any], arrays: Arrays, *, size: int) -> ExtractedFaces:
    """The answer of a worker as objects; it may be nonsense if a file took the worker over."""
    try:
        count = len(reply["faces"])
        if count:
            _checked(arrays["image"], (count, size, size, 3))
        faces = tuple(
            ExtractedFace(int(frame), time, int(track), _crop(arrays, index))
            for index, (frame, time, track) in enumerate(reply["faces"])
        )
        return ExtractedFaces(MediaFacts(**reply["facts"]), faces, dict(reply["seconds"]))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise _nonsense() from error


def _crop(arrays: Arrays, index: int) -> Crop:
    rows = {name: arrays[name][index] for name in tasks.CROP_FIELDS}
    return Crop(**{name: row.item() if row.ndim == 0 else row for name, row in rows.items()})


def _checked(crops: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    if crops is None or crops.dtype != np.uint8 or crops.shape != shape:
        raise _nonsense()
    return crops


def _nonsense() -> WorkerError:
    return WorkerError("the process that decoded the file answered nonsense: try again")
