"""How subcommands are declared, and the options that several of them have.

Imports nothing heavy: every `--help` loads this file.
"""

import argparse
import os
import re
from collections.abc import Callable
from typing import TypeAlias

from dfjax import files
from dfjax.weights import shipped

EXIT_STATUS = """\
exit status:
  0    done; failures of single files are listed in a file that the output names
  1    done, but there is no usable result
  2    wrong usage or input; the message says what to change
  130  interrupted; the same command continues
"""

RUNTIMES = ("onnx", "openvino", "savedmodel", "stablehlo", "flax")  # by falling speed
NUM_FRAMES = 32  # of a video
WORKER_BYTES = 2 << 30  # of memory that a decode worker may take
MAX_WORKERS = 8  # unless --jobs asks for more
_CGROUP_LIMIT = "/sys/fs/cgroup/memory.max"  # of a container, as it sees it itself

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
    parser.set_defaults(run=run, parser=parser)
    return parser


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds --model, --runtime and --expect: the model that scores, and the library that runs it."""
    parser.add_argument(
        "--model",
        metavar="M",
        type=utf8_path,
        default=str(shipped.DETECTOR),
        help="workdir of a run, or folder or file of an export; it can run programs: trust it (the "
        "detector that comes with dfjax)",
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        help="library that runs the model (the fastest that the export has and that is installed); "
        "onnx and openvino, if named, open nothing but the ONNX file, and give no heat maps; flax "
        "runs safetensors, and runs",
    )
    parser.add_argument(
        "--expect",
        metavar="SHA256",
        type=sha256,
        help="refuse any other export than the one for which dfjax export printed this",
    )


def add_trust_list(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """Adds --trust-list: whose content credentials are trusted."""
    parser.add_argument(
        "--trust-list",
        metavar="FILE",
        type=utf8_path,
        help="certificates, in PEM, of the issuers of content credentials that you trust (none)",
    )


def add_by(parser: argparse.ArgumentParser) -> None:
    """Declares --by: what results are parted by."""
    parser.add_argument(
        "--by",
        metavar="COLUMN[,COLUMN]",
        nargs="+",
        default=(),
        help="part results by a column of the manifest or of the scores, by two for their "
        "intersections (besides size, sharpness, brightness and compression of the faces)",
    )


def num_cores() -> int:
    """Returns the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def num_workers() -> int:
    """Returns how many decode workers this machine has room for: one a core, 2 GiB each, 8 at most.

    The memory counted is the machine's, or less where a container's limit can be read.
    """
    return max(1, min(num_cores(), _memory_bytes() // WORKER_BYTES, MAX_WORKERS))


def _memory_bytes() -> int:
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    try:
        with open(_CGROUP_LIMIT) as file:  # "max" is no limit
            sizes += [int(line) for line in file if line.strip().isdecimal()]
    except OSError:  # no control groups, or of another version
        pass
    return min(sizes)


def positive(text: str) -> int:
    """Returns the number in `text`; the argparse type of options that count: an integer from 1."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text}: use 1 or more")
    return int(text)


def utf8_path(text: str) -> str:
    """Returns `text`; the argparse type of places that libraries open which take UTF-8 alone."""
    path = os.path.abspath(text)
    if files.legible(path) != path:
        raise argparse.ArgumentTypeError(f"{files.legible(text)}: use a path that is UTF-8")
    return text


def sha256(text: str) -> str:
    """Returns the SHA-256 in `text`, 64 lower-case hexadecimal digits; the argparse type of it."""
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError(f"{text}: use the 64 digits that dfjax export printed")
    return text.lower()
