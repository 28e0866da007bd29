"""Bytes from clients to faces and crops, by sandboxed processes; a bounded number of them waits."""

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
    """Processes that decode and search, and the folder that they read from.

    Attributes:
      num_waiting: tasks that were given and are not begun.
    """

    def __init__(self, *, workers: int, max_waiting: int):
        """Raises RuntimeError where no process starts."""
        self.sandbox = Sandbox("dfjax.serve.tasks", workers=workers)
        self._spool = Spool()
        self._threads = concurrent.futures.ThreadPoolExecutor(workers, "decode")
        self._workers, self._max_waiting, self.num_waiting = workers, max_waiting, 0
        self._seconds_each = 1.0  # a moving average

    def check_room(self) -> None:
        """Raises RequestError, 429, where as many tasks wait as may."""
        if self.num_waiting >= self._max_waiting:
            wait = math.ceil(self.num_waiting * self._seconds_each / self._workers)
            raise errors.overloaded(f"{self.num_waiting} files are waiting", max(1, wait))

    async def find(
        self,
        data: bytes,
        spec: CropSpec,
        *,
        num_frames: int,
        seconds: float,
        progress: Callable[[float], None] | None = None,
    ) -> ExtractedFaces:
        """Returns who is seen in the picture or video with these bytes, when its turn has come.

        Raises:
          MediaError, TimeLimitError, WorkerError: see `Sandbox.run`.
        """
        arguments = {"spec": spec.to_json(), "num_frames": num_frames}
        run = functools.partial(self._find, data, arguments, seconds, progress)
        return _unpack(*await self._run(run), size=spec.size)

    async def decode_crops(
        self, pictures: Sequence[bytes], spec: CropSpec, *, seconds: float
    ) -> np.ndarray:
        """Returns pictures of faces as crops uint8 [N, S, S, 3]; raises as `find`."""
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

    def _find(
        self,
        data: bytes,
        arguments: dict[str, Any],
        seconds: float,
        progress: Callable[[float], None] | None,
    ) -> tuple[dict[str, Any], Arrays]:
        with self._spool.file(data) as path:
            given = {**arguments, "path": path}
            return self.sandbox.run("find_faces", given, seconds=seconds, progress=progress)

    async def _run(self, run: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()

        def begin() -> Any:
            loop.call_soon_threadsafe(self._count_begun)
            began = time.monotonic()
            try:
                return run()
            finally:
                self._seconds_each += 0.2 * (time.monotonic() - began - self._seconds_each)

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
    """What a worker answered, which may be nonsense if a file took it over."""
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
        raise WorkerError("the process that decoded it answered nonsense: try again") from error


def _crop(arrays: Arrays, index: int) -> Crop:
    rows = {name: arrays[name][index] for name in tasks.CROP_FIELDS}
    return Crop(**{name: row.item() if row.ndim == 0 else row for name, row in rows.items()})


def _checked(crops: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    if crops is None or crops.dtype != np.uint8 or crops.shape != shape:
        raise WorkerError("the process that decoded it answered nonsense: try again")
    return crops
