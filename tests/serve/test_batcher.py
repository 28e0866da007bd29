"""Crops of many requests are scored together and in order; the queue is bounded and can be left."""

import asyncio
import threading

import numpy as np
import pytest

from dfjax.serve.batcher import Batcher
from dfjax.serve.errors import RequestError


class Model:
    """Scores a crop by its first pixel; waits for `go` before every batch."""

    def __init__(self):
        self.batches = []
        self.go = threading.Event()
        self.go.set()

    def outputs(self, crops):
        self.go.wait()
        self.batches.append(crops[:, 0].tolist())
        if 255 in crops:
            raise ValueError("a broken model")
        return np.float64(crops[:, [0, 0, 0]])


def crops(*values):
    return np.array(values, np.uint8)[:, None]


def first(outputs):
    return outputs[:, 0].tolist()


def play(scene, **settings):
    """Runs a coroutine function of (batcher, model), and returns its result."""

    async def run():
        defaults = {"max_crops": 8, "max_batch": 4, "batch_seconds": 0.01}
        batcher, model = Batcher(**{**defaults, **settings}), Model()
        async with batcher.running():
            try:
                return await scene(batcher, model)
            finally:
                model.go.set()

    return asyncio.run(run())


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def test_requests_share_batches_and_get_their_own_outputs():
    async def scene(batcher, model):
        requests = [crops(1), crops(2, 3), crops(4), crops(5)]
        got = await asyncio.gather(*(batcher.outputs(model, request) for request in requests))
        assert [first(part) for part in got] == [[1], [2, 3], [4], [5]]
        assert model.batches == [[1, 2, 3, 4], [5]]
        assert batcher.num_crops == 0

    play(scene)


def test_a_large_request_is_split_and_put_together():
    async def scene(batcher, model):
        got = await batcher.outputs(model, crops(*range(7)))
        assert first(got) == list(range(7))
        assert [len(batch) for batch in model.batches] == [4, 3]
        with pytest.raises(RequestError, match="send 8 at a time") as error:
            await batcher.outputs(model, crops(*range(9)))
        assert error.value.status == 413
        got = await batcher.outputs_of_file(model, crops(*range(20)))
        assert first(got) == list(range(20))
        assert (await batcher.outputs_of_file(model, np.zeros((0, 1), np.uint8))).shape == (0, 3)

    play(scene)


def test_a_full_queue_says_when_to_try_again():
    async def scene(batcher, model):
        model.go.clear()
        busy = asyncio.create_task(batcher.outputs(model, crops(0)))
        await asyncio.sleep(0.05)
        waiting = [asyncio.create_task(batcher.outputs(model, crops(n))) for n in range(1, 9)]
        await until(lambda: batcher.num_crops == 8)
        with pytest.raises(RequestError) as error:
            await batcher.outputs(model, crops(9))
        assert error.value.status == 429
        assert error.value.retry_after >= 1
        model.go.set()
        assert first(np.concatenate(await asyncio.gather(busy, *waiting))) == list(range(9))

    play(scene)


def test_a_cancelled_request_is_not_scored_and_makes_room():
    async def scene(batcher, model):
        model.go.clear()
        busy = asyncio.create_task(batcher.outputs(model, crops(0)))
        await asyncio.sleep(0.05)
        leaving = asyncio.create_task(batcher.outputs(model, crops(*range(1, 9))))
        await until(lambda: batcher.num_crops == 8)
        file = asyncio.create_task(batcher.outputs_of_file(model, crops(20, 21)))
        await asyncio.sleep(0.01)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert batcher.num_crops == 0
        model.go.set()
        assert first(await file) == [20, 21]
        await busy
        assert model.batches == [[0], [20, 21]]

    play(scene)


def test_models_are_never_mixed_in_a_batch():
    async def scene(batcher, old):
        new = Model()
        requests = [(old, 1), (old, 2), (new, 3), (old, 4)]
        await asyncio.gather(*(batcher.outputs(model, crops(n)) for model, n in requests))
        assert (old.batches, new.batches) == ([[1, 2], [4]], [[3]])

    play(scene)


def test_a_model_that_fails_fails_its_batch_alone():
    async def scene(batcher, model):
        with pytest.raises(ValueError, match="a broken model"):
            await batcher.outputs(model, crops(255))
        assert first(await batcher.outputs(model, crops(1))) == [1]

    play(scene)


def test_the_end_cancels_what_waits():
    async def run():
        batcher, model = Batcher(max_crops=8, max_batch=4, batch_seconds=60.0), Model()
        early = asyncio.create_task(batcher.outputs(model, crops(1)))
        await until(lambda: batcher.num_crops == 1)  # it may be used before it runs
        async with batcher.running():
            late = asyncio.create_task(batcher.outputs(model, crops(2)))
            await until(lambda: batcher.num_crops == 2)
        ends = await asyncio.gather(early, late, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 2
        assert (model.batches, batcher.num_crops) == ([], 0)

    asyncio.run(run())
