"""Files that take longer than a request may: analyzed in the background, fetched by an id.

An acknowledged job is on disk, with its upload. A server that is killed and started again goes on
with it; only a job that two servers did not survive fails for that reason.
"""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from dfjax.sandbox.errors import WorkerError
from dfjax.serve import errors, job_store
from dfjax.serve.errors import RequestError
from dfjax.serve.job_store import JobStore, Record
from dfjax.serve.spool import Spool, Stored

_log = logging.getLogger(__name__)

Report = dict[str, Any]
Progress = Callable[[float], None]
Work = Callable[[Stored, Progress], Awaitable[Report]]
T = TypeVar("T")

_MAX_STARTS = 2  # of servers that end before the job does
_FETCH_SECONDS = 5.0  # a client that polls has seen by then that its job ended


@dataclasses.dataclass(eq=False)
class Job:
    """One file in the background.

    Attributes:
      id: cannot be guessed: it is all that protects the report.
      number: in order of arrival.
      upload: the file.
      status: "queued", "running", "done" or "failed".
      starts: how often a server began with it.
      progress: 0 to 1.
      error: of a job that failed.
      ended: when, in seconds since 1970; None: it has not.
      fetched: the client has seen that the job ended.
      task: runs it, and forgets it after a while.
    """

    id: str
    number: int
    upload: Stored
    status: str = "queued"
    starts: int = 0
    progress: float = 0.0
    error: RequestError | None = None
    ended: float | None = None
    fetched: bool = False
    task: asyncio.Task | None = None

    @property
    def finished(self) -> bool:
        return self.status in ("done", "failed")


