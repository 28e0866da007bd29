"""What subcommands share: how they are declared, and options that several have."""

import argparse
import os
from collections.abc import Callable
from typing import TypeAlias

EXIT_STATUS = """\
exit status:
  0    done; what failed for single files is listed in a file that the output names
  1    nothing usable came out
  2    wrong usage or input; the message says what to change
  130  interrupted; the same command continues
"""

Subcommands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(
    subcommands: Subcommands,
    name: str,
    *,
    help: str,
    description: str,
    run: Callable[[argparse.Namespace], int],
    epilog: str = EXIT_STATUS,
) -> argparse.ArgumentParser:
    """Returns the parser of a new subcommand; `run` gets its arguments and returns the status."""
    parser = subcommands.add_parser(
        name,
        help=help,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds --model and --runtime: what scores, and by which library."""
    parser.add_argument(
        "--model",
        metavar="M",
        required=True,
        help="workdir of a run, folder of an export, or a file of it",
    )
    parser.add_argument(
        "--runtime",
        choices=("onnx", "openvino", "savedmodel", "stablehlo", "flax"),
        help="to score with (the fastest that is there and installed)",
    )


def num_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def positive(text: str) -> int:
    """The type of options that count something: an integer from 1."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text}: use 1 or more")
    return int(text)
