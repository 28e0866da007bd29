"""`dfjax predict`: verdicts on files, or on a camera or stream while it runs."""

import argparse
import collections
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import rich.table

from dfjax import console, files
from dfjax.commands import beam_options, compile_cache, options, process
from dfjax.errors import UserError
from dfjax.weights import shipped

if TYPE_CHECKING:
    from dfjax.inference.detector import Detector

# Flags by attribute: None is "not given", so that a flag without effect can be refused. The
# defaults are those of the functions that take the values.
_OF_FILES = {
    "out": "--out",
    "frames": "--frames",
    "no_reports": "--no-reports",
    "annotate": "--annotate",
    "reidentify": "--reidentify",
    "trust_list": "--trust-list",
    "jobs": "--jobs",
    "runner": "--runner",
}
_OF_LIVE = {"detect_every": "--detect-every"}
MOST_SHOWN = 200  # rows


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "predict",
        help="judge pictures, videos, folders, a camera or a stream",
        description="Judge pictures and videos, or a camera or stream while it runs.",
        run=_run,
    )
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="picture, video, folder, glob pattern, a .txt file listing one path per line, or - "
        "for standard input; with --live a camera's number, an rtsp:// or http:// address "
        "(hls+https:// if it is a playlist), or a video",
    )
    options.add_model(parser)
    parser.add_argument(
        "--align",
        action="store_true",
        help="detect and align faces even if the model was trained on pictures taken as they are",
    )
    _add_file_options(parser.add_argument_group("files"))
    beam_options.add_to(parser)
    live = parser.add_argument_group("live")
    live.add_argument(
        "--live",
        action="store_true",
        help="judge while SOURCE runs: prints JSON lines, and opens a window if there is a display",
    )
    live.add_argument(
        "--detect-every",
        type=options.positive,
        metavar="K",
        help="search every K-th frame for faces and follow them in between (5)",
    )


def _add_file_options(files: "argparse._ArgumentGroup") -> None:
    files.add_argument("--out", metavar="DIR", help="folder for the results (runs/predict)")
    files.add_argument(
        "--frames", type=options.positive, metavar="N", help="analysed in each video (32)"
    )
    files.add_argument(
        "--jobs",
        type=options.positive,
        metavar="N",
        help=f"files that are decoded at a time ({options.num_cores()})",
    )
    files.add_argument(
        "--no-reports",
        action="store_true",
        default=None,
        help="write the table of results and no reports",
    )
    files.add_argument(
        "--annotate",
        action="store_true",
        default=None,
        help="write copies with boxes, scores and heat maps",
    )
    files.add_argument(
        "--reidentify",
        action="store_true",
        default=None,
        help="follow people across cuts by face recognition: 10 ms more where one appears",
    )
    options.add_trust_list(files)


def _run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    pipeline = beam_options.read(arguments)

    from dfjax.inference.detector import Detector

    model = {
        "runtime": arguments.runtime,
        "expect": arguments.expect,
        "always_align": arguments.align,
        "reidentify": bool(arguments.reidentify),
        "trust_list": arguments.trust_list,
    }
    if arguments.model != str(shipped.DETECTOR):  # which every machine has elsewhere
        model["path"] = arguments.model
    compile_cache.use()
    judge = _watch if arguments.live else _predict_files
    with process.printed_notes("dfjax.inference"):
        detector = Detector.load(**model)
        for warning in detector.warnings:
            console.print_line(f"dfjax: warning: {warning}", error=True)
        if pipeline:
            return _predict_on_beam(arguments, model, pipeline)
        return judge(arguments, detector)


def _check(arguments: argparse.Namespace) -> None:
    """Refuses what cannot work or would be ignored, before the model is loaded."""
    from dfjax.media import address

    unused = _OF_FILES if arguments.live else _OF_LIVE
    if flags := [flag for name, flag in unused.items() if getattr(arguments, name) is not None]:
        if arguments.live:
            raise UserError(f"--live does not use {', '.join(flags)}: leave that out")
        raise UserError(f"files do not use {', '.join(flags)}: add --live, or leave that out")
    if arguments.live and len(arguments.sources) != 1:
        raise UserError(f"--live takes one source, and {len(arguments.sources)} are given")
    for source in arguments.sources:
        if not arguments.live and address.is_address(source):
            shown = address.mask(source)
            raise UserError(f"{shown} is an address: add --live to watch it, or download it")
    if not (arguments.live or arguments.runner):  # whose workers may write elsewhere
        files.require_writable(_out(arguments))


def _predict_files(arguments: argparse.Namespace, detector: "Detector") -> int:
    from dfjax.inference import predict

    rows = predict.predict(
        arguments.sources,
        detector,
        _out(arguments),
        jobs=arguments.jobs or options.num_cores(),
        **_settings(arguments),
    )
    return _say(arguments, rows)


def _predict_on_beam(
    arguments: argparse.Namespace, model: dict[str, Any], pipeline: Sequence[str]
) -> int:
    from dfjax.inference import predict_on_beam

    rows = predict_on_beam.predict_on_beam(
        arguments.sources, model, _out(arguments), beam_options=pipeline, **_settings(arguments)
    )
    return _say(arguments, rows)


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    from dfjax.inference import predict

    outputs = predict.Outputs(not arguments.no_reports, bool(arguments.annotate))
    return {"num_frames": arguments.frames or options.NUM_FRAMES, "outputs": outputs}


def _say(arguments: argparse.Namespace, rows: Sequence[dict[str, Any]]) -> int:
    from dfjax.inference import predict

    print_rows(rows)
    reports = "" if arguments.no_reports else " and the reports it names"
    console.print_line(f"wrote {_out(arguments).rstrip('/')}/{predict.TABLE}{reports}")
    return 0 if any(row["score"] is not None for row in rows) else 1


def _out(arguments: argparse.Namespace) -> str:
    from dfjax.inference import predict

    return predict.OUT if arguments.out is None else arguments.out


def _watch(arguments: argparse.Namespace, detector: "Detector") -> int:
    from dfjax.commands import watch

    settings = {"detect_every": arguments.detect_every} if arguments.detect_every else {}
    watch.watch(arguments.sources[0], detector, **settings)
    return 0


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Prints rows of `inference.predict` as a table, and how many files have each verdict.

    Of more than `MOST_SHOWN`, the table has the first.
    """
    table = rich.table.Table()
    for column in ("source", "verdict", "score", "why"):
        table.add_column(column, overflow="fold", justify="right" if column == "score" else "left")
    for row in itertools.islice(rows, MOST_SHOWN):
        score = "" if row["score"] is None else f"{row['score']:.3f}"
        table.add_row(row["source"], row["verdict"], score, row["text"])
    console.make_console().print(table)
    if len(rows) > MOST_SHOWN:
        console.print_line(f"and {len(rows) - MOST_SHOWN:,} more")
    counts = collections.Counter(row["verdict"] for row in rows)
    console.print_line(", ".join(f"{count} {label}" for label, count in sorted(counts.items())))
