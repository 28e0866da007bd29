"""Jobs take turns, are bounded, survive their server, and are forgotten in the end."""

import asyncio
import contextlib
import errno
import pathlib
import sqlite3
import time

import pytest

from dfjax.errors import UserError
from dfjax.media.errors import MediaError
from dfjax.sandbox.errors import WorkerError
from dfjax.serve import job_store
from dfjax.serve.errors import RequestError
from dfjax.serve.jobs import Jobs
from dfjax.serve.spool import Spool

PNG = b"\x89PNG\r\n\x1a\n"


@contextlib.asynccontextmanager
async def running(folder, work, **settings):
    spool = Spool(folder)
    limits = {"max_jobs": 3, "max_bytes": 1000, "at_once": 1, "keep_seconds": 60.0}
    jobs = Jobs(spool, work, **{**limits, **settings})
    try:
        async with jobs.running():
            yield jobs
    finally:
        spool.close(keep=True)


def play(scene, folder, work=None, **settings):
    async def run():
        async with running(folder, work or quick, **settings) as jobs:
            return await scene(jobs)

    return asyncio.run(run())


async def quick(upload, advance):
    advance(0.5)
    advance(0.25)
    return {"label": "real", "name": upload.name}


async def endless(upload, advance):
    await asyncio.sleep(3600)


async def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def uploads(folder) -> list[str]:
    return [path.name for path in pathlib.Path(folder, "uploads").iterdir()]


def test_jobs_take_turns_and_a_deleted_one_counts_until_it_has_stopped(tmp_path):
    may_stop = asyncio.Event()

    async def stubborn(upload, advance):
        if upload.name == "quick":
            return await quick(upload, advance)
        try:
            await asyncio.sleep(3600)
        finally:
            await may_stop.wait()

    async def scene(jobs):
        first, second = await jobs.start(PNG, "endless"), await jobs.start(PNG, "quick")
        await until(lambda: first.status == "running")
        assert second.status == "queued"
        assert jobs.num_unfinished == 2
        await jobs.delete(first.id)
        with pytest.raises(RequestError) as error:
            jobs.get(first.id)
        assert error.value.status == 404
        await asyncio.sleep(0.05)
        assert (second.status, jobs.num_unfinished) == ("queued", 2)  # it has not stopped yet
        may_stop.set()
        await until(lambda: second.finished)
        assert (second.status, second.progress) == ("done", 1.0)
        assert await jobs.report(second) == {"label": "real", "name": "quick"}
        assert jobs.num_unfinished == 0
        await until(lambda: uploads(tmp_path) == [])

    play(scene, tmp_path, stubborn)


def test_a_job_that_fails_says_why(tmp_path):
    deaths = {"twice": 2, "once": 1}

    async def work(upload, advance):
        if upload.name == "broken":
            raise MediaError("corrupt", "it does not decode")
        if upload.name == "bug":
            raise KeyError("a secret")
        if deaths[upload.name]:
            deaths[upload.name] -= 1
            raise WorkerError("the process died")
        return {}

    async def scene(jobs):
        names = ("broken", "bug", "twice", "once")
        broken, bug, twice, once = [await jobs.start(PNG, name) for name in names]
        await until(lambda: once.finished)
        assert (broken.status, broken.error.code) == ("failed", "corrupt")
        assert bug.error.code == "internal"
        assert "secret" not in str(bug.error)
        assert twice.error.code == "worker_died"
        assert once.status == "done"

    play(scene, tmp_path, work, max_jobs=4)


def test_garbage_is_refused_before_it_is_a_job(tmp_path):
    async def scene(jobs):
        for _ in range(100):
            with pytest.raises(MediaError) as error:
                await jobs.start(b"garbage", "x")
            assert error.value.code == "unsupported"
        assert not jobs.kept
        assert (await jobs.start(PNG, "honest")).status == "queued"

    play(scene, tmp_path)


def test_failures_make_room_first_then_what_was_fetched_then_the_oldest(tmp_path, monkeypatch):
    async def work(upload, advance):
        if upload.name == "broken":
            raise MediaError("corrupt", "it does not decode")
        return {}

    async def scene(jobs):
        first, broken, third = [await jobs.start(PNG, name) for name in ("a", "broken", "c")]
        await until(lambda: third.finished)
        with pytest.raises(RequestError) as error:  # clients still have to see their ends
            await jobs.start(PNG, "d")
        assert (error.value.status, error.value.code) == (429, "overloaded")
        monkeypatch.setattr("dfjax.serve.jobs._FETCH_SECONDS", -1.0)
        third.fetched = True
        for gone in (broken, third, first):
            new = await jobs.start(PNG, "new")
            with pytest.raises(RequestError):
                jobs.get(gone.id)
            await until(lambda new=new: new.finished)

    play(scene, tmp_path, work)


