"""`dfjax audit`: what the splits of a dataset share."""

import argparse

from dfjax.commands import options

_EXIT_STATUS = """\
exit status:
  0    the splits share nothing
  1    they share something; the table and DATA/audit.json say what
  2    wrong usage or input; the message says what to change
"""


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "audit",
        help="look for what the splits of a dataset share",
        description="Look for clips, people, videos and pictures that several splits of a prepared "
        "dataset share. Writes DATA/audit.json and DATA/report.html.",
        run=_run,
        epilog=_EXIT_STATUS,
    )
    parser.add_argument("data", metavar="DATA", help="what dfjax prepare --out wrote")
    parser.add_argument(
        "--frames",
        type=options.positive,
        metavar="N",
        default=8,
        help="crops of a clip that are compared for near duplicates (%(default)s)",
    )
    parser.add_argument(
        "--faces",
        action="store_true",
        help="compare faces as well, by dlib's network: three crops of a clip, 10 ms each",
    )


def _run(arguments: argparse.Namespace) -> int:
    from dfjax import audit, data_card

    found = audit.audit(arguments.data, frames=arguments.frames, faces=arguments.faces)
    data_card.write(arguments.data)
    audit.print_audit(found, arguments.data)
    return 1 if found.found else 0
