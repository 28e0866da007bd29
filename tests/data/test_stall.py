"""Loaders that wait for a record say so, and do not outlive their run."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from dfjax.data import stall

ROOT = pathlib.Path(__file__).parents[2]


class Slow:
    """Ten records, of which the seventh takes a second."""

    def __len__(self):
        return 10

    def __getitem__(self, row):
        time.sleep(row == 7)
        return row


def test_the_record_that_does_not_come_is_named_once(monkeypatch, capsys):
    monkeypatch.setattr(stall, "SECONDS", 0.2)
    monkeypatch.setattr(stall, "_is_watching", threading.Lock())
    assert [stall.Watched(Slow(), "training record")[row] for row in range(10)] == list(range(10))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert f"(process {os.getpid()}) has waited 0 s for training record 7" in lines[0]


LOADERS = """
import multiprocessing, sys, time
from dfjax.data import stall

def work(worker):
    stall.end_with_parent()
    print(multiprocessing.current_process().pid, flush=True)
    time.sleep(600)

if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    for worker in range(2):
        spawn.Process(target=work, args=(worker,)).start()
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_loaders_end_with_the_run_that_started_them(tmp_path, how):
    (tmp_path / "loaders.py").write_text(LOADERS)
    run = subprocess.Popen(
        [sys.executable, "loaders.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    loaders = [int(run.stdout.readline()) for _ in range(2)]
    run.send_signal(how)  # to it alone
    run.wait()
    run.stdout.close()
    deadline = time.monotonic() + 20
    while any(pathlib.Path(f"/proc/{pid}").exists() for pid in loaders):
        assert time.monotonic() < deadline
        time.sleep(0.05)
