"""The `dfjax` command: its subcommands."""

import argparse
import sys
from collections.abc import Sequence

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


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dfjax",
        description="Train and use deepfake detectors.",
        epilog=options.EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
