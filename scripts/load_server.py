"""Overloads a server, or soaks it in mixed and hostile traffic, and prints how it answers.

    python scripts/load_server.py load --model runs/resnet --seconds 20
    python scripts/load_server.py soak --model runs/resnet --minutes 30

`load` asks for twice as many scores as the model can give. The model is slowed to a known rate, so
that the server is measured and not the load generator; `serve` runs such a server alone. `soak`
compares honest traffic with the same amid attacks, hang-ups, killed workers and a killed server.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import httpx
import numpy as np

from dfjax import model_card
from dfjax.commands import process
from dfjax.inference.scorer import Scorer
from dfjax.serve import app
from dfjax.serve.settings import Settings
from soak import phases

BATCH = 8
BATCH_SECONDS = 0.2
CAPACITY = BATCH / BATCH_SECONDS  # crops a second


def main() -> int:
    """Runs the subcommand with the set-up of the commands; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="run a server whose model is slow")
    serve.set_defaults(run=serve_slowly)
    serve.add_argument("settings", help="JSON of `serve.settings.Settings`")
    serve.add_argument("seconds", type=float, help="what every batch takes longer")
    load = commands.add_parser("load", help="start such a server and overload it")
    load.set_defaults(run=print_load)
    load.add_argument("--model", required=True, help="workdir of a run, or folder of an export")
    load.add_argument("--factor", type=float, default=2.0, help="times what the model can do")
    load.add_argument("--seconds", type=float, default=20.0, help="how long")
    soak = commands.add_parser("soak", help="attack a server amid honest traffic, and judge it")
    soak.set_defaults(run=phases.print_soak)
    soak.add_argument("--model", required=True, help="workdir of a run, or folder of an export")
    soak.add_argument("--minutes", type=float, default=30.0, help="how long")
    soak.add_argument("--seed", type=int, default=0, help="of the traffic")
    return process.run(parser, None)


class SlowScorer:
    """A scorer whose every batch takes `seconds` longer."""

    def __init__(self, scorer: Scorer, seconds: float):
        self._scorer, self._seconds = scorer, seconds

    def __getattr__(self, name: str) -> Any:
        """Returns what it does not change."""
        return getattr(self._scorer, name)

    def outputs(self, crops: np.ndarray) -> np.ndarray:
        """Returns what the scorer says of crops, late."""
        time.sleep(self._seconds)
        return self._scorer.outputs(crops)


def serve_slowly(arguments: argparse.Namespace) -> int:
    """Serves a model whose every batch takes `seconds` longer than it needs."""
    settings = Settings(**json.loads(arguments.settings))
    app.set_up_log()
    listener = app.bind(settings)
    application = app.create_app(settings)
    detector = application.state.service.model_versions.current.detector
    detector.scorer = SlowScorer(detector.scorer, arguments.seconds)
    app.run(application, listener)
    return 0


def print_load(arguments: argparse.Namespace) -> int:
    """Starts a slow server, asks for `factor` times its capacity, and prints the answers."""
    model, rate = arguments.model, arguments.factor * CAPACITY
    size = model_card.read(model).crop_spec.size
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"model": model, "port": port, "max_batch": BATCH, "max_crops": 4 * BATCH}
    command = [sys.executable, __file__, "serve", json.dumps(settings), str(BATCH_SECONDS)]
    server = subprocess.Popen(command, env=os.environ, stderr=subprocess.DEVNULL)
    try:
        print(asyncio.run(measure(port, size, rate, arguments.seconds)))
    finally:
        server.send_signal(signal.SIGTERM)
        print("exit status", server.wait(40))
    return 0


async def measure(port: int, size: int, rate: float, seconds: float) -> str:
    """Sends one crop `rate` times a second for `seconds`; returns a table of the answers."""
    crop = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    tensor = {"name": "image", "shape": [1, size, size, 3], "datatype": "UINT8"}
    tensor["parameters"] = {"binary_data_size": crop.size}
    head = json.dumps({"inputs": [tensor], "outputs": [{"name": "score"}]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    limits = httpx.Limits(max_connections=None)
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120) as client:
        await wait_until_ready(client)

        async def score() -> tuple[int, float]:
            began = time.perf_counter()
            answer = await client.post(
                "/v2/models/dfjax/infer", content=head + crop.tobytes(), headers=headers
            )
            return answer.status_code, time.perf_counter() - began

        async def check_health() -> tuple[str, float]:
            began = time.perf_counter()
            await client.get("/v2/health/live")
            return "health", time.perf_counter() - began

        began, tasks = time.perf_counter(), []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            tasks.append(asyncio.create_task(score()))
            if number % 20 == 0:
                tasks.append(asyncio.create_task(check_health()))
        answers = await asyncio.gather(*tasks)
        taken = time.perf_counter() - began
        after = (await score())[1]
    return describe(answers, taken, after)


async def wait_until_ready(client: httpx.AsyncClient) -> None:
    """Returns when the server answers."""
    for _ in range(600):
        try:
            if (await client.get("/v2/health/ready")).status_code == 200:
                return
        except httpx.TransportError:
            await asyncio.sleep(0.2)
    raise TimeoutError("the server does not start: run `serve` alone to see its log")


def describe(answers: list[tuple[int | str, float]], taken: float, after: float) -> str:
    """Returns the table of answers (kind, seconds); all of them took `taken` seconds."""
    lines = []
    for kind in sorted({kind for kind, _ in answers}, key=str):
        times = 1000 * np.array([seconds for other, seconds in answers if other == kind])
        p50, p99 = np.percentile(times, [50, 99])
        lines.append(f"{kind!s:>6}: {len(times):5d} answers, p50 {p50:6.0f} ms, p99 {p99:6.0f} ms")
    scored = sum(kind == 200 for kind, _ in answers)
    lines.append(f"throughput {scored / taken / CAPACITY:.0%} of capacity ({CAPACITY:.0f}/s)")
    lines.append(f"one request right after: {1000 * after:.0f} ms")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
