"""What one server holds, and its two services: a file to a report, crops to scores."""

import asyncio
import contextlib
import dataclasses
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np

from dfjax.errors import UserError
from dfjax.evidence import content_credentials
from dfjax.inference import report
from dfjax.inference.detector import Detector, Result, stack_crops
from dfjax.inference.extract import ExtractedFaces
from dfjax.sandbox import confinement
from dfjax.serve.batcher import Batcher
from dfjax.serve.decoder import Decoder
from dfjax.serve.errors import RequestError
from dfjax.serve.jobs import Jobs, Work
from dfjax.serve.load import Load
from dfjax.serve.model_versions import ModelVersion, ModelVersions
from dfjax.serve.monitoring import Monitoring
from dfjax.serve.settings import Settings
from dfjax.serve.spool import Spool, Stored
from dfjax.serve.upload import Upload

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Scores:
    """The scores of N crops.

    Attributes:
      score: float32 [N], P(fake).
      logit: float32 [N].
      label: "real", "fake" or "inconclusive", N of them.
      strangeness: float32 [N], how unlike the training data; None: the model has no gate.
      attention: float32 [N], how much a frame counts in its clip, as a logarithm; None: the model
        has learned nothing of that.
    """

    score: np.ndarray
    logit: np.ndarray
    label: list[str]
    strangeness: np.ndarray | None
    attention: np.ndarray | None

    @property
    def columns(self) -> dict[str, np.ndarray | list[str]]:
        """What there is, by name."""
        named = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: values for name, values in named.items() if values is not None}


