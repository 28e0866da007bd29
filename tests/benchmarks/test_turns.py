import functools
import os
import pathlib
import time

import pytest

from benchmarks import turns

EFFORT = turns.Effort(rounds=3, turn=0.05, limit=5.0)


def make_writing(path: pathlib.Path, *, name: str) -> turns.Program:
    """Each step writes the name, and works or sleeps for 0.1 s."""

    def work() -> None:
        began = time.process_time()
        while time.process_time() - began < 0.1:
            pass

    def step() -> None:
        with path.open("a") as file:
            file.write(name)
        work() if name == "w" else time.sleep(0.1)

    return turns.Program(step, compile_seconds=4.0)


def make_failing(path: pathlib.Path) -> turns.Program:
    raise ValueError(f"no network in {path.name}")


def make_dying(path: pathlib.Path) -> turns.Program:
    return turns.Program(functools.partial(os._exit, 3))


def test_programs_take_turns_and_failures_are_noted(tmp_path):
    makers = {
        "working": functools.partial(make_writing, name="w"),
        "failing": make_failing,
        "dying": make_dying,
        "sleeping": functools.partial(make_writing, name="s"),
    }
    path = tmp_path / "log"
    found = turns.measure(makers, path, EFFORT)
    assert path.read_text() == "ws" * 4  # a step each to warm up, then three turns
    for name, cpu_seconds in (("working", 0.1), ("sleeping", 0.0)):
        assert found[name].seconds >= 0.1
        assert found[name].cpu_seconds == pytest.approx(cpu_seconds, abs=0.02)
        assert (found[name].turns, found[name].compile_seconds) == (3, 4.0)
        assert 5e6 < found[name].peak_bytes < 5e8
    assert found["failing"].error == "ValueError: no network in log"
    assert found["dying"].error == "its process ended with status 3"


def test_a_first_step_over_the_limit_is_the_measurement(tmp_path):
    effort = turns.Effort(rounds=3, turn=0.0, limit=0.05)
    slow = functools.partial(make_writing, name="s")
    found = turns.measure({"slow": slow}, tmp_path / "log", effort)
    assert found["slow"].turns == 1
    assert (tmp_path / "log").read_text() == "s"
