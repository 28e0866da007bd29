"""What happened, and when: written by all threads of the traffic, read when it is over.

Times are those of the monotonic clock, in seconds.
"""

import collections
import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Operation:
    """Something honest that a client wanted and got: one request, or a job and its report."""

    kind: str
    began: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Attack:
    """Something hostile, and the status of the answer; 0: there was none, or nobody waited."""

    name: str
    status: int
    seconds: float


class Record:
    """The events of one phase of the soak.

    Attributes:
      operations: what honest clients got.
      failures: what they did not get, in words.
      repeats: how often a server asked to repeat a request, by kind.
      excused: requests that ended with a killed process, by kind.
      attacks: what was done to the server, and its answers.
      jobs: the state of every acknowledged job, by id: "open", "done", "failed: CODE",
        "deleted" or "lost".
      memory: (time, bytes) of the server and its descendants.
      neighbors: (time, cores that other programs kept busy).
      kills: times at which a process was killed.
      outages: (began, ended) of the killed server.
    """

    def __init__(self) -> None:
        self.began, self.ended = time.monotonic(), 0.0
        self.operations: list[Operation] = []
        self.failures: list[str] = []
        self.repeats: collections.Counter[str] = collections.Counter()
        self.excused: collections.Counter[str] = collections.Counter()
        self.attacks: list[Attack] = []
        self.jobs: dict[str, str] = {}
        self.memory: list[tuple[float, int]] = []
        self.neighbors: list[tuple[float, float]] = []
        self.kills: list[float] = []
        self.outages: list[tuple[float, float]] = []
        self._down_since: float | None = None
        self._lock = threading.Lock()

    @property
    def up_seconds(self) -> float:
        """How long the server ran."""
        return self.ended - self.began - sum(ended - began for began, ended in self.outages)

    def count(self, counter: collections.Counter, key: object) -> None:
        """Adds one to a counter of this record."""
        with self._lock:
            counter[key] += 1

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """The server is killed at the start of the context, and ready again at its end."""
        self._down_since = time.monotonic()
        yield
        self.outages.append((self._down_since, time.monotonic()))
        self._down_since = None

    def is_excused(self, began: float) -> bool:
        """Whether what began then, and ends now, met a kill or an outage."""
        ended_late = any(ended >= began for _, ended in self.outages)
        return self._down_since is not None or ended_late or any(t >= began for t in self.kills)

    def conclude(self, job: str, state: str) -> None:
        """Notes how a job ended; one that was deleted cannot be lost."""
        with self._lock:
            if self.jobs[job] != "deleted":
                self.jobs[job] = state

    def open_jobs(self) -> list[str]:
        """The jobs whose end was not seen."""
        with self._lock:
            return [job for job, state in self.jobs.items() if state == "open"]
