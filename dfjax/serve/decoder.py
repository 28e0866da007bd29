"""Files from clients to faces and crops, by sandboxed processes and with a bounded queue."""

import asyncio
import collections
import concurrent.futures
import contextlib
import functools
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from dfjax.faces.crop_spec import CropSpec
from dfjax.inference.extract import ExtractedFaces
from dfjax.inference.sandboxed import SandboxedExtractor
from dfjax.media.errors import MediaError
from dfjax.sandbox.errors import WorkerError
from dfjax.sandbox.pool import Cancellation, Sandbox
from dfjax.serve import errors
from dfjax.serve.spool import Stored

T = TypeVar("T")

_MAX_DEATHS = 1000  # files that are remembered because a process died over them


class Decoder:
    """Processes that decode media and extract faces, `workers` at a time.

    Attributes:
      sandbox: the processes.
      num_waiting: files that wait for their turn, and tasks for a process.
    """

    def __init__(self, *, workers: int, max_waiting: int, trust_list: str | None = None):
        """Starts the sandbox; raises RuntimeError if it does not start.

        `trust_list` is as in `SandboxedExtractor`.
        """
        self._extractor = SandboxedExtractor(trust_list=trust_list)
        self.sandbox: Sandbox = self._extractor.sandbox
        self._threads = concurrent.futures.ThreadPoolExecutor(workers, "decode")
        # The faces of a file take up to 200 MB: while one is scored, the next are decoded, no more.
        self._turns = asyncio.Semaphore(workers + 1)
        self._workers, self._max_waiting, self.num_waiting = workers, max_waiting, 0
        self._seconds_per_task = 1.0  # a moving average
        self._deaths: collections.OrderedDict[str, None] = collections.OrderedDict()

    def check_room(self) -> None:
        """Raises RequestError (429) if the queue is full."""
        if self.num_waiting >= self._max_waiting:
            wait = math.ceil(self.num_waiting * self._seconds_per_task / self._workers)
            raise errors.overloaded(f"{self.num_waiting} files are waiting", max(1, wait))

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits until a file may be decoded; it has its turn until its faces are scored, too."""
        self.num_waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self.num_waiting -= 1
        try:
            yield
        finally:
            self._turns.release()

    async def extract(
        self,
        file: Stored,
        spec: CropSpec,
        *,
        num_frames: int,
        seconds: float,
        progress: Callable[[float], None] | None = None,
    ) -> ExtractedFaces:
        """Returns the faces in a picture or video, with the evidence on it.

        If this is cancelled, its process is killed.

        Raises:
          MediaError, TimeLimitError, WorkerError: see `Sandbox.run`. A file over which a second
            process dies is corrupt.
        """
        extract = functools.partial(
            self._extractor.file,
            file.path,
            spec,
            num_frames=num_frames,
            seconds=seconds,
            called="the file",
            progress=progress,
        )
        try:
            return await self._run(extract)
        except WorkerError as error:
            if file.sha256 in self._deaths:
                message = "two processes died over the file: encode it again, or scale it down"
                raise MediaError("corrupt", message) from error
            self._deaths[file.sha256] = None
            if len(self._deaths) > _MAX_DEATHS:
                self._deaths.popitem(last=False)
            raise

    async def decode_crops(
        self, pictures: Sequence[bytes], spec: CropSpec, *, seconds: float
    ) -> np.ndarray:
        """Returns pictures of faces as crops uint8 [N, S, S, 3]; raises as `extract`."""
        return await self._run(
            functools.partial(self._extractor.crops, pictures, spec, seconds=seconds)
        )

    async def keep_alive(self, seconds: float) -> None:
        """Looks every `seconds` whether the sandbox lives, and starts it again if it died."""
        while True:
            await asyncio.sleep(seconds)
            if not self.sandbox.alive:
                with contextlib.suppress(WorkerError):  # the next look tries again
                    await asyncio.to_thread(self.sandbox.revive)

    def close(self) -> None:
        """Kills the processes."""
        self.sandbox.close()  # first: threads wait for them
        self._threads.shutdown(cancel_futures=True)

    async def _run(self, task: Callable[..., T]) -> T:
        """Returns what `task` does in a thread; when this is cancelled, it has ended."""
        loop, cancellation = asyncio.get_running_loop(), Cancellation()

        def begin() -> T:
            loop.call_soon_threadsafe(self._count_begun)
            began = time.monotonic()
            try:
                return task(cancellation=cancellation)
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
            else:
                await _ended(future, cancellation)
            raise

    def _count_begun(self) -> None:
        self.num_waiting -= 1


async def _ended(future: concurrent.futures.Future[Any], cancellation: Cancellation) -> None:
    """Kills what works on a future and waits for its end, however often the waiter is cancelled."""
    cancellation.request()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set))
    while not ended.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await ended.wait()
