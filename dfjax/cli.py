"""The `dfjax` command: its subcommands."""

import argparse
import sys
from collections.abc import Sequence

from dfjax import console, versions
from dfjax.commands import (
    audit,
    compare,
    convert_weights,
    doctor,
    evaluate,
    export,
    options,
    predict,
    prepare,
    process,
    report,
    robustness,
    serve,
    show_batch,
    train,
    verify,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` (None: the process's own); returns the exit status."""
    return process.run(_make_parser(), argv)


class _Version(argparse.Action):
    """Asks for the version only when it is wanted: that takes a tenth of a second."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        console.print_line(f"dfjax {versions.installed_version('dfjax')}")
        parser.exit()


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dfjax",
        description="Train and use deepfake detectors.",
        epilog=options.EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    subcommands = parser.add_subparsers(metavar="command", required=True)
    for command in (
        prepare,
        audit,
        verify,
        show_batch,
        train,
        evaluate,
        report,
        compare,
        robustness,
        predict,
        export,
        serve,
        convert_weights,
        doctor,
    ):
        command.add_to(subcommands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
