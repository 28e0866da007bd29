"""How subcommands are declared, and the options that several of them have.

Imports nothing heavy: every `--help` loads this file.
"""

import argparse
import os
from collections.abc import Callable
from typing import TypeAlias

EXIT_STATUS = """\
exit status:
  0    done; failures of single files are listed in a file that the output names
  1    done, but there is no usable result
  2    wrong usage or input; the message says what to change
  130  interrupted; the same command continues
"""

RUNTIMES = ("onnx", "openvino", "savedmodel", "stablehlo", "flax")  # by falling speed
NUM_FRAMES = 32  # of a video

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
    """Returns the parser of a new subcommand; `run` takes its arguments and returns the status."""
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
    """Adds --model and --runtime: the model that scores, and the library that runs it."""
    parser.add_argument(
        "--model",
        metavar="M",
        required=True,
        help="workdir of a run, or folder or file of an export",
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        help="library that runs the model (the fastest that the export has and that is installed)",
    )


def num_cores() -> int:
    """Returns the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def positive(text: str) -> int:
    """Returns the number in `text`; the argparse type of options that count: an integer from 1."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text}: use 1 or more")
    return int(text)
