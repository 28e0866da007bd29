"""Options that several subcommands have."""

import os

from dfjax.commands import options
from dfjax.inference import runtimes


def test_the_runtimes_to_choose_from_are_those_that_exist():
    assert set(options.RUNTIMES) == {*runtimes.RUNTIMES}


def test_decode_workers_fit_into_memory(monkeypatch):
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 0}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    monkeypatch.setattr(options, "num_cores", lambda: 64)
    for gibibytes, workers in ((1, 1), (5, 2), (4096, 8)):
        sizes["SC_PHYS_PAGES"] = gibibytes << 18
        monkeypatch.setattr(options, "_CGROUP_LIMIT", os.devnull)
        assert options.num_workers() == workers


def test_a_limit_of_the_container_counts(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(options, "_CGROUP_LIMIT", str(limit))
    monkeypatch.setattr(options, "num_cores", lambda: 64)
    limit.write_text(f"{3 << 30}\n")
    assert options.num_workers() == 1
    unlimited = tmp_path / "absent"
    monkeypatch.setattr(options, "_CGROUP_LIMIT", str(unlimited))
    without = options.num_workers()
    limit.write_text("max\n")
    monkeypatch.setattr(options, "_CGROUP_LIMIT", str(limit))
    assert options.num_workers() == without
