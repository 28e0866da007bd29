"""Which steps are traced."""

import pytest

from dfjax import profiling
from dfjax.errors import UserError


def test_steps_are_named_by_first_and_end():
    assert profiling.parse("100:110") == range(100, 110)


@pytest.mark.parametrize("text", ["", "5", "5:5", "9:5", "a:b", "-1:3"])
def test_anything_else_is_refused(text):
    with pytest.raises(UserError, match="give FIRST:END, steps from 0"):
        profiling.parse(text)


def test_a_trace_holds_the_steps_that_were_named(tmp_path):
    with profiling.Profiler(tmp_path, range(2, 4)) as profiler:
        for step in range(6):
            profiler.before(step, ())
            there = list((tmp_path / profiling.FOLDER).rglob("*.xplane.pb"))
            assert bool(there) == (step >= 4)
