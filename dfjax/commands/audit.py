"""`dfjax audit`: what the splits of a dataset share, or several datasets."""

import argparse

from dfjax.commands import options

_EXIT_STATUS = """\
exit status:
  0    the splits, or the datasets, share nothing
  1    they share something; the table and the JSON file say what
  2    wrong usage or input; the message says what to change
"""


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "audit",
        help="look for what the splits of a dataset share, or several datasets",
        description="Look for clips, people, videos and pictures, mirrored ones too, that several "
        "splits of a prepared dataset share. Writes DATA/audit.json and DATA/report.html. Of "
        "several datasets, look for what each shares with those before it, whatever the split; "
        "within each nothing is compared, and nothing is written but --out.",
        run=_run,
        epilog=_EXIT_STATUS,
    )
    parser.add_argument("data", metavar="DATA", nargs="+", help="what dfjax prepare --out wrote")
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
    parser.add_argument(
        "--out", metavar="FILE", help="write what was found to this file too, in JSON"
    )


def _run(arguments: argparse.Namespace) -> int:
    from dfjax.preparation import audit, data_card

    how = {"frames": arguments.frames, "faces": arguments.faces}
    if len(arguments.data) == 1:
        found = audit.audit(arguments.data[0], **how)
        data_card.write(arguments.data[0])
    else:
        found = audit.compare(arguments.data, **how)
    if arguments.out:
        found.save(arguments.out)
    audit.print_audit(found, arguments.data)
    return 1 if found.nonempty else 0
