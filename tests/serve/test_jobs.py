"""Jobs take turns, are bounded, and are forgotten."""

import asyncio

import pytest

from dfjax.media.errors import MediaError
from dfjax.serve.errors import RequestError
from dfjax.serve.jobs import Jobs


def play(scene, **settings):
    async def run():
        jobs = Jobs(**{"max_jobs": 3, "at_once": 1, "keep_seconds": 60.0, **settings})
        try:
            return await scene(jobs)
        finally:
            await jobs.close()

    return asyncio.run(run())


async def quick(advance):
    advance(0.5)
    advance(0.25)
    return {"label": "real"}


async def endless(_):
    await asyncio.sleep(3600)


def test_jobs_take_turns():
    async def scene(jobs):
        first, second = jobs.start(endless), jobs.start(quick)
        await asyncio.sleep(0.01)
        assert (first.status, second.status) == ("running", "queued")
        assert jobs.num_unfinished == 2
        jobs.delete(first.id)
        await second.task
        assert (second.status, second.progress) == ("done", 1.0)
        assert second.report == {"label": "real"}
        assert jobs.num_unfinished == 0

    play(scene)


def test_a_job_that_fails_says_why():
    async def scene(jobs):
        async def broken(_):
            raise MediaError("corrupt", "it does not decode")

        async def surprised(_):
            raise KeyError("a secret")

        failed, internal = jobs.start(broken), jobs.start(surprised)
        await asyncio.gather(failed.task, internal.task)
        assert (failed.status, failed.error.code) == ("failed", "corrupt")
        assert internal.error.code == "internal"
        assert "secret" not in str(internal.error)

    play(scene)


def test_only_what_was_fetched_makes_room():
    async def scene(jobs):
        kept = [jobs.start(quick) for _ in range(3)]
        await asyncio.gather(*(job.task for job in kept))
        with pytest.raises(RequestError) as error:
            jobs.start(quick)
        assert error.value.status == 429
        kept[1].fetched = True
        new = jobs.start(quick)
        assert jobs.get(kept[0].id) is kept[0]
        assert jobs.get(new.id) is new
        with pytest.raises(RequestError) as error:
            jobs.get(kept[1].id)
        assert error.value.status == 404

    play(scene)


def test_reports_are_forgotten():
    async def scene(jobs):
        job = jobs.start(quick)
        await job.task
        assert jobs.get(job.id).report
        await asyncio.sleep(0.1)
        with pytest.raises(RequestError):
            jobs.get(job.id)

    play(scene, keep_seconds=0.02)


def test_ids_cannot_be_guessed():
    async def scene(jobs):
        ids = [jobs.start(quick).id for _ in range(3)]
        assert len(set(ids)) == 3
        assert min(map(len, ids)) >= 22  # 128 bits in base64

    play(scene)
