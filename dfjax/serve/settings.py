"""Every limit of a server, with its reason."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where a server listens, what it serves and what a request may cost.

    Attributes:
      model: workdir of a run, folder of an export, or a folder of integer versions of them.
      runtime: what scores, a key of `inference.runtimes`; None: the fastest that is installed.
      expect: the SHA-256 of the one export that may serve (its export.json); None: any may.
      host, port: the address to listen on; the default can be reached from this machine alone.
      allowed_hosts: names of this server, besides those of loopback; empty: see `serve.origins`.
      allowed_origins: other sites whose pages may use it (CORS), as "https://app.example".
      num_frames: frames of a video, evenly spread; as many as `dfjax predict` reads.
      workers: processes that decode uploads and extract faces; each keeps one core busy.
      max_connections: each takes a descriptor, of which a process often has 1,024.
      head_seconds: time for the head of a request to arrive, also on a new connection.
      max_body_bytes: length of a request's body; a phone's clip of half a minute fits.
      max_json_bytes: length of JSON; 64 crops of 256 pixels fit as base64 of PNG files.
      max_json_values: numbers in JSON, about five such crops; parsing them stops everything else.
      max_total_bytes: all bodies in memory; parsing one takes three times its length.
      reserved_share: of that, what only small bodies may fill: a few stalled videos leave room for
        pictures.
      small_bytes: length of a small body, which must say it beforehand.
      max_waiting: files waiting for a worker; more would wait longer than a person does.
      max_crops: crops waiting for the model: two full batches.
      max_batch: crops that the model scores at once.
      batch_seconds: how long a crop waits for others to share its batch.
      upload_seconds: time for a body to arrive; a sender that stalls holds memory.
      stall_seconds, min_bytes_per_second: as much must arrive in every such time, or else the rest.
      request_seconds: time from the whole body to the answer; less than proxies wait (60).
      job_seconds: time to decode the file of a job and to extract its faces.
      max_job_bytes: uploads of jobs on disk; less than the volume of the manifest.
      max_jobs: jobs that are kept, finished or not; a report takes about 200 kB.
      keep_seconds: how long the report of a finished job is kept.
      alive_seconds: time between two looks whether the decode processes live.
      touch_seconds: time between two signs of life for programs that clean temporary folders.
      state: folder of uploads and jobs; None: one below TMPDIR, of this user and port.
      trust_list: file of the issuers of content credentials that are trusted; None: none is.
      require_sandbox: do not start where Landlock or seccomp is missing.
      drain_seconds: how long a stopping server goes on with its work; Kubernetes kills after 30.
      poll_seconds: time between two looks for a new version of the model.
    """

    model: str
    runtime: str | None = None
    expect: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: Sequence[str] = ()
    allowed_origins: Sequence[str] = ()
    num_frames: int = 32
    workers: int = 2
    max_connections: int = 512
    head_seconds: float = 10.0
    max_body_bytes: int = 64 * 2**20
    max_json_bytes: int = 16 * 2**20
    max_json_values: int = 2**20
    max_total_bytes: int = 256 * 2**20
    reserved_share: float = 0.25
    small_bytes: int = 8 * 2**20
    max_waiting: int = 8
    max_crops: int = 64
    max_batch: int = 32
    batch_seconds: float = 0.003
    upload_seconds: float = 60.0
    stall_seconds: float = 5.0
    min_bytes_per_second: int = 64_000
    request_seconds: float = 50.0
    job_seconds: float = 300.0
    max_job_bytes: int = 512 * 2**20
    max_jobs: int = 100
    keep_seconds: float = 600.0
    alive_seconds: float = 1.0
    touch_seconds: float = 3600.0
    state: str | None = None
    trust_list: str | None = None
    require_sandbox: bool = False
    drain_seconds: float = 25.0
    poll_seconds: float = 5.0
