"""What a soak must hold to, and how it went: rules with their figures, and tables."""

import collections
import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from rich import table

from dfjax.console import make_console
from soak.record import Record

MAX_GROWTH, MAX_GROWTH_BYTES = 0.10, 50e6  # of memory, from the second quarter to the last
MAX_HEALTH_SECONDS = 0.1  # 99th percentile
MIN_THROUGHPUT = 0.9  # of the clean phase's
_STRETCHES = 10  # rows of the table over time


@dataclasses.dataclass(frozen=True)
class Health:
    """One health check: when it began, how long it took, and its status (0: no answer)."""

    began: float
    seconds: float
    status: int


@dataclasses.dataclass(frozen=True)
class Rule:
    """Something that must hold, what was measured, and whether it holds."""

    name: str
    measured: str
    holds: bool


def judge(
    clean: Record, soak: Record, health: Sequence[Health], *, orphans: int, exit_status: int
) -> list[Rule]:
    """Returns every rule; `orphans` are processes that the killed server left running.

    `exit_status` is that of the other server, which got SIGTERM.
    """
    checks = while_up(health, soak)
    p99 = float(np.percentile([check.seconds for check in checks], 99))
    silent = sum(check.status != 200 for check in checks)
    share = rate(soak) / rate(clean)
    rates = f"{rate(soak):.1f}/s of {rate(clean):.1f}/s: {share:.1%}"
    failures = clean.failures + soak.failures
    faults = {attack.name for attack in soak.attacks if attack.status == 500}
    lost = [job for job, state in soak.jobs.items() if state in ("open", "lost")]
    return [
        *(_flat(name, samples) for name, samples in _lives(soak).items()),
        Rule("acknowledged jobs lost: 0", f"{len(lost)} of {len(soak.jobs)}", not lost),
        Rule("health p99 below 100 ms", f"{1e3 * p99:.0f} ms", p99 < MAX_HEALTH_SECONDS),
        Rule("health checks without 200: 0", f"{silent} of {len(checks)}", silent == 0),
        Rule("honest rate 90 % of the clean one", rates, share >= MIN_THROUGHPUT),
        Rule("honest operations that failed: 0", f"{len(failures)}", not failures),
        Rule("attacks answered with 500: 0", ", ".join(sorted(faults)) or "0", not faults),
        Rule("processes left by the killed server: 0", f"{orphans}", orphans == 0),
        Rule("exit status after SIGTERM: 0", f"{exit_status}", exit_status == 0),
    ]


def is_flat(samples: Sequence[tuple[float, float]]) -> tuple[float, float, bool]:
    """Median bytes of the second and of the last quarter, and whether these are about as many."""
    quarters = np.array_split(np.array([count for _, count in samples]), 4)
    early, late = float(np.median(quarters[1])), float(np.median(quarters[3]))
    return early, late, late <= early * (1 + MAX_GROWTH) + MAX_GROWTH_BYTES


def rate(record: Record) -> float:
    """Honest operations in a second of a running server."""
    return len(record.operations) / record.up_seconds


def while_up(health: Sequence[Health], record: Record) -> list[Health]:
    """The checks of a phase that did not meet an outage."""
    return [
        check
        for check in health
        if record.began <= check.began < record.ended
        and not any(
            b <= check.began + check.seconds and check.began <= e for b, e in record.outages
        )
    ]


def _lives(record: Record) -> dict[str, list[tuple[float, float]]]:
    """Samples of memory: of the whole phase, and of each server in it."""
    (killed, _), *_ = record.outages
    return {
        "all": record.memory,
        "before the kill": [sample for sample in record.memory if sample[0] < killed],
        "after it": [sample for sample in record.memory if sample[0] >= killed],
    }


def _flat(name: str, samples: list[tuple[float, float]]) -> Rule:
    early, late, holds = is_flat(samples)
    measured = f"{early / 1e6:.0f} MB, then {late / 1e6:.0f} MB"
    return Rule(f"memory is flat ({name})", measured, holds)


def print_report(clean: Record, soak: Record, health: Sequence[Health], rules: list[Rule]) -> None:
    """Prints what happened over time, to whom, and what holds."""
    console = make_console()
    console.print(_over_time(soak, health))
    console.print(_honest(clean, soak))
    console.print(_attacks(soak))
    for failure in clean.failures + soak.failures:
        console.print(f"failed: {failure}")
    busy = [np.mean([cores for _, cores in record.neighbors]) for record in (clean, soak)]
    console.print(f"other programs used {busy[0]:.1f} cores, amid attacks {busy[1]:.1f}")
    states = collections.Counter(soak.jobs.values())
    console.print(", ".join(f"jobs {state}: {count}" for state, count in sorted(states.items())))
    rows = _table("", "rule", "measured", "holds")
    for rule in rules:
        rows.add_row(rule.name, rule.measured, "yes" if rule.holds else "NO")
    console.print(rows)


def _over_time(soak: Record, health: Sequence[Health]) -> table.Table:
    columns = ("minute", "memory MB", "honest/s", "health p99 ms", "kills", "other programs, cores")
    rows = _table("over time", *columns)
    checks = while_up(health, soak)
    edges = np.linspace(soak.began, soak.ended, _STRETCHES + 1)
    for began, ended in itertools.pairwise(edges):
        memory = [count for t, count in soak.memory if began <= t < ended]
        honest = sum(began <= o.began + o.seconds < ended for o in soak.operations)
        times = [check.seconds for check in checks if began <= check.began < ended]
        neighbors = [cores for t, cores in soak.neighbors if began <= t < ended]
        rows.add_row(
            f"{(ended - soak.began) / 60:.1f}",
            f"{np.mean(memory) / 1e6:.0f}" if memory else "",
            f"{honest / (ended - began):.2f}",
            f"{1e3 * np.percentile(times, 99):.0f}" if times else "",
            f"{sum(began <= t < ended for t in soak.kills)}",
            f"{np.mean(neighbors):.1f}" if neighbors else "",
        )
    return rows


def _honest(clean: Record, soak: Record) -> table.Table:
    columns = ("done", "p50 ms", "p50 ms, clean", "p99 ms", "p99 ms, clean", "repeated", "killed")
    rows = _table("honest operations", "", *columns)
    for kind in sorted({operation.kind for operation in soak.operations}):
        times, quiet = _milliseconds(soak, kind), _milliseconds(clean, kind)
        percentiles = (
            f"{np.percentile(of, q):.0f}" if of else "" for q in (50, 99) for of in (times, quiet)
        )
        others = (f"{soak.repeats[kind]}", f"{soak.excused[kind]}")
        rows.add_row(kind, f"{len(times)}", *percentiles, *others)
    return rows


def _milliseconds(record: Record, kind: str) -> list[float]:
    return [1e3 * operation.seconds for operation in record.operations if operation.kind == kind]


def _attacks(soak: Record) -> table.Table:
    rows = _table("attacks (0: no answer)", "", "slowest ms", "answers: status x times")
    for name in sorted({attack.name for attack in soak.attacks}):
        mine = [attack for attack in soak.attacks if attack.name == name]
        statuses = collections.Counter(attack.status for attack in mine)
        answers = ", ".join(f"{status} x {count}" for status, count in sorted(statuses.items()))
        rows.add_row(name, f"{1e3 * max(attack.seconds for attack in mine):.0f}", answers)
    return rows


def _table(title: str, *columns: str) -> table.Table:
    rows = table.Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        rows.add_column(column, justify="right" if number and len(columns) > 2 else "left")
    return rows
