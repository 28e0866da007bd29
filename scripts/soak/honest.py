"""A client that wants what the server is for, one thing after the other, and waits when told to."""

import base64
import itertools
import json
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx

from dfjax.media import image
from soak.materials import Materials, renamed
from soak.record import Operation, Record

# Of twenty operations; shuffled, so that every stretch of the traffic has the same mix.
_DECK = {
    "picture": 5,
    "clip": 2,
    "job": 2,
    "v2 json": 2,
    "v2 binary": 3,
    "tfs pixels": 2,
    "tfs pictures": 2,
    "health": 1,
    "page": 1,
}
_INFER, _PREDICT = "/v2/models/dfjax/infer", "/v1/models/dfjax:predict"
_PAGE = ("/", "/app.js", "/words.js", "/style.css")
_POLL_SECONDS = 0.25
# Between two operations: two cores are busy then, and have a moment for health checks.
_THINK_SECONDS = 0.1
_MOST_PATIENCE = 10  # seconds: a client waits no longer, whatever Retry-After says
_TIMEOUT = 90.0


class StoppedError(Exception):
    """The traffic is over."""


class RefusedError(Exception):
    """The server refused honest work, or broke off, without a reason that it may have."""


class HonestClient:
    """One client; what it does depends on `seed` and on the answers alone."""

    def __init__(
        self, url: str, seed: int, materials: Materials, record: Record, stop: threading.Event
    ):
        self._rng = random.Random(seed)
        self._materials, self._record, self._stop = materials, record, stop
        # A kept connection is used again only while the server surely keeps it, too.
        limits = httpx.Limits(keepalive_expiry=2.0)
        self._http = httpx.Client(base_url=url, limits=limits, timeout=_TIMEOUT)
        self._crop_bodies = _crop_bodies(materials)

    def run(self) -> None:
        """Works until the traffic is over."""
        with self._http:
            for kind in self._kinds():
                began = time.monotonic()
                try:
                    self._do(kind)
                except StoppedError:
                    return
                except RefusedError as error:
                    self._record.failures.append(f"{kind}: {error}")
                else:
                    spent = time.monotonic() - began
                    self._record.operations.append(Operation(kind, began, spent))
                    self._stop.wait(_THINK_SECONDS)

    def start_job(self) -> str:
        """Returns the id of a new job on a clip."""
        file = self._upload(self._materials.clips)
        job = self._send("job", "POST", "/v1/jobs", files={"file": ("clip.mp4", file)}).json()["id"]
        self._record.jobs[job] = "open"
        return job

    def finish_job(self, job: str) -> dict[str, Any] | None:
        """Waits for the end of a job, which it notes; returns its answer, None if it is lost."""
        while True:
            answer = self._send("job", "GET", f"/v1/jobs/{job}", lost_is_fine=True)
            if answer.status_code == 404:
                self._record.conclude(job, "lost")
                return None
            if (found := answer.json())["status"] in ("done", "failed"):
                self._record.conclude(job, _state(found))
                return found
            time.sleep(_POLL_SECONDS)

    def finish_jobs(self, jobs: list[str]) -> None:
        """Notes how each of the jobs ends, until the traffic is over."""
        try:
            for job in jobs:
                self.finish_job(job)
        except RefusedError as error:
            self._record.failures.append(f"job: {error}")
        except StoppedError:
            pass

    def _kinds(self) -> Iterator[str]:
        deck = list(itertools.chain.from_iterable([k] * count for k, count in _DECK.items()))
        while True:
            self._rng.shuffle(deck)
            yield from deck

    def _do(self, kind: str) -> None:
        if kind == "picture":
            file = ("face.png", self._upload(self._materials.pictures))
            self._send(kind, "POST", "/v1/detect", files={"file": file})
        elif kind == "clip":
            file = ("clip.mp4", self._upload(self._materials.clips))
            self._send(kind, "POST", "/v1/detect", files={"file": file})
        elif kind == "job":
            self._do_job()
        elif kind == "health":
            self._send(kind, "GET", "/v2/health/ready")
        elif kind == "page":
            for path in _PAGE:
                self._send(kind, "GET", path)
        else:
            path, headers, body = self._rng.choice(self._crop_bodies[kind])
            self._send(kind, "POST", path, content=body, headers=headers)

    def _do_job(self) -> None:
        began, job = time.monotonic(), self.start_job()
        found = self.finish_job(job)
        if found and found["status"] == "failed":
            if not self._record.is_excused(began):
                raise RefusedError(f"{found['error']}")
            self._record.count(self._record.excused, "job")
        if found and self._rng.random() < 0.5:
            self._record.conclude(job, "deleted")
            self._send("job", "DELETE", f"/v1/jobs/{job}", lost_is_fine=True)

    def _upload(self, files: list[bytes]) -> bytes:
        return renamed(self._rng.choice(files), self._rng.getrandbits(64))

    def _send(
        self, kind: str, method: str, path: str, *, lost_is_fine: bool = False, **request: Any
    ) -> httpx.Response:
        """Returns a good answer (or 404 where `lost_is_fine`); repeats what may be repeated."""
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                answer = self._http.request(method, path, **request)
            except httpx.TransportError as error:
                self._excuse(kind, began, f"{type(error).__name__}: {error}")
                self._stop.wait(_POLL_SECONDS)
                continue
            if answer.is_success or (lost_is_fine and answer.status_code == 404):
                return answer
            if answer.status_code in (429, 503) and "retry-after" in answer.headers:
                self._record.count(self._record.repeats, kind)
                self._stop.wait(min(int(answer.headers["retry-after"]), _MOST_PATIENCE))
                continue
            self._excuse(kind, began, f"{answer.status_code} {answer.text[:200]}")
        raise StoppedError

    def _excuse(self, kind: str, began: float, what: str) -> None:
        """Counts a request that met a kill; RefusedError for one that did not."""
        if not self._record.is_excused(began):
            raise RefusedError(what)
        self._record.count(self._record.excused, kind)


def _state(job: dict[str, Any]) -> str:
    return "done" if job["status"] == "done" else f"failed: {job['error']['code']}"


def _crop_bodies(materials: Materials) -> dict[str, list[tuple[str, dict[str, str], bytes]]]:
    """Path, headers and body of requests with one crop, and with four, by kind."""
    bodies: dict[str, list[tuple[str, dict[str, str], bytes]]] = {}
    for crops in (materials.crops[:1], materials.crops[:4]):
        tensor = {"name": "image", "shape": list(crops.shape), "datatype": "UINT8"}
        pixels = {**tensor, "data": crops.ravel().tolist()}
        bodies.setdefault("v2 json", []).append((_INFER, {}, _json({"inputs": [pixels]})))
        binary = {**tensor, "parameters": {"binary_data_size": crops.size}}
        head = _json({"inputs": [binary], "outputs": [{"name": "score"}]})
        headers = {"Inference-Header-Content-Length": str(len(head))}
        bodies.setdefault("v2 binary", []).append((_INFER, headers, head + crops.tobytes()))
        instances = {"signature_name": "crops", "instances": crops.tolist()}
        bodies.setdefault("tfs pixels", []).append((_PREDICT, {}, _json(instances)))
        files = [base64.b64encode(image.encode_image(crop, "png")).decode() for crop in crops]
        pictures = {"instances": [{"b64": file} for file in files]}
        bodies.setdefault("tfs pictures", []).append((_PREDICT, {}, _json(pictures)))
    return bodies


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()
