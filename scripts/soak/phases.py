"""The phases of a soak: honest traffic alone, then the same with attacks, kills and a restart."""

import argparse
import contextlib
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from dfjax import model_card
from soak import health, verdict
from soak.honest import HonestClient
from soak.hostile import HostileClient
from soak.killer import Killer
from soak.machine import Neighbors
from soak.materials import Materials, make_materials
from soak.record import Record
from soak.server import Server
from soak.verdict import Health

HONEST_CLIENTS = 3
CLEAN = 0.2  # share of the time
_SETTLE_SECONDS = 120.0  # for jobs to end when the traffic is over
_SAMPLE_SECONDS = 1.0


def print_soak(arguments: argparse.Namespace) -> int:
    """Runs a soak and prints how it went; returns 0 if all rules hold, else 1."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"log and state of the server: {folder}", flush=True)
    materials = make_materials(model_card.read(arguments.model).crop_spec.size, folder)
    soak = Soak(Server(arguments.model, folder), materials, arguments.seed)
    return 0 if soak.run(60 * arguments.minutes) else 1


class Soak:
    """One server, and all that is done to it."""

    def __init__(self, server: Server, materials: Materials, seed: int):
        self._server, self._materials, self._seed = server, materials, seed

    def run(self, seconds: float) -> bool:
        """Prints the report of a soak that takes `seconds`; returns whether all rules hold."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._server.stop)
            self._server.start()
            checks = stack.enter_context(_health_checks(self._server.port))
            clean = self._run_clean(CLEAN * seconds)
            soak, orphans = self._run_hostile((1 - CLEAN) * seconds)
            status = self._server.stop()
        rules = verdict.judge(clean, soak, checks, orphans=orphans, exit_status=status)
        verdict.print_report(clean, soak, checks, rules)
        return all(rule.holds for rule in rules)

    def _run_clean(self, seconds: float) -> Record:
        record, stop = Record(), threading.Event()
        self._run(record, stop, seconds, self._clients(record, stop), lambda now: None)
        return record

    def _run_hostile(self, seconds: float) -> tuple[Record, int]:
        """The record, and the number of processes that the killed server left."""
        record, stop = Record(), threading.Event()
        enemy = HostileClient(self._server.port, self._seed, self._materials, record, stop)
        settled = threading.Event()  # jobs are looked at after the traffic, too
        client = HonestClient(self._server.url, self._seed, self._materials, record, settled)
        half = record.began + seconds / 2
        killer = Killer(self._server, record, client, at=half, seed=self._seed)
        clients = [*self._clients(record, stop), enemy.run]
        timer = threading.Timer(seconds + _SETTLE_SECONDS, settled.set)
        timer.start()
        self._run(record, stop, seconds, clients, killer.act)
        killer.finish()
        client.finish_jobs(record.open_jobs())
        timer.cancel()
        return record, killer.orphans

    def _clients(self, record: Record, stop: threading.Event) -> list[Callable[[], None]]:
        seeds = range(HONEST_CLIENTS * self._seed, HONEST_CLIENTS * (self._seed + 1))
        return [
            HonestClient(self._server.url, seed, self._materials, record, stop).run
            for seed in seeds
        ]

    def _run(
        self,
        record: Record,
        stop: threading.Event,
        seconds: float,
        clients: list[Callable[[], None]],
        act: Callable[[float], None],
    ) -> None:
        """Lets the clients work; `act` is called every second."""
        neighbors = Neighbors(self._server)
        with ThreadPoolExecutor(len(clients)) as threads:
            working = [threads.submit(client) for client in clients]
            try:
                while (now := time.monotonic()) < record.began + seconds:
                    if not self._server.alive:
                        raise RuntimeError(f"the server ended by itself: see {self._server.log}")
                    act(now)
                    record.memory.append((now, self._server.memory()))
                    if any(client.done() for client in working):
                        break
                    time.sleep(_SAMPLE_SECONDS)
                    record.neighbors.append((now, neighbors.cores()))
            finally:
                record.ended = time.monotonic()
                stop.set()
        for client in working:
            client.result()  # raises what ended it


@contextlib.contextmanager
def _health_checks(port: int) -> Iterator[list[Health]]:
    """Checks the server while the context lasts; the list is filled at its end."""
    checks: list[Health] = []
    command = [sys.executable, health.__file__, str(port)]
    with tempfile.TemporaryFile("w+") as answers:
        with subprocess.Popen(command, stdout=answers) as process:
            try:
                yield checks
            finally:
                process.kill()
        answers.seek(0)
        for line in answers.readlines():
            began, seconds, status = line.split()
            checks.append(Health(float(began), float(seconds), int(status)))
