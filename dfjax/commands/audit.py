"""`dfjax audit`: what the splits of a dataset share, or several datasets."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfjax import files
from dfjax.commands import compile_cache, options

if TYPE_CHECKING:
    from dfjax.data import builder, leaks

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
        description="Look for clips, people, videos and pictures, also mirrored ones, that several "
        "splits of a prepared dataset share. Writes DATA/audit.json and DATA/dataset_card.html. "
        "With several datasets, look for what each shares with those before it, in any split; "
        "nothing is compared within a dataset, and nothing is written but --out.",
        run=_run,
        epilog=_EXIT_STATUS,
    )
    parser.add_argument("data", metavar="DATA", nargs="+", help="what dfjax prepare --out wrote")
    parser.add_argument(
        "--crops-per-clip",
        type=options.positive,
        metavar="N",
        default=8,
        help="crops of a clip to compare for near duplicates (%(default)s)",
    )
    parser.add_argument(
        "--compare-faces",
        action="store_true",
        help="compare faces as well, by dlib's network: three crops of a clip, 10 ms each",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="also write the findings to this file, as JSON"
    )


def _run(arguments: argparse.Namespace) -> int:
    from dfjax.data import builder
    from dfjax.preparation import audit, dataset_card

    compile_cache.use()
    settings = {
        "crops_per_clip": arguments.crops_per_clip,
        "compare_faces": arguments.compare_faces,
    }
    datasets = [builder.open_dataset(data_dir) for data_dir in arguments.data]
    if arguments.out:
        files.require_replaceable(arguments.out)
    if len(datasets) == 1:
        files.require_writable(datasets[0].path)  # for audit.json and the card
    if len(datasets) == 1:
        result = audit.audit(datasets[0], **settings)
        dataset_card.write(datasets[0])
    else:
        result = audit.compare(datasets, **settings)
    if arguments.out:
        result.save(arguments.out)
    _print(result, datasets)
    return 1 if result.nonempty else 0


def _print(audit: "leaks.Audit", datasets: Sequence["builder.Dataset"]) -> None:
    """Prints the findings as a table, and what they mean."""
    import rich.box
    import rich.table

    from dfjax import console
    from dfjax.data import leaks

    alone = len(datasets) == 1
    output = console.make_console()
    title = f"shared by {'splits' if alone else 'datasets'}"
    table = rich.table.Table(title=title, box=rich.box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("kind")
    table.add_column("how many", justify="right")
    table.add_column("splits, and examples", overflow="fold")
    for finding in audit.findings:
        counts = [f"{splits}: {count}" for splits, count in finding.splits.items()]
        examples = [leak.describe() for leak in finding.examples[:2]]
        table.add_row(leaks.KINDS[finding.kind], f"{finding.count}", "\n".join(counts + examples))
    output.print(table)
    if any(finding.kind in leaks.CANDIDATES for finding in audit.nonempty):
        warning = "faces as close as those of one person may be look-alikes: check them"
        output.print(f"warning: {warning}", style="yellow")
    where = f"; see {datasets[0].path / leaks.FILE}" if alone else ""
    output.print(f"{_conclusion(audit, alone=alone)}{where}")


def _conclusion(audit: "leaks.Audit", *, alone: bool) -> str:
    if not audit.nonempty:
        return "no leak found"
    if not audit.blocking:
        return "no leak is certain"
    if alone:
        return "leaks: training refuses this dataset"
    return "leaks: a model of one of them recognizes some of another"