class Service:
    """One server's model, processes, queues and counters.

    Attributes:
      settings: its limits.
      monitoring: counters for Prometheus.
      load: requests and bodies in progress.
      batcher: the queue in front of the model.
      model_versions: which model serves.
      decoder: the processes that decode uploads.
      spool: uploads on disk.
      jobs: files in the background.
    """

    def __init__(self, settings: Settings):
        """Loads the model and starts the processes; the queues stand still until `running`.

        Raises:
          UserError: there is no model at `settings.model`, it fails its check, `settings.state` is
            in use or damaged, `settings.trust_list` holds no certificates, or a layer of the
            sandbox that `settings` requires is missing.
          RuntimeError: no process starts.
        """
        self.settings, self.monitoring = settings, Monitoring()
        trust_list, self._report_settings = None, {"num_frames": settings.num_frames}
        if settings.trust_list is not None:
            trust_list = content_credentials.read_trust_list(settings.trust_list)
            self._report_settings["trust_list"] = content_credentials.digest(trust_list)
        self.load = Load(
            max_bytes=settings.max_total_bytes,
            reserved_bytes=int(settings.reserved_share * settings.max_total_bytes),
        )
        self.batcher = Batcher(
            max_crops=settings.max_crops,
            max_batch=settings.max_batch,
            batch_seconds=settings.batch_seconds,
            observe=self.monitoring.batch_crops.observe,
        )
        with contextlib.ExitStack() as undo:
            # Before the model, which takes a while to load: the folder may be refused.
            self.spool = Spool(settings.state, port=settings.port)
            undo.callback(self.spool.close, keep=True)
            self.model_versions = ModelVersions(
                settings.model,
                runtime=settings.runtime,
                expect=settings.expect,
                on_change=self.monitoring.set_version,
            )
            self.decoder = Decoder(
                workers=settings.workers,
                max_waiting=settings.max_waiting,
                trust_list=trust_list,
            )
            undo.callback(self.decoder.close)
            layers = self.decoder.sandbox.layers
            if settings.require_sandbox and (missing := confinement.missing(layers)):
                raise UserError(
                    f"this system lacks {' and '.join(missing)}: use a newer kernel, or a "
                    "container that allows them, or leave --require-sandbox out"
                )
            self.jobs = _open_jobs(self.spool, self._detect_job, settings)
            undo.pop_all()
        self.monitoring.set_sandbox(layers)
        _log.info("sandbox: %s", _listed(layers))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs the queues and what looks after them while the context lasts."""
        try:
            async with self.batcher.running(), self.jobs.running():
                poll_seconds, alive_seconds = (
                    self.settings.poll_seconds,
                    self.settings.alive_seconds,
                )
                watching = [
                    asyncio.create_task(self.model_versions.watch(poll_seconds)),
                    asyncio.create_task(self.decoder.keep_alive(alive_seconds)),
                    asyncio.create_task(self._touch_spool()),
                ]
                try:
                    yield
                finally:
                    for task in watching:
                        task.cancel()
        finally:
            self.decoder.close()
            self.spool.close(keep=self.jobs.kept)

    @property
    def ready(self) -> bool:
        """Whether a request would be answered now: the server does not stop, and can decode."""
        return not self.load.draining and self.decoder.sandbox.alive

    @property
    def idle(self) -> bool:
        """No request and no job is in progress."""
        return self.load.num_requests == 0 and self.jobs.num_unfinished == 0

    def model_version(self, number: str | None) -> ModelVersion:
        """Returns the version that serves; RequestError (404) if `number` is another."""
        current = self.model_versions.current
        if number not in (None, str(current.number)):
            raise RequestError(
                404, "no_version", f"version {number[:20]!r} is not served: {current.number} is"
            )
        return current

    async def detect(self, upload: Upload) -> dict[str, Any]:
        """Returns the report on a file.

        Raises:
          MediaError, TimeLimitError, WorkerError: see `Decoder.extract`.
        """
        stored = await asyncio.to_thread(self.spool.store, upload.data, upload.name)
        try:
            return await self._detect(stored, self.settings.request_seconds)
        finally:
            self.spool.remove(stored)

    async def _detect_job(
        self, stored: Stored, progress: Callable[[float], None]
    ) -> dict[str, Any]:
        return await self._detect(stored, self.settings.job_seconds, progress)

    async def _detect(
        self, stored: Stored, seconds: float, progress: Callable[[float], None] | None = None
    ) -> dict[str, Any]:
        """The report on a file; decoding it and extracting its faces may take `seconds`."""
        detector, num_frames = self.model_versions.current.detector, self.settings.num_frames
        async with self.decoder.turn():
            extracted = await self.decoder.extract(
                stored,
                detector.crop_spec,
                num_frames=num_frames,
                seconds=seconds,
                progress=progress,
            )
            result = await self._judge(detector, extracted)
            # In the thread of the model: a report has heat maps.
            written = await self.batcher.run(
                _make_report, result, detector, stored, self._report_settings
            )
        self.monitoring.verdicts.labels(result.verdict.label).inc()
        return written

    async def _judge(self, detector: Detector, extracted: ExtractedFaces) -> Result:
        """Returns what `Detector.score` does; scores by the queue that all requests share."""
        began = time.perf_counter()
        crops = stack_crops(extracted.faces, detector.crop_spec.size)
        outputs = await self.batcher.outputs_of_file(detector.scorer, crops)
        seconds = time.perf_counter() - began
        return await asyncio.to_thread(detector.judge, extracted, outputs, seconds=seconds)

    async def decode_crops(self, version: ModelVersion, pictures: Sequence[bytes]) -> np.ndarray:
        """Returns encoded pictures of faces as the model takes them, uint8 [N, S, S, 3].

        Raises:
          MediaError, TimeLimitError, WorkerError: see `Decoder.extract`.
          RequestError: too many wait (429).
        """
        self.decoder.check_room()
        spec, seconds = version.detector.crop_spec, self.settings.request_seconds
        return await self.decoder.decode_crops(pictures, spec, seconds=seconds)

    async def score(self, version: ModelVersion, crops: np.ndarray) -> Scores:
        """Returns the scores of crops uint8 [N, S, S, 3]; raises as `Batcher.outputs`."""
        scorer = version.detector.scorer
        logit, strangeness, attention = (await self.batcher.outputs(scorer, crops)).T
        score = scorer.card.score(logit)
        labels = [scorer.card.decide_crop(*each) for each in zip(score, strangeness, strict=True)]
        return Scores(
            np.float32(score),
            np.float32(logit),
            labels,
            np.float32(strangeness) if "strangeness" in scorer.card.outputs else None,
            np.float32(attention) if "attention" in scorer.card.outputs else None,
        )

    def render_metrics(self) -> bytes:
        """Returns the counters as Prometheus reads them."""
        monitoring = self.monitoring
        monitoring.queue_crops.set(self.batcher.num_crops)
        monitoring.queue_files.set(self.decoder.num_waiting)
        monitoring.held_bytes.set(self.load.held_bytes)
        monitoring.unfinished_jobs.set(self.jobs.num_unfinished)
        monitoring.worker_restarts.set(self.decoder.sandbox.num_restarts)
        monitoring.refused_versions.set(self.model_versions.num_refused)
        monitoring.poll_errors.set(self.model_versions.num_poll_errors)
        return monitoring.render()

    async def _touch_spool(self) -> None:
        while True:
            await asyncio.sleep(self.settings.touch_seconds)
            await asyncio.to_thread(self.spool.touch)


def _make_report(
    result: Result, detector: Detector, stored: Stored, settings: dict[str, Any]
) -> dict[str, Any]:
    source = report.Source(stored.name, stored.sha256, stored.size)
    return report.make_report(result, detector, source, settings)


def _open_jobs(spool: Spool, work: Work, settings: Settings) -> Jobs:
    try:
        return Jobs(
            spool,
            work,
            max_jobs=settings.max_jobs,
            max_bytes=settings.max_job_bytes,
            at_once=max(1, settings.workers - 1),  # one stays free for those waiting on a request
            keep_seconds=settings.keep_seconds,
        )
    except sqlite3.DatabaseError as error:
        raise UserError(f"{spool.path} holds damaged jobs ({error}): remove the folder") from error


def _listed(layers: Sequence[str]) -> str:
    return ", ".join(layers) or "limits on memory, time and descriptors alone"
