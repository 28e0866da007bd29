"""Scores crops of many requests together, in one thread, from a bounded queue.

Only the event loop touches the state; the thread only computes.
"""

import asyncio
import collections
import concurrent.futures
import contextlib
import dataclasses
import math
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np

from dfjax.inference.network import OUTPUTS
from dfjax.inference.scorer import Scorer
from dfjax.serve import errors


@dataclasses.dataclass(eq=False)
class _Waiting:
    scorer: Scorer
    crops: np.ndarray
    outputs: asyncio.Future


class Batcher:
    """The queue in front of the model.

    Attributes:
      num_crops: crops in the queue; those that are being scored do not count.
    """

    def __init__(
        self,
        *,
        max_crops: int,
        max_batch: int,
        batch_seconds: float,
        observe: Callable[[int], None] = lambda _: None,
    ):
        """At most `max_crops` wait and `max_batch` are scored at once; a crop waits up to
        `batch_seconds` for others. `observe` is called with the size of every batch.
        """
        self.num_crops = 0
        self._max_crops, self._max_batch = max_crops, max_batch
        self._batch_seconds = batch_seconds
        self._observe = observe
        self._queue: collections.deque[_Waiting] = collections.deque()
        self._arrived, self._room = asyncio.Event(), asyncio.Condition()
        self._files_waiting = 0
        self._seconds_per_crop = 0.01  # a moving average
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "model")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Scores what is queued for as long as the context lasts; then cancels the rest."""
        consumer = asyncio.create_task(self._consume())
        try:
            yield
        finally:
            consumer.cancel()
            for waiting in self._queue:
                waiting.outputs.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await consumer
            self._thread.shutdown(cancel_futures=True)

    async def outputs(self, scorer: Scorer, crops: np.ndarray) -> np.ndarray:
        """Returns what `Scorer.outputs` does of crops uint8 [N, S, S, 3], if the queue has room.

        Raises:
          RequestError: more crops than may wait (413), or too many wait already (429).
        """
        if len(crops) > self._max_crops:
            message = f"{len(crops)} crops: send {self._max_crops} at a time"
            raise errors.RequestError(413, "too_large", message)
        # Files come first, or a stream of single crops would keep them waiting forever.
        if self._files_waiting or self.num_crops + len(crops) > self._max_crops:
            wait = math.ceil(self.num_crops * self._seconds_per_crop)
            raise errors.overloaded(f"{self.num_crops} crops are waiting", max(1, wait))
        parts = [self._enqueue(scorer, part) for part in self._parts(crops)]
        return np.concatenate(await asyncio.gather(*map(self._result, parts)))

    async def outputs_of_file(self, scorer: Scorer, crops: np.ndarray) -> np.ndarray:
        """Returns what `outputs` does for any number of crops; N may be 0. Waits for room."""
        outputs = [np.zeros((0, len(OUTPUTS)))]
        for part in self._parts(crops):
            await self._room_for(len(part))
            outputs.append(await self._result(self._enqueue(scorer, part)))
        return np.concatenate(outputs)

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Returns `function(*arguments)`, run in the one thread that may use a model."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, *arguments)

    def _parts(self, crops: np.ndarray) -> list[np.ndarray]:
        return [crops[i : i + self._max_batch] for i in range(0, len(crops), self._max_batch)]

    def _enqueue(self, scorer: Scorer, crops: np.ndarray) -> _Waiting:
        waiting = _Waiting(scorer, crops, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self.num_crops += len(crops)
        self._arrived.set()
        return waiting

    async def _result(self, waiting: _Waiting) -> np.ndarray:
        try:
            return await waiting.outputs
        except asyncio.CancelledError:
            if waiting in self._queue:
                self._queue.remove(waiting)
                self.num_crops -= len(waiting.crops)
            raise

    async def _room_for(self, count: int) -> None:
        self._files_waiting += 1
        try:
            async with self._room:
                await self._room.wait_for(lambda: self.num_crops + count <= self._max_crops)
        finally:
            self._files_waiting -= 1

    async def _consume(self) -> None:
        while True:
            await self._arrived.wait()
            if self.num_crops < self._max_batch:
                await asyncio.sleep(self._batch_seconds)
            batch = self._take()
            async with self._room:
                self._room.notify_all()
            if batch:
                await self._score(batch)

    def _take(self) -> list[_Waiting]:
        """Removes the next batch from the queue: for one model, in order of arrival."""
        batch, count = [], 0
        while self._queue:
            first = self._queue[0]
            other_model = bool(batch) and first.scorer is not batch[0].scorer
            if other_model or count + len(first.crops) > self._max_batch:
                break
            batch.append(self._queue.popleft())
            count += len(first.crops)
        self.num_crops -= count
        if not self._queue:
            self._arrived.clear()
        return batch

    async def _score(self, batch: list[_Waiting]) -> None:
        crops = np.concatenate([waiting.crops for waiting in batch])
        self._observe(len(crops))
        began = time.monotonic()
        try:
            outputs = await self.run(batch[0].scorer.outputs, crops)
        except Exception as error:  # what a runtime raises ends these requests, not the queue
            for waiting in batch:
                if not waiting.outputs.done():
                    waiting.outputs.set_exception(error)
            return
        taken = (time.monotonic() - began) / len(crops)
        self._seconds_per_crop += 0.2 * (taken - self._seconds_per_crop)
        ends = np.cumsum([len(waiting.crops) for waiting in batch])
        for waiting, part in zip(batch, np.split(outputs, ends[:-1]), strict=True):
            if not waiting.outputs.done():
                waiting.outputs.set_result(part)
