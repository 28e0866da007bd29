"""Mutants in a folder, judged by one `dfjax predict`, which is watched from outside."""

import collections
import contextlib
import csv
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Sequence

from fuzz import trial
from fuzz.mutants import Mutant
from fuzz.trial import Trial

_START_SECONDS = 120.0  # to load a model and to compile it, and to end
_LOOK_SECONDS = 0.05


def run(model: str, mutants: Sequence[Mutant], folder: pathlib.Path) -> Trial:
    """Returns how the command judges them; it writes into `folder`, which is empty."""
    files, out = folder / "files", folder / "out"
    files.mkdir()
    for mutant in mutants:
        (files / mutant.name).write_bytes(mutant.data)
    command = [sys.executable, "-m", "dfjax.cli", "predict", "--model", model]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [*command, str(files), "--out", str(out)], stdout=log, stderr=log
        )
    slowest, memory = _watch(process, out / "results.jsonl")
    faults = _faults_of_command(process.returncode, (folder / "log").read_text(errors="replace"))
    codes, faults_of_files = _judge(mutants, _read_rows(out / "results.csv"))
    faults += faults_of_files + trial.limits_broken(slowest, memory)
    return Trial(codes, faults, slowest, memory)


def _watch(process: subprocess.Popen, journal: pathlib.Path) -> tuple[float, int]:
    """Waits for the end; the longest time between two rows, and the bytes of the largest process.

    Kills the command when a file takes far too long.
    """
    began, size, slowest, memory = time.monotonic(), 0, 0.0, 0
    while True:
        if process.poll() is not None:
            return slowest, memory
        with contextlib.suppress(OSError, TypeError):  # it ends meanwhile
            memory = max(memory, trial.peak_memory(process.pid))
        now, before = time.monotonic(), size
        size = journal.stat().st_size if journal.exists() else 0
        if size > before:
            slowest, began = max(slowest, now - began if before else 0.0), now
        if now - began > _START_SECONDS + trial.MAX_SECONDS:
            process.kill()
            slowest = now - began
        time.sleep(_LOOK_SECONDS)


def _faults_of_command(status: int, log: str) -> list[str]:
    faults = [] if status in (0, 1) else [f"the command ended with status {status}"]
    if "Traceback" in log:
        faults.append(f"the command wrote a traceback: {log[log.index('Traceback') :][:2000]}")
    return faults


def _read_rows(path: pathlib.Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _judge(
    mutants: Sequence[Mutant], rows: Sequence[dict[str, str]]
) -> tuple[dict[str, str], list[str]]:
    """The code of each file, and what is wrong: each has one row, typed."""
    found = collections.defaultdict(list)
    for row in rows:
        found[os.path.basename(row["source"])].append(row)
    codes, faults = {}, []
    for mutant in mutants:
        if len(found[mutant.name]) != 1:
            faults.append(f"{mutant.name} has {len(found[mutant.name])} rows")
            continue
        (row,) = found[mutant.name]
        codes[mutant.name] = row["reason"] or _judged(row)
        faults.append(trial.fault_of(mutant, codes[mutant.name], row["text"]))
    faults += [f"{name} has a row and is no file" for name in found.keys() - codes.keys()]
    return codes, [fault for fault in faults if fault]


def _judged(row: dict[str, str]) -> str:
    is_judged = row["verdict"] in ("real", "fake") and 0 <= float(row["score"]) <= 1
    return "judged" if is_judged else f"{row['verdict']} {row['score']}"
