"""Judges mutants of media files by `dfjax predict` and by a server, and prints what breaks a rule.

    python scripts/fuzz_media.py run --model runs/resnet --files 2000
    python scripts/fuzz_media.py write FOLDER --index 17

Every mutant has exactly one row or answer, a verdict or a typed reason, the same in both; nothing
crashes, hangs or takes more memory than it may. A mutant follows from the seed and its number, with
which `write` makes it again.
"""

import argparse
import contextlib
import pathlib
import sys
import tempfile

from dfjax.commands import process
from fuzz import materials, mutants, through_predict, through_server, trial
from soak.server import Server


def main() -> int:
    """Runs the subcommand with the set-up of the commands; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="judge mutants; status 1 if one breaks a rule")
    run.set_defaults(run=print_trials)
    run.add_argument("--model", required=True, help="workdir of a run, or folder of an export")
    run.add_argument("--files", type=int, default=2000, help="how many (%(default)s)")
    run.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    write = commands.add_parser("write", help="write mutants, to look at them")
    write.set_defaults(run=write_mutants)
    write.add_argument("folder", type=pathlib.Path)
    write.add_argument("--index", type=int, nargs="+", required=True, help="their numbers")
    write.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    return process.run(parser, None)


def print_trials(arguments: argparse.Namespace) -> int:
    """Judges the mutants both ways; returns 0 if no rule is broken, else 1."""
    made = list(mutants.make_mutants(materials.make_materials(), arguments.seed, arguments.files))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        by_predict = through_predict.run(arguments.model, made, pathlib.Path(folder))
    trial.print_trial("dfjax predict", by_predict)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, contextlib.ExitStack() as stack:
        server = Server(arguments.model, pathlib.Path(folder))
        stack.callback(server.stop)
        server.start()
        by_server = through_server.run(server.url, server.pid, made, pathlib.Path(folder))
    trial.print_trial("dfjax serve", by_server)
    differing = trial.disagreements(by_predict, by_server)
    trial.print_faults(differing)
    return 1 if by_predict.faults or by_server.faults or differing else 0


def write_mutants(arguments: argparse.Namespace) -> int:
    """Writes the mutants with these numbers, and prints how each was made."""
    made = materials.make_materials()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for index in arguments.index:
        mutant = mutants.make_mutant(made, arguments.seed, index)
        (arguments.folder / mutant.name).write_bytes(mutant.data)
        print(f"{arguments.folder / mutant.name}: {', '.join(mutant.changes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
