"""What became of mutants, and whether every one of them was treated as it should be."""

import collections
import dataclasses
import pathlib
import re
from collections.abc import Mapping, Sequence

from rich import table

from dfjax import words
from dfjax.console import make_console, print_line
from dfjax.sandbox import pool
from fuzz.mutants import Mutant

# How a readable file may end that shows nothing to judge. A file that ends by "internal",
# "time_limit", "worker_died" or a crash of its decoder uncovered a fault.
REFUSED = frozenset({"corrupt", "empty", "no_video", "too_large", "unsupported"})
TYPED = REFUSED | {"judged", *words.REASONS} - {"decode_error"}  # that has a code of its own
CRASHED = "the decoder crashed"  # the sandbox says so, and calls the file corrupt
MAX_SECONDS = 30.0  # of one file; none of the mutants is large
MAX_MEMORY = pool.MEMORY  # bytes of the largest process


@dataclasses.dataclass(frozen=True)
class Trial:
    """What became of mutants.

    Attributes:
      codes: by the name of the file: "judged", why the verdict is open, or why it was refused.
      faults: sentences, each about one file or about all.
      slowest: seconds that the slowest file took.
      memory: bytes that the largest process held.
    """

    codes: Mapping[str, str]
    faults: Sequence[str]
    slowest: float
    memory: int


def fault_of(mutant: Mutant, code: str, text: str) -> str | None:
    """Returns what is wrong with an ending, `text` being its words; None: nothing."""
    if code in TYPED and CRASHED not in text:
        return None
    return f"{mutant.name} ({', '.join(mutant.changes)}): {code}: {text}"


def limits_broken(slowest: float, memory: int) -> list[str]:
    """Returns what is wrong with the seconds of the slowest file and the bytes of a process."""
    faults = []
    if slowest > MAX_SECONDS:
        faults.append(f"a file took {slowest:.0f} s: {MAX_SECONDS:.0f} s are the limit")
    if memory > MAX_MEMORY:
        faults.append(f"a process held {memory / 2**20:.0f} MiB of {MAX_MEMORY / 2**20:.0f}")
    return faults


def peak_memory(pid: int) -> int:
    """The most bytes that a process held at once; those that decode have a limit of their own."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])


def disagreements(a: Trial, b: Trial) -> list[str]:
    """Returns which files ended otherwise in another place: what a file is depends on it alone."""
    pairs = ((name, a.codes[name], b.codes[name]) for name in a.codes.keys() & b.codes.keys())
    return [
        f"{name}: {one} here, {other} there" for name, one, other in sorted(pairs) if one != other
    ]


def print_trial(title: str, trial: Trial) -> None:
    """Prints how often each kind of file ended how, the limits, and every fault."""
    counts = collections.defaultdict(collections.Counter)
    for name, code in trial.codes.items():
        counts[pathlib.Path(name).stem.partition("-")[2]][code] += 1
    columns = sorted(set(trial.codes.values()))
    rows = table.Table("file", *columns, title=title, title_justify="left")
    for name in sorted(counts):
        rows.add_row(name, *(str(counts[name][column] or "") for column in columns))
    console = make_console()
    console.print(rows)
    console.print(
        f"{len(trial.codes)} files, the slowest in {trial.slowest:.1f} s, the largest process "
        f"{trial.memory / 2**20:.0f} MiB, {len(trial.faults)} faults"
    )
    print_faults(trial.faults)


def print_faults(faults: Sequence[str]) -> None:
    """Prints each on a line of its own."""
    for fault in faults:
        print_line(f"FAULT {fault}")
