"""`dfjax verify`: whether prepared data and checkpoints are what was written."""

import argparse
import pathlib

from dfjax import console, progress
from dfjax.buckets import store
from dfjax.commands import options
from dfjax.errors import UserError
from dfjax.run_folder import CONFIG_FILE

_EXIT_STATUS = """\
exit status:
  0    every byte is what was written
  1    something is damaged; the lines say what
  2    wrong usage or input; the message says what to change
"""


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "verify",
        help="read prepared data or checkpoints whole, and compare them with their checksums",
        description="Read prepared data (DATA of dfjax prepare --out) or the checkpoints of a run "
        "(WORKDIR of dfjax train) whole, and compare each file with the SHA-256 that was written "
        "down when it was finished. Opening data or resuming a run compares sizes and ends alone, "
        "or what it restores.",
        run=_run,
        epilog=_EXIT_STATUS,
    )
    parser.add_argument(
        "folder", metavar="DIR", nargs="+", help="prepared data, or a workdir; or the URL of one"
    )


def _run(arguments: argparse.Namespace) -> int:
    counts = [_verify(folder) for folder in arguments.folder]
    return 1 if any(counts) else 0


def _verify(folder: str) -> int:
    """Compares what is in a folder, and prints what is damaged; returns how many files are."""
    if store.is_url(folder):
        from dfjax.buckets import verify

        compared = verify.compare(folder)
    elif pathlib.Path(folder, CONFIG_FILE).is_file():
        from dfjax import checkpoint

        compared = checkpoint.verify(pathlib.Path(folder))
    else:
        from dfjax.data import builder

        compared = builder.verify(folder)
    files, damages = 0, []
    try:
        with progress.Progress(f"verify {folder}", 100) as bar:
            for found in compared:
                files += 1
                damages += [found.damage] if found.damage else []
                bar.update(100 * found.done // max(found.total, 1))
    except UserError as error:
        damages.append(str(error))
    for damage in damages:
        console.print_line(f"dfjax: {damage}", error=True)
    outcome = f"{len(damages)} damaged" if damages else "all as they were written"
    console.print_line(f"{folder}: {files} files, {outcome}")
    return len(damages)
