"""Kills workers now and then, and the server once; looks whether jobs outlive it."""

import random
import threading

from soak.honest import HonestClient
from soak.record import Record
from soak.server import Server

KILL_SECONDS = 60.0  # mean time between two kills of a worker
_FRESH_JOBS = 6  # acknowledged right before the server is killed
_FINISHED_JOBS = 20  # that had ended before, the latest ones


class Killer:
    """What kills in one phase of a soak.

    Attributes:
      orphans: processes that the killed server left running.
    """

    def __init__(
        self, server: Server, record: Record, client: HonestClient, *, at: float, seed: int
    ):
        """The server dies at the time `at`; `client` starts the jobs that must outlive it."""
        self._server, self._record, self._client, self._at = server, record, client, at
        self._rng = random.Random(seed)
        self._next = record.began + self._pause()
        self._checking: threading.Thread | None = None
        self.orphans = 0

    def act(self, now: float) -> None:
        """Kills what is due."""
        if now > self._at and self._checking is None:
            self._kill_server()
        if now > self._next:
            self._record.kills.append(now)
            self._server.kill_worker(self._rng)
            self._next = now + self._pause()

    def finish(self) -> None:
        """Waits until the jobs of the killed server were looked at."""
        if self._checking is not None:
            self._checking.join()

    def _pause(self) -> float:
        return self._rng.uniform(0.5, 1.5) * KILL_SECONDS

    def _kill_server(self) -> None:
        """Kills the server and starts it again; a thread then looks for its jobs."""
        finished = [job for job, state in self._record.jobs.items() if state == "done"]
        jobs = [self._client.start_job() for _ in range(_FRESH_JOBS)]
        with self._record.outage():
            self.orphans = self._server.kill()
            self._server.start()
        jobs += finished[-_FINISHED_JOBS:]
        self._checking = threading.Thread(target=self._client.finish_jobs, args=(jobs,))
        self._checking.start()
