"""Programs that take turns: each in a process of its own, of which one works at a time.

So a busy moment of the machine meets all of them, each has all cores to itself, and the processor
time and the memory of a process are those of its program.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import pathlib
import re
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax

# Of the processes. Threads that spin while they wait would count as work.
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",  # as the commands of dfjax set it
}


@dataclasses.dataclass(frozen=True)
class Program:
    """What a process runs.

    Attributes:
      step: works once through a batch, and returns when that is done.
      compile_seconds: what compiling took before the first step.
      compiled: what XLA made, if it did.
    """

    step: Callable[[], object]
    compile_seconds: float = 0.0
    compiled: "jax.stages.Compiled | None" = None


@dataclasses.dataclass(frozen=True)
class Effort:
    """How long is measured.

    Attributes:
      rounds: turns of a program.
      turn: seconds that a turn takes at least.
      limit: seconds of work after which a program gets no more turns. The first step warms up; if
        it took so long, it is the measurement.
    """

    rounds: int = 5
    turn: float = 2.0
    limit: float = 60.0


@dataclasses.dataclass(frozen=True)
class Turn:
    """Some steps in a row: seconds and processor seconds (of all threads) of one, on average.

    `peak_bytes` is the most memory that the process has held until then, also while it compiled.
    """

    steps: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What was measured of a program, or why nothing was; seconds are of a step, by the median."""

    seconds: float = float("nan")
    cpu_seconds: float = float("nan")
    peak_bytes: float = float("nan")
    compile_seconds: float = float("nan")
    turns: int = 0
    error: str = ""


def measure(
    makers: Mapping[str, Callable[[Any], Program]], subject: Any, effort: Effort
) -> dict[str, Measurement]:
    """Returns what was measured of each program, by its name.

    `makers` make a program of `subject`; other processes must be able to import them. One that
    raises, and a process that ends, are noted.
    """
    with contextlib.ExitStack() as stack:
        players = {name: _Player(make, subject) for name, make in makers.items()}
        for player in players.values():
            stack.callback(player.close)
        for player in players.values():
            player.start(effort)
        for _ in range(effort.rounds):
            for player in players.values():
                player.play(effort)
        return {name: player.result() for name, player in players.items()}


def compiling(step: Callable[[], object]) -> Program:
    """Returns the program of a step that compiles when it is called first, and calls it."""
    began = time.perf_counter()
    step()
    return Program(step, time.perf_counter() - began)


class _Player:
    """A process with a program, as the one who measures sees it."""

    def __init__(self, make: Callable[[Any], Program], subject: Any):
        spawning = multiprocessing.get_context("spawn")
        self._pipe, pipe = spawning.Pipe()
        self._process = spawning.Process(target=_serve, args=(pipe, make, subject), daemon=True)
        self._process.start()
        pipe.close()  # else the end of the process would not end the pipe
        self._turns: list[Turn] = []
        self._compile_seconds, self._error = float("nan"), ""

    def start(self, effort: Effort) -> None:
        """Has the program made, and its first step done."""
        if reply := self._ask(0.0):
            first, self._compile_seconds = reply
            if first.seconds >= effort.limit:
                self._turns.append(first)

    def play(self, effort: Effort) -> None:
        """Gives the program a turn if it has time left."""
        spent = sum(turn.steps * turn.seconds for turn in self._turns)
        if spent < effort.limit and (turn := self._ask(effort.turn)):
            self._turns.append(turn)

    def result(self) -> Measurement:
        if self._error:
            return Measurement(error=self._error)
        return Measurement(
            statistics.median(turn.seconds for turn in self._turns),
            statistics.median(turn.cpu_seconds for turn in self._turns),
            self._turns[-1].peak_bytes,
            self._compile_seconds,
            len(self._turns),
        )

    def close(self) -> None:
        """Ends the process: by itself if it waits, else it is stopped."""
        self._pipe.close()
        self._process.join(timeout=10)
        self._process.terminate()
        self._process.join()

    def _ask(self, seconds: float) -> Any:
        """The reply to a request for a turn; None once the program has failed."""
        if self._error:
            return None
        try:
            self._pipe.send(seconds)
            reply = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            reply = f"its process ended with status {self._process.exitcode}"
        if isinstance(reply, str):
            self._error, reply = reply, None
        return reply


def _serve(pipe: Connection, make: Callable[[Any], Program], subject: Any) -> None:
    """The life of a process: waits for requests, answers with turns, or once with an error."""
    os.environ.update(ENVIRONMENT)
    try:
        seconds = pipe.recv()
        program = make(subject)
        pipe.send((_take_turn(program, seconds), program.compile_seconds))
        while True:
            pipe.send(_take_turn(program, pipe.recv()))
    except EOFError:
        pass  # the one who measures is gone
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")


def _take_turn(program: Program, seconds: float) -> Turn:
    """Steps until the seconds have passed, at least one."""
    steps, began, worked = 0, time.perf_counter(), time.process_time()
    while not steps or time.perf_counter() - began < seconds:
        program.step()
        steps += 1
    elapsed, worked = time.perf_counter() - began, time.process_time() - worked
    return Turn(steps, elapsed / steps, worked / steps, _peak_bytes())


def _peak_bytes() -> int:
    # Not `ru_maxrss`: it begins with the memory of the process that started this one.
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1])
