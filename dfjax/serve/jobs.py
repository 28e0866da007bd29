"""Files that take longer than a request may: analyzed in the background, fetched by an id."""

import asyncio
import contextlib
import dataclasses
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from dfjax.serve import errors
from dfjax.serve.errors import RequestError

Report = dict[str, Any]
Progress = Callable[[float], None]


@dataclasses.dataclass(eq=False)
class Job:
    """One file in the background.

    Attributes:
      id: cannot be guessed: it is all that protects the report.
      status: "queued", "running", "done" or "failed".
      progress: 0 to 1.
      report: of a job that is done.
      error: of a job that failed.
      fetched: the client has seen that the job ended.
      task: what runs it.
    """

    id: str
    status: str = "queued"
    progress: float = 0.0
    report: Report | None = None
    error: RequestError | None = None
    fetched: bool = False
    task: asyncio.Task | None = None

    @property
    def finished(self) -> bool:
        return self.status in ("done", "failed")


class Jobs:
    """The jobs of a server; a finished one is forgotten after a while."""

    def __init__(self, *, max_jobs: int, at_once: int, keep_seconds: float):
        """At most `at_once` run at a time and at most `max_jobs` are kept, finished or not."""
        self._max_jobs, self._keep_seconds = max_jobs, keep_seconds
        self._turn = asyncio.Semaphore(at_once)
        self._jobs: dict[str, Job] = {}

    @property
    def num_unfinished(self) -> int:
        """Jobs that are queued or running."""
        return sum(not job.finished for job in self._jobs.values())

    def start(self, work: Callable[[Progress], Awaitable[Report]]) -> Job:
        """Returns a new job; `work` makes its report.

        Raises:
          RequestError: as many jobs are kept as may be (429).
        """
        if len(self._jobs) >= self._max_jobs:
            self._forget_one()
        job = Job(secrets.token_urlsafe(16))
        self._jobs[job.id] = job
        job.task = asyncio.create_task(self._run(job, work))
        return job

    def get(self, job_id: str) -> Job:
        """Returns the job, or raises RequestError (404)."""
        if job_id not in self._jobs:
            raise RequestError(404, "no_job", "there is no such job, or it was forgotten")
        return self._jobs[job_id]

    def delete(self, job_id: str) -> None:
        """Stops a job and forgets it; raises RequestError (404) if there is none."""
        self.get(job_id).task.cancel()
        del self._jobs[job_id]

    async def close(self) -> None:
        """Stops all jobs."""
        tasks = [job.task for job in self._jobs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: Job, work: Callable[[Progress], Awaitable[Report]]) -> None:
        def advance(share: float) -> None:
            job.progress = max(job.progress, min(1.0, share))

        async with self._turn:
            job.status = "running"
            try:
                job.report = await work(advance)
                job.status, job.progress = "done", 1.0
            except Exception as error:
                job.error, job.status = errors.from_exception(error), "failed"
        asyncio.get_running_loop().call_later(self._keep_seconds, self._jobs.pop, job.id, None)

    def _forget_one(self) -> None:
        """Makes room by the oldest job whose end was fetched."""
        fetched = (job for job in self._jobs.values() if job.fetched)
        with contextlib.suppress(StopIteration):
            del self._jobs[next(fetched).id]
            return
        raise errors.overloaded(f"{len(self._jobs)} jobs are kept", max(1, int(self._keep_seconds)))