class Jobs:
    """The jobs of a server, in its spool."""

    def __init__(
        self,
        spool: Spool,
        work: Work,
        *,
        max_jobs: int,
        max_bytes: int,
        at_once: int,
        keep_seconds: float,
    ):
        """`work` makes the report on an upload.

        At most `at_once` jobs run at a time, at most `max_jobs` are kept, finished or not, and
        uploads that wait have at most `max_bytes`. A finished job is kept for `keep_seconds`.

        Raises:
          sqlite3.DatabaseError: the file of jobs in the spool is damaged.
        """
        self._spool, self._work = spool, work
        self._max_jobs, self._max_bytes, self._keep_seconds = max_jobs, max_bytes, keep_seconds
        self._turn = asyncio.Semaphore(at_once)
        self._store = JobStore(spool.path / job_store.FILE)
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "jobs")
        self._jobs = {record.id: _restored(record) for record in self._store.records()}
        self._stopping: set[asyncio.Task] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs jobs for as long as the context lasts; those that have not ended stay on disk."""
        self._spool.keep_only([job.upload.path for job in self._jobs.values()])
        for job in self._jobs.values():
            job.task = asyncio.create_task(self._live(job))
        try:
            yield
        finally:
            tasks = [job.task for job in self._jobs.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, *self._stopping, return_exceptions=True)
            for job in self._jobs.values():
                if not job.finished:
                    await self._in_store(self._store.give_back, job.id)
            self._thread.shutdown()
            self._store.close()

    @property
    def num_unfinished(self) -> int:
        """Jobs that are queued or running, deleted ones that have not stopped yet among them."""
        return sum(not job.finished for job in self._jobs.values()) + len(self._stopping)

    @property
    def kept(self) -> bool:
        """Whether there is a job that a later server should find."""
        return bool(self._jobs)

    async def start(self, data: bytes, name: str) -> Job:
        """Returns a new job on a file, which is on disk then.

        Raises:
          RequestError: as many jobs or bytes are kept as may be (429), or the disk is full (507).
          MediaError: the bytes do not begin like an accepted file.
        """
        if len(self._jobs) >= self._max_jobs:
            await self._forget_one()
        waiting = sum(job.upload.size for job in self._jobs.values() if not job.finished)
        if waiting + len(data) > self._max_bytes:
            raise errors.overloaded(f"{waiting} bytes of jobs are waiting", 30)
        upload = await asyncio.to_thread(self._spool.store, data, name)
        number = 1 + max((job.number for job in self._jobs.values()), default=0)
        job = Job(secrets.token_urlsafe(16), number, upload)
        self._jobs[job.id] = job
        record = Record(job.id, job.number, job.status, job.starts, upload)
        try:
            await self._in_store(self._store.add, record)
        except BaseException:
            del self._jobs[job.id]
            self._spool.remove(upload)
            raise
        job.task = asyncio.create_task(self._live(job))
        return job

    def get(self, job_id: str) -> Job:
        """Returns the job, or raises RequestError (404)."""
        if job_id not in self._jobs:
            raise RequestError(404, "no_job", "there is no such job, or it was forgotten")
        return self._jobs[job_id]

    async def report(self, job: Job) -> Report | None:
        """Returns the report of a job that is done; else None."""
        return await self._in_store(self._store.report, job.id) if job.status == "done" else None

    async def delete(self, job_id: str) -> None:
        """Stops a job and forgets it; raises RequestError (404) if there is none."""
        job = self.get(job_id)
        del self._jobs[job_id]
        await self._in_store(self._store.remove, job_id)
        job.task.cancel()
        stopping = asyncio.create_task(self._stopped(job))
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)

    async def _stopped(self, job: Job) -> None:
        await asyncio.gather(job.task, return_exceptions=True)
        self._spool.remove(job.upload)

    async def _live(self, job: Job) -> None:
        """The life of a job: its turn, its work, its end, and the time that it is kept."""
        if not job.finished:
            async with self._turn:
                await self._run(job)
            self._spool.remove(job.upload)
        await asyncio.sleep(max(0.0, job.ended + self._keep_seconds - time.time()))
        del self._jobs[job.id]
        await self._in_store(self._store.remove, job.id)

    async def _run(self, job: Job) -> None:
        try:
            if job.starts >= _MAX_STARTS:
                raise _given_up()
            await self._in_store(self._store.begin, job.id)
            job.status = "running"
            report = await self._report(job)
            job.ended = time.time()
            await self._in_store(self._store.finish, job.id, report, job.ended)
            job.status, job.progress = "done", 1.0
        except Exception as error:
            job.error, job.ended = errors.from_exception(error), time.time()
            if job.error.status == 500:
                _log.exception("a job failed")
            with contextlib.suppress(RequestError):  # the disk is full: this server still knows
                await self._in_store(self._store.fail, job.id, job.error, job.ended)
            job.status = "failed"

    async def _report(self, job: Job) -> Report:
        def advance(share: float) -> None:
            job.progress = max(job.progress, min(1.0, share))

        if not os.path.exists(job.upload.path):
            raise RequestError(410, "lost", "the file is gone from the server: send it again")
        try:
            return await self._work(job.upload, advance)
        except WorkerError:  # it may have been the machine's fault: a second death is the file's
            return await self._work(job.upload, advance)

    async def _forget_one(self) -> None:
        """Makes room: by a job that failed, by one that was fetched, or else by the oldest."""
        before = time.time() - _FETCH_SECONDS
        ended = [job for job in self._jobs.values() if job.finished]
        candidates = [job for job in ended if job.fetched or job.ended < before]
        if not candidates:
            raise errors.overloaded(f"{len(self._jobs)} jobs are kept", 10)
        order = {"failed": 0, "done": 1}
        job = min(candidates, key=lambda j: (order[j.status], not j.fetched, j.number))
        await self.delete(job.id)

    async def _in_store(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, function, *arguments)
        except sqlite3.OperationalError as error:
            message = "the server cannot write its jobs: try again"
            raise RequestError(507, "storage_full", message, retry_after=30) from error


def _restored(record: Record) -> Job:
    """A job of an earlier server: one that had not ended waits again."""
    ended = record.status in ("done", "failed")
    return Job(
        record.id,
        record.number,
        record.upload,
        status=record.status if ended else "queued",
        starts=record.starts,
        progress=1.0 if record.status == "done" else 0.0,
        error=record.error,
        ended=record.ended,
    )


def _given_up() -> RequestError:
    message = "the server ended twice while it worked on the file: encode it again"
    return RequestError(422, "corrupt", message)
