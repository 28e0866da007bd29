"""`dfjax prepare`: a corpus becomes a dataset of face crops."""

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Iterator

from dfjax import registry
from dfjax.commands import options
from dfjax.errors import UserError

PUBLISHED = (
    "celebdf_pp", "celebdf_v1", "celebdf_v2", "deepfakebench", "deeperforensics", "df40", "dfd",
    "dfdc", "dfdcp", "ffiw", "ffpp", "pathlist", "uadfv", "wilddeepfake",
)  # fmt: skip
_OF_CROP_SPEC = (
    "size", "detector", "landmarks", "faces", "upsample", "search_every", "encoding",
)  # fmt: skip
_OWN_OPTIONS = {
    "compression": "--compression",
    "methods": "--methods",
    "identities": "--identities",
    "strict": "--strict",
    "ffpp_root": "--ffpp",
    "celebdf_root": "--celebdf",
}


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "prepare",
        help="turn videos and pictures into a dataset of face crops",
        description="Turn videos and pictures into a dataset of face crops.",
        run=_run,
    )
    parser.add_argument(
        "--out", metavar="DATA", required=True, help="folder for the dataset and errors.jsonl"
    )
    parser.add_argument(
        "--jobs",
        type=options.positive,
        metavar="N",
        default=options.num_cores(),
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
        f"lay it out, one of {', '.join(PUBLISHED)}",
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
        "--identities", type=options.positive, metavar="N", help="people to draw, for synthetic"
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
        type=options.positive,
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
        type=options.positive,
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


def _run(arguments: argparse.Namespace) -> int:
    from dfjax import corpora
    from dfjax.commands import prepare_tables
    from dfjax.faces.crop_spec import LICENCE_OF_68_LANDMARKS, CropSpec
    from dfjax.preparation import prepare
    from dfjax.preparation.settings import Settings

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
    settings = Settings(
        spec,
        num_frames=arguments.frames,
        boxes_from_original=arguments.boxes_from_original,
        seed=arguments.seed,
        synthetic=arguments.corpus == "synthetic",
    )
    summary = prepare.prepare(
        clips,
        arguments.out,
        settings,
        jobs=arguments.jobs,
        beam_options=beam_options,
        overwrite=arguments.overwrite,
    )
    prepare_tables.print_summary(summary)
    return 0 if summary.num_crops else 1


def _corpus_options(arguments: argparse.Namespace) -> dict[str, object]:
    given = {"root": arguments.root, "seed": arguments.seed, **_own_options(arguments)}
    if arguments.corpus == "synthetic":
        root = arguments.root or os.path.join(arguments.out, "synthetic")
        return {**given, "root": root, "jobs": arguments.jobs}
    if arguments.root is None and arguments.corpus in registry.names("corpus"):
        raise UserError(f"corpus {arguments.corpus} needs --root DIR: give its folder")
    return {**given, "splits": arguments.splits}


def _own_options(arguments: argparse.Namespace) -> dict[str, object]:
    """Returns the given ones of the options that only some corpora have."""
    given = {name: value for name in _OWN_OPTIONS if (value := getattr(arguments, name))}
    accepted = registry.options("corpus", arguments.corpus)
    if accepted and (unknown := [name for name in given if name not in accepted]):
        raise UserError(
            f"corpus {arguments.corpus} has no {_OWN_OPTIONS[unknown[0]]}: leave it out"
        )
    return given


def _beam_options(arguments: argparse.Namespace) -> list[str]:
    if arguments.pipeline_options and not arguments.runner:
        raise UserError("--pipeline-options are those of a pipeline: add --runner NAME")
    runner = [f"runner={arguments.runner}"] if arguments.runner else []
    return [f"--{option}" for option in (*runner, *arguments.pipeline_options)]


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
