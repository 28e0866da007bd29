"""`dfjax show-batch`: a contact sheet of what a model would be trained on."""

import argparse
import pathlib

from dfjax import console
from dfjax.commands import compile_cache, config_file, options
from dfjax.errors import UserError


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "show-batch",
        help="draw what a config would train on",
        description="Draw a batch as the network sees it, after everything that is done to crops: "
        "pairs of a real and its fake, their labels, and where aligned or blended ones differ. "
        "Every new run writes its first batch as first_batch.png.",
        run=_run,
    )
    config_file.add_config(parser)
    parser.add_argument(
        "--step",
        metavar="N",
        type=_from_zero,
        default=0,
        help="updates before the batch (%(default)s)",
    )
    parser.add_argument(
        "--out", metavar="FILE.png", type=options.utf8_path, required=True, help="for the picture"
    )


def _from_zero(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: use 0 or more")
    return int(text)


def _run(arguments: argparse.Namespace) -> int:
    from dfjax import show_batch

    out = pathlib.Path(arguments.out)
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out} is a PNG: let its name end in .png")
    config = config_file.read(arguments.config, arguments.overrides)
    compile_cache.use(config.compile_cache)
    show_batch.show_batch(config, arguments.step, out)
    console.print_line(f"wrote {out}")
    return 0
