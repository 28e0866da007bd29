"""What a server holds, and its two services: a file to a report, crops to scores."""

import asyncio
import contextlib
import dataclasses
import functools
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np

from dfjax.inference import detector as detectors
from dfjax.inference import extract, report
from dfjax.serve import errors
from dfjax.serve.batcher import Batcher
from dfjax.serve.decoder import Decoder
from dfjax.serve.errors import RequestError
from dfjax.serve.jobs import Job, Jobs
from dfjax.serve.model_versions import Version, Versions
from dfjax.serve.monitoring import Monitoring
from dfjax.serve.settings import Settings
from dfjax.serve.upload import Upload


@dataclasses.dataclass(frozen=True)
class Scores:
    """One row per crop: `score` is P(fake), `label` "real", "fake" or "inconclusive"."""

    logit: np.ndarray
    score: np.ndarray
    label: list[str]


class Service:
    """One server's model, processes, queues and counters.

    Attributes:
      draining: the server was told to stop, and takes nothing new.
      in_flight: requests that are being worked on.
      held_bytes: of bodies in memory.
    """

    def __init__(self, settings: Settings):
        """Loads the model and starts the processes.

        Raises:
          UserError: there is no model at `settings.model`, or it fails its test.
          RuntimeError: no process starts.
        """
        self.settings, self.monitoring = settings, Monitoring()
        self.draining, self.in_flight, self.held_bytes = False, 0, 0
        self.versions = Versions(
            settings.model, runtime=settings.runtime, changed=self.monitoring.set_version
        )
        self.decoder = Decoder(workers=settings.workers, max_waiting=settings.max_waiting)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs the queues, and looks for new versions of the model, as long as it lasts."""
        given = self.settings
        self.batcher = Batcher(
            max_crops=given.max_crops,
            max_batch=given.max_batch,
            seconds=given.batch_seconds,
            observe=self.monitoring.batch_crops.observe,
        )
        # One worker stays free for those who wait for their answer.
        at_once = max(1, given.workers - 1)
        self.jobs = Jobs(max_jobs=given.max_jobs, at_once=at_once, keep_seconds=given.keep_seconds)
        poller = asyncio.create_task(self._poll())
        try:
            yield
        finally:
            poller.cancel()
            await self.jobs.close()
            await self.batcher.close()
            self.decoder.close()

    @property
    def idle(self) -> bool:
        """Nothing is being worked on."""
        return self.in_flight == 0 and self.jobs.num_unfinished == 0

    def hold(self, count: int) -> None:
        """Counts bytes as held, or raises RequestError (429) where there are too many already."""
        if self.held_bytes + count > self.settings.max_total_bytes:
            raise errors.overloaded("too many uploads at a time", 5)
        self.held_bytes += count

    def release(self, count: int) -> None:
        """Counts bytes as held no more."""
        self.held_bytes -= count

    def start_job(self, upload: Upload) -> Job:
        """Returns a job that reports on a file; raises RequestError (429) where there are too many.

        The file is held in memory until its turn has come.
        """
        work = functools.partial(self.detect, upload, self.settings.job_seconds)
        size = len(upload.data)
        self.hold(size)
        try:
            job = self.jobs.start(work)
        except RequestError:
            self.release(size)
            raise
        job.task.add_done_callback(lambda _: self.release(size))
        return job

    def version(self, number: str | None) -> Version:
        """Returns the version that serves; RequestError (404) where `number` is another."""
        current = self.versions.current
        if number not in (None, str(current.number)):
            raise RequestError(
                404, "no_version", f"version {number[:20]!r} is not served: {current.number} is"
            )
        return current

    async def detect(
        self, upload: Upload, seconds: float, progress: Callable[[float], None] | None = None
    ) -> dict[str, Any]:
        """Returns the report on a file, which may take `seconds` to decode and search.

        Raises:
          MediaError, TimeLimitError, WorkerError: see `Decoder.find`.
        """
        detector, settings = (
            self.versions.current.detector,
            {"num_frames": self.settings.num_frames},
        )
        found = await self.decoder.find(
            upload.data,
            detector.spec,
            num_frames=self.settings.num_frames,
            seconds=seconds,
            progress=progress,
        )
        began = time.perf_counter()
        crops = detectors.stack_crops(found.faces, detector.spec.size)
        logits = await self.batcher.logits_of_file(detector.scorer, crops)
        write = functools.partial(
            _write_report, detector, found, logits, time.perf_counter() - began, upload, settings
        )
        written = await self.batcher.run(write)
        self.monitoring.verdicts.labels(written["verdict"]["label"]).inc()
        return written

    async def decode_crops(self, version: Version, pictures: Sequence[bytes]) -> np.ndarray:
        """Returns encoded pictures of faces as the model takes them, uint8 [N, S, S, 3].

        Raises:
          MediaError, TimeLimitError, WorkerError: see `Decoder.find`.
          RequestError: none (400), more than can be scored at once (413), too many wait (429).
        """
        if not pictures:
            raise RequestError(400, "bad_request", "no picture: send at least one")
        if len(pictures) > self.settings.max_crops:
            message = f"{len(pictures)} pictures: send {self.settings.max_crops} at a time"
            raise RequestError(413, "too_large", message)
        self.decoder.check_room()
        spec, seconds = version.detector.spec, self.settings.request_seconds
        return await self.decoder.decode_crops(pictures, spec, seconds=seconds)

    async def score(self, version: Version, crops: np.ndarray) -> Scores:
        """Returns the scores of crops uint8 [N, S, S, 3]; raises as `Batcher.logits`."""
        model = version.detector.scorer
        logit = await self.batcher.logits(model, crops)
        score, decide = model.card.score(logit), model.card.decision("frame").decide
        label = [decide(float(each)) for each in score]
        return Scores(logit.astype(np.float32), score.astype(np.float32), label)

    def render_metrics(self) -> bytes:
        """Returns the counters as Prometheus reads them."""
        now = self.monitoring
        now.queue_crops.set(self.batcher.num_crops)
        now.queue_files.set(self.decoder.num_waiting)
        now.held_bytes.set(self.held_bytes)
        now.unfinished_jobs.set(self.jobs.num_unfinished)
        now.worker_restarts.set(self.decoder.sandbox.num_restarts)
        now.refused_versions.set(self.versions.num_refused)
        return now.render()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self.settings.poll_seconds)
            # A folder may change while it is read: the next look will find it whole.
            with contextlib.suppress(OSError, ValueError):
                await self.versions.poll()


def _write_report(
    detector: detectors.Detector,
    found: extract.ExtractedFaces,
    logits: np.ndarray,
    seconds: float,
    upload: Upload,
    settings: dict[str, Any],
) -> dict[str, Any]:
    result = detector.judge(found, detector.scorer.card.score(logits), seconds=seconds)
    digest = hashlib.sha256(upload.data).hexdigest()
    source = report.Source(upload.name, digest, len(upload.data))
    return report.make_report(result, detector, source, settings)
