"""What a server counts for Prometheus: one registry per server, named by its conventions."""

from collections.abc import Sequence

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from dfjax.serve.model_versions import ModelVersion

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60)
_CROPS = (1, 2, 4, 8, 16, 32)


class Monitoring:
    """The counters; `render` returns them as text."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        bound = {"registry": self._registry}
        self.requests = Counter(
            "dfjax_requests", "Requests", ["method", "route", "status"], **bound
        )
        self.seconds = Histogram(
            "dfjax_request_seconds", "From head to answer", ["route"], buckets=_SECONDS, **bound
        )
        self.batch_crops = Histogram(
            "dfjax_batch_crops", "Crops scored at once", buckets=_CROPS, **bound
        )
        self.verdicts = Counter("dfjax_verdicts", "Reports by verdict", ["label"], **bound)
        self.queue_crops = Gauge("dfjax_queue_crops", "Crops waiting for the model", **bound)
        self.queue_files = Gauge("dfjax_queue_files", "Tasks waiting for a worker", **bound)
        self.held_bytes = Gauge("dfjax_held_bytes", "Bodies held in memory", **bound)
        self.unfinished_jobs = Gauge("dfjax_unfinished_jobs", "Jobs queued or running", **bound)
        self.worker_restarts = Gauge(
            "dfjax_worker_restarts_total", "Decode processes that died or were killed", **bound
        )
        self.refused_versions = Gauge(
            "dfjax_refused_versions_total", "Versions of the model that failed their check", **bound
        )
        self._sandbox = Gauge(
            "dfjax_sandbox_info", "What holds around each decode process", ["layers"], **bound
        )
        self.poll_errors = Gauge(
            "dfjax_poll_errors_total", "Looks for versions of the model that failed", **bound
        )
        self._model = Gauge(
            "dfjax_model_info", "The model that serves", ["version", "model", "weights"], **bound
        )

    def set_version(self, version: ModelVersion) -> None:
        """Notes which model serves."""
        card = version.detector.scorer.card
        self._model.clear()
        self._model.labels(str(version.number), card.model_name, card.weights).set(1)

    def set_sandbox(self, layers: Sequence[str]) -> None:
        """Notes what holds around each decode process."""
        self._sandbox.labels(", ".join(layers)).set(1)

    def render(self) -> bytes:
        """Returns all counters in the text format of Prometheus."""
        return prometheus_client.generate_latest(self._registry)
