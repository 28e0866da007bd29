"""The rules that a soak judges a server by."""

import pytest

from soak import verdict
from soak.record import Attack, Operation, Record
from soak.verdict import Health

MB = 1e6


def record(operations, **fields) -> Record:
    """100 s from time 0, with as many operations, and an outage from 40 s to 60 s."""
    made = Record()
    made.began, made.ended, made.outages = 0.0, 100.0, [(40.0, 60.0)]
    made.operations = [Operation("picture", t, 0.5) for t in range(operations)]
    made.memory = [(t, 100 * MB) for t in (*range(40), *range(60, 100))]
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def health(slow=0, status=200) -> list[Health]:
    """A check every 0.1 s, of which the first `slow` take 0.2 s."""
    checks = [Health(t / 10, 0.2 if t < slow else 0.01, 200) for t in range(400)]
    return [*checks, Health(50.0, 5.0, 0), Health(70.0, 0.01, status)]


def broken(checks=(), orphans=0, exit_status=0, operations=80, **fields) -> list[str]:
    """The rules that do not hold."""
    ends = {"orphans": orphans, "exit_status": exit_status}
    rules = verdict.judge(record(80), record(operations, **fields), checks or health(), **ends)
    return [rule.name for rule in rules if not rule.holds]


def test_a_good_server_keeps_all_rules():
    assert broken(jobs={"a": "done", "b": "failed: corrupt", "c": "deleted"}) == []


@pytest.mark.parametrize(
    ("rule", "changed"),
    [
        ("acknowledged jobs lost", {"jobs": {"a": "lost"}}),
        ("acknowledged jobs lost", {"jobs": {"a": "open"}}),
        ("health p99", {"checks": health(slow=6)}),
        ("health checks without 200", {"checks": health(status=503)}),
        ("honest rate", {"operations": 71}),
        ("honest operations that failed", {"failures": ["picture: 500"]}),
        ("attacks answered with 500", {"attacks": [Attack("id", 500, 0.1)]}),
        ("processes left", {"orphans": 1}),
        ("exit status", {"exit_status": -9}),
    ],
)
def test_each_fault_breaks_its_rule(rule, changed):
    (found,) = broken(**changed)
    assert found.startswith(rule)


def test_what_is_just_good_enough_keeps_the_rules():
    assert broken(checks=health(slow=4), operations=72) == []


def test_the_rate_counts_the_seconds_that_the_server_ran():
    assert verdict.rate(record(80)) == 1.0


def test_memory_is_compared_by_quarters():
    def flat(late):
        quarters = [0, 1000 * MB, 9000 * MB, late]
        return verdict.is_flat([(t, quarters[t // 5]) for t in range(20)])

    assert flat(1150 * MB) == (1000 * MB, 1150 * MB, True)
    assert not flat(1151 * MB)[2]


def test_a_leak_before_the_kill_is_seen_though_the_kill_ends_it():
    leaking = [(t, 100 * MB + 10 * MB * t) for t in range(40)]
    fresh = [(t, 100 * MB) for t in range(60, 100)]
    assert broken(memory=leaking + fresh) == ["memory is flat (before the kill)"]


def test_only_a_kill_excuses_a_request():
    met = record(0, kills=[20.0])
    assert met.is_excused(19.0)
    assert met.is_excused(59.0)  # it began in the outage
    assert not met.is_excused(61.0)
