"""`dfjax predict`: files, a camera or a stream are judged."""

import argparse
import sys

from dfjax.commands import options
from dfjax.errors import UserError


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
        help="picture, video, folder, glob pattern, .txt file with a path a line, - for standard "
        "input; with --live a camera's number, an rtsp:// or http:// address, or a video",
    )
    options.add_model(parser)
    parser.add_argument(
        "--align",
        action="store_true",
        help="find and align faces even if the model was trained on pictures taken as they are",
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "--out", metavar="DIR", default="runs/predict", help="for the results (%(default)s)"
    )
    files.add_argument(
        "--frames", type=options.positive, metavar="N", default=32, help="of a video (%(default)s)"
    )
    files.add_argument("--no-reports", action="store_true", help="write the table of results only")
    files.add_argument(
        "--annotate", action="store_true", help="write copies with boxes, scores and heat maps"
    )
    files.add_argument(
        "--reidentify",
        action="store_true",
        help="follow people across cuts by dlib's network: 10 ms more where one appears",
    )
    live = parser.add_argument_group("live")
    live.add_argument(
        "--live",
        action="store_true",
        help="judge while SOURCE runs: JSON lines, and a window where there is a display",
    )
    live.add_argument(
        "--search-every",
        type=options.positive,
        metavar="K",
        default=5,
        help="search every K-th frame for faces and follow them in between (%(default)s)",
    )


def _run(arguments: argparse.Namespace) -> int:
    from dfjax.inference.detector import Detector

    model = Detector.load(
        arguments.model,
        runtime=arguments.runtime,
        always_align=arguments.align,
        reidentify=arguments.reidentify,
    )
    for warning in model.warnings:
        print(f"dfjax: warning: {warning}", file=sys.stderr)
    return _watch(arguments, model) if arguments.live else _predict_files(arguments, model)


def _predict_files(arguments: argparse.Namespace, model) -> int:
    from dfjax.inference import predict
    from dfjax.media import stream

    for source in arguments.sources:
        if source.startswith(stream.URL_SCHEMES):
            raise UserError(f"{source} is an address: add --live to watch it, or download it")
    rows = predict.predict(
        arguments.sources,
        model,
        arguments.out,
        num_frames=arguments.frames,
        outputs=predict.Outputs(not arguments.no_reports, arguments.annotate),
    )
    predict.print_rows(rows, arguments.out)
    return 0 if any(row["score"] is not None for row in rows) else 1


def _watch(arguments: argparse.Namespace, model) -> int:
    from dfjax.inference import live

    if len(arguments.sources) != 1:
        raise UserError(f"--live takes one source, and {len(arguments.sources)} are given")
    live.watch(arguments.sources[0], model, search_every=arguments.search_every)
    return 0
