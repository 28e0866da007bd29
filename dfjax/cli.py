"""The `dfjax` command: its subcommands, and the exit status of what goes wrong in them."""

import argparse
import os
import sys
from collections.abc import Sequence

from dfjax.commands import audit, convert_weights, export, options, predict, prepare, serve
from dfjax.errors import UserError
from dfjax.media import limits
from dfjax.media.errors import MediaError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` (None: the process's own); returns the exit status."""
    arguments = _make_parser().parse_args(argv)
    if "cv2" not in sys.modules:
        limits.limit_opencv()
    # TensorFlow, where a library loads it, would greet.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    try:
        return arguments.run(arguments)
    except (UserError, OSError, MediaError) as error:
        print(f"dfjax: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dfjax: interrupted: the same command continues", file=sys.stderr)
        return 130


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dfjax",
        description="Train and use deepfake detectors.",
        epilog=options.EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subcommands = parser.add_subparsers(metavar="command", required=True)
    for command in (prepare, audit, predict, export, serve, convert_weights):
        command.add_to(subcommands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
