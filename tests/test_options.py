"""Options that several subcommands have."""

from dfjax.commands import options
from dfjax.inference import runtimes


def test_the_runtimes_to_choose_from_are_those_that_exist():
    assert set(options.RUNTIMES) == {*runtimes.RUNTIMES, "flax"}
