"""`dfjax report`: what score files say, without the model."""

import argparse
import pathlib
from typing import TYPE_CHECKING

from dfjax import console, files
from dfjax.commands import options
from dfjax.errors import UserError

if TYPE_CHECKING:
    from dfjax.evaluators.levels import Thresholds
    from dfjax.model_card import ModelCard


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "report",
        help="measure scores that are in files, of dfjax or of other tools",
        description="Measure scores that are in files, without the model: report.html for "
        "readers, report.md and report.tex for papers, report.json and metrics.json. Nothing is "
        "fitted to the scores: the threshold and the temperature are those of a model card, or "
        "given, or 0.5 and none.",
        run=_run,
    )
    parser.add_argument(
        "scores",
        metavar="SCORES",
        nargs="+",
        help="scores.parquet or scores.csv of dfjax evaluate, or a table of another tool with the "
        "columns clip, label, and score or logit; one for each dataset",
    )
    parser.add_argument("--out", metavar="DIR", required=True, help="for the results")
    options.add_by(parser)
    parser.add_argument(
        "--model", metavar="M", help="take thresholds and temperature from the card in this folder"
    )
    parser.add_argument(
        "--threshold", metavar="T", type=float, help="score from which on a face or video is fake"
    )
    parser.add_argument(
        "--temperature",
        metavar="T",
        type=float,
        help="divide logits by it (scores as the files have them)",
    )


def _run(arguments: argparse.Namespace) -> int:
    from dfjax import model_card, walk
    from dfjax.evaluators import protocol, score_table, tables
    from dfjax.report import report

    files.require_writable(arguments.out)
    for path in arguments.scores:
        files.require_file(path)
    card = None if arguments.model is None else model_card.read(arguments.model)
    limits, temperature = _decisions(arguments, card)
    parts = []
    for path in dict.fromkeys(arguments.scores):
        table = score_table.read(path)
        if temperature is not None:
            table = table.at_temperature(temperature)
        how = {} if card is None else protocol.of_card(card, limits)
        parts.append(
            protocol.dataset(path, table, limits, protocol=how, card=card, by=arguments.by)
        )
    results = {part["name"]: protocol.of_part(part) for part in parts}
    out = pathlib.Path(arguments.out)
    walk.mark_output(out)
    files.replace_json(out / protocol.FILE, protocol.make(parts, card=card))
    files.replace_json(out / protocol.METRICS_FILE, results)
    report.write(out)
    tables.print_results(results)
    names = protocol.FILE, protocol.METRICS_FILE, *report.FILES
    console.print_line(f"wrote {out}: {', '.join(names)}")
    return 0


def _decisions(
    arguments: argparse.Namespace, card: "ModelCard | None"
) -> "tuple[Thresholds, float | None]":
    """(the thresholds, the temperature if the scores are not to be taken as they are)."""
    from dfjax.evaluators import protocol
    from dfjax.evaluators.levels import Thresholds

    given = arguments.threshold, arguments.temperature
    if card is not None:
        if given != (None, None):
            raise UserError("--model brings thresholds and a temperature: leave the others out")
        return protocol.thresholds_of(card), card.temperature
    if arguments.temperature is not None and not arguments.temperature > 0:
        raise UserError(f"--temperature {arguments.temperature:g}: use a number above 0")
    if arguments.threshold is None:
        console.print_line("neither --model nor --threshold: a score of 0.5 or more is fake")
        return Thresholds(), arguments.temperature
    if not 0 <= arguments.threshold <= 1:
        raise UserError(f"--threshold {arguments.threshold:g}: use a score from 0 to 1")
    return Thresholds(arguments.threshold, arguments.threshold, "given"), arguments.temperature
