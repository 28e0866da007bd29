"""What one server may be asked for and may use. Every limit is here, with its reason."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where the server listens, what it serves and what a request may cost.

    Attributes:
      model: a run's workdir, an export's folder, or a folder of integer versions of either.
      runtime: that scores, a key of `inference.runtimes`; None: the fastest that there is.
      host, port: where to listen; the default can be reached from this machine alone.
      num_frames: of a video, evenly spread; what `dfjax predict` looks at.
      workers: processes that decode and search; each keeps one core busy.
      max_body_bytes: of a request; a phone's clip of half a minute.
      max_json_bytes: of JSON: 64 crops of 256 pixels as base64 of PNG files.
      max_json_values: in JSON, about five such crops as numbers: while they are parsed, nothing
        else runs.
      max_total_bytes: of all bodies held at a time; while one is parsed it takes thrice that.
      max_waiting: files that wait for a worker; more would wait longer than a person does.
      max_crops: face crops that wait for the model: two full batches.
      max_batch: crops that the model scores at once.
      batch_seconds: that a crop waits for others to share a batch with.
      upload_seconds: in which a body has to arrive: a sender that stalls holds memory.
      request_seconds: from the whole body to the answer; below what proxies wait (60).
      job_seconds: to decode and search the file of a job.
      max_jobs: that are kept, unfinished or finished; a report takes about 200 kB.
      keep_seconds: that a finished job's report is kept.
      drain_seconds: that a server told to stop goes on with what it has; Kubernetes kills after 30.
      poll_seconds: between two looks for a new version of the model.
    """

    model: str
    runtime: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    num_frames: int = 32
    workers: int = 2
    max_body_bytes: int = 64 * 2**20
    max_json_bytes: int = 16 * 2**20
    max_json_values: int = 2**20
    max_total_bytes: int = 256 * 2**20
    max_waiting: int = 8
    max_crops: int = 64
    max_batch: int = 32
    batch_seconds: float = 0.003
    upload_seconds: float = 60.0
    request_seconds: float = 50.0
    job_seconds: float = 300.0
    max_jobs: int = 100
    keep_seconds: float = 600.0
    drain_seconds: float = 25.0
    poll_seconds: float = 5.0