def test_uploads_of_jobs_are_bounded_and_a_full_disk_is_an_answer(tmp_path, monkeypatch):
    async def scene(jobs):
        await jobs.start(PNG + bytes(900), "a")
        with pytest.raises(RequestError) as error:
            await jobs.start(PNG + bytes(100), "b")
        assert error.value.status == 429

        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Spool, "_write", fail)
        with pytest.raises(RequestError) as error:
            await jobs.start(PNG, "c")
        assert (error.value.status, error.value.retry_after) == (507, 30)

    play(scene, tmp_path, endless)


def test_jobs_survive_their_server(tmp_path):
    ids = {}

    async def before(jobs):
        for name in ("done", "running", "queued"):
            ids[name] = (await jobs.start(PNG, name)).id
        await until(lambda: jobs.get(ids["running"]).status == "running")

    async def work(upload, advance):
        return await (quick if upload.name == "done" else endless)(upload, advance)

    play(before, tmp_path, work)
    assert len(uploads(tmp_path)) == 2
    pathlib.Path(tmp_path, "uploads", "left.png").touch()  # by a request of a killed server

    async def after(jobs):
        assert await jobs.report(jobs.get(ids["done"])) == {"label": "real", "name": "done"}
        await until(lambda: jobs.num_unfinished == 0)
        names = [(await jobs.report(jobs.get(ids[name])))["name"] for name in ids]
        assert names == list(ids)
        assert uploads(tmp_path) == []

    play(after, tmp_path)


def test_a_job_that_two_servers_did_not_survive_has_failed(tmp_path):
    ids = []

    async def start(jobs):
        ids.append((await jobs.start(PNG, "x")).id)
        await until(lambda: jobs.get(ids[0]).status == "running")

    play(start, tmp_path, endless)
    for _ in range(2):  # as two killed servers leave it
        with contextlib.closing(sqlite3.connect(tmp_path / job_store.FILE)) as database:
            database.execute("UPDATE jobs SET status = 'running', starts = starts + 1")
            database.commit()

    async def after(jobs):
        await until(lambda: jobs.get(ids[0]).finished)
        assert (jobs.get(ids[0]).status, jobs.get(ids[0]).error.code) == ("failed", "corrupt")

    play(after, tmp_path)


def test_a_job_whose_upload_is_gone_has_failed(tmp_path):
    async def start(jobs):
        return (await jobs.start(PNG, "x")).id

    job_id = play(start, tmp_path, endless)
    (upload,) = pathlib.Path(tmp_path, "uploads").iterdir()
    upload.unlink()

    async def after(jobs):
        await until(lambda: jobs.get(job_id).finished)
        assert jobs.get(job_id).error.code == "lost"

    play(after, tmp_path)


def test_nothing_is_kept_beyond_a_job(tmp_path):
    async def scene(jobs):
        job = await jobs.start(PNG + b"an upload", "a secret name")
        await until(lambda: job.finished)
        assert (await jobs.report(job))["name"] == "a secret name"
        await until(lambda: not jobs.kept)
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError):
            jobs.get(job.id)

    play(scene, tmp_path, keep_seconds=0.1)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"lock", job_store.FILE}
    assert not any(b"secret" in path.read_bytes() for path in files)


def test_a_folder_has_one_server_and_one_user(tmp_path):
    spool = Spool(tmp_path / "state")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    with pytest.raises(UserError, match="used by another server"):
        Spool(tmp_path / "state")
    spool.close(keep=True)
    (tmp_path / "link").symlink_to(tmp_path / "state")
    with pytest.raises(UserError, match="no folder of this user"):
        Spool(tmp_path / "link")


def test_ids_cannot_be_guessed(tmp_path):
    async def scene(jobs):
        ids = [(await jobs.start(PNG, "x")).id for _ in range(3)]
        assert len(set(ids)) == 3
        assert min(map(len, ids)) >= 22  # 128 bits in base64

    play(scene, tmp_path)
