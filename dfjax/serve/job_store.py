"""Jobs on disk, in SQLite: what a server acknowledged survives its end, also by kill -9.

Only one thread uses a store. Nothing is kept beyond a job: freed pages are overwritten.
"""

import dataclasses
import json
import pathlib
import sqlite3
from typing import Any

from dfjax.serve.errors import RequestError
from dfjax.serve.spool import Stored

FILE = "jobs.sqlite3"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY,
  number INTEGER NOT NULL,     -- in order of arrival
  status TEXT NOT NULL,        -- "queued", "running", "done" or "failed"
  starts INTEGER NOT NULL,     -- how often a server began with it
  upload TEXT NOT NULL,        -- JSON of `spool.Stored`
  ended REAL,                  -- seconds since 1970
  report TEXT,                 -- JSON, of a job that is done
  error TEXT                   -- JSON (status, code, message), of a job that failed
)
"""


@dataclasses.dataclass(frozen=True)
class Record:
    """One job as it is stored; see the columns above."""

    id: str
    number: int
    status: str
    starts: int
    upload: Stored
    ended: float | None = None
    error: RequestError | None = None


class JobStore:
    """The jobs in one file."""

    def __init__(self, path: pathlib.Path):
        """Opens or makes the file; raises sqlite3.DatabaseError if it is something else."""
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA secure_delete = ON")
        self._database.execute(_SCHEMA)

    def records(self) -> list[Record]:
        """Returns all jobs, in order of arrival, without their reports."""
        columns = "id, number, status, starts, upload, ended, error"
        rows = self._database.execute(f"SELECT {columns} FROM jobs ORDER BY number")
        return [
            Record(
                *row[:4],
                upload=Stored(**json.loads(row[4])),
                ended=row[5],
                error=None if row[6] is None else RequestError(*json.loads(row[6])),
            )
            for row in rows
        ]

    def add(self, record: Record) -> None:
        """Adds a job that waits."""
        upload = json.dumps(dataclasses.asdict(record.upload))
        self._database.execute(
            "INSERT INTO jobs (id, number, status, starts, upload) VALUES (?, ?, ?, ?, ?)",
            (record.id, record.number, record.status, record.starts, upload),
        )

    def begin(self, job_id: str) -> None:
        """Notes that a server works on a job."""
        self._database.execute(
            "UPDATE jobs SET status = 'running', starts = starts + 1 WHERE id = ?", (job_id,)
        )

    def give_back(self, job_id: str) -> None:
        """Notes that a server stopped before a job ended, which is not the job's fault."""
        self._database.execute(
            "UPDATE jobs SET status = 'queued', starts = max(0, starts - 1) WHERE id = ?", (job_id,)
        )

    def finish(self, job_id: str, report: dict[str, Any], ended: float) -> None:
        """Keeps the report of a job."""
        self._database.execute(
            "UPDATE jobs SET status = 'done', report = ?, ended = ? WHERE id = ?",
            (json.dumps(report), ended, job_id),
        )

    def fail(self, job_id: str, error: RequestError, ended: float) -> None:
        """Keeps why a job failed."""
        described = json.dumps([error.status, error.code, str(error)])
        self._database.execute(
            "UPDATE jobs SET status = 'failed', error = ?, ended = ? WHERE id = ?",
            (described, ended, job_id),
        )

    def report(self, job_id: str) -> dict[str, Any] | None:
        """Returns the report of a job, or None."""
        row = self._database.execute("SELECT report FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None or row[0] is None else json.loads(row[0])

    def remove(self, job_id: str) -> None:
        """Forgets a job."""
        self._database.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def close(self) -> None:
        """Closes the file."""
        self._database.close()
