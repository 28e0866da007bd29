"""Where the time of a step goes: the slowest operations of one network on the CPU, by XLA."""

import argparse
import collections
import pathlib
import re
import tempfile

import jax
from rich import table

from benchmarks import inference, networks, train_step, turns
from dfjax.console import make_console

MAKERS = {"training": train_step.make_dfjax, "inference": inference.make_dfjax}


def main() -> None:
    """Prints a table of operations: how long each took in one step, and what it was made from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=tuple(MAKERS))
    parser.add_argument("networks", type=networks.parse, metavar="NAME@SIDExBATCH")
    parser.add_argument("--plain", action="store_true", help="without the forms for CPUs")
    parser.add_argument("--rows", type=int, default=30, metavar="N", help="(%(default)s)")
    arguments = parser.parse_args()
    program = MAKERS[arguments.task](arguments.networks[0], plain=arguments.plain)
    program.step()  # warms up
    _print(_profile(program), program.compiled.as_text(), arguments.rows)


def _profile(program: turns.Program) -> collections.Counter[str]:
    """Milliseconds of one step by operation, of all threads together."""
    spent: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            program.step()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
            for event in (event for line in plane.lines for event in line.events):
                if "hlo_op" in dict(event.stats):
                    spent[event.name] += event.duration_ns / 1e6
    return spent


def _print(spent: collections.Counter[str], text: str, num_rows: int) -> None:
    total = sum(spent.values())
    rows = table.Table(title=f"{total:.0f} ms in {len(spent)} operations")
    for column in ("ms", "%", "operation", "result", "from"):
        rows.add_column(column, justify="right" if column in "ms%" else "left")
    for name, milliseconds in spent.most_common(num_rows):
        result, source = _describe(name, text)
        share = f"{100 * milliseconds / total:.1f}"
        rows.add_row(f"{milliseconds:.1f}", share, name, result, source)
    make_console().print(rows)


def _describe(name: str, text: str) -> tuple[str, str]:
    """(the shape of an operation's result, the end of the name of what it was made from)."""
    line = re.search(rf"^\s*(?:ROOT )?%?{re.escape(name)} = (.*)", text, re.MULTILINE)
    if line is None:
        return "", ""
    source = re.search(r'op_name="([^"]*)"', line[1])
    return line[1].split("{")[0][:40], source[1][-60:] if source else ""


if __name__ == "__main__":
    main()
