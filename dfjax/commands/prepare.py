"""`dfjax prepare`: a corpus becomes a dataset of face crops.

No option is accepted and ignored: what the corpus or the kind of crops does not take is refused.
Names, choices and defaults come from the readers of corpora and from `CropSpec`, which are quick to
import; everything heavy is imported in `_run`.
"""

import argparse
from typing import Any

from dfjax import console, files, registry
from dfjax.commands import beam_options, corpus_options, options, process
from dfjax.errors import UserError
from dfjax.faces import crop_spec
from dfjax.faces.crop_spec import CropSpec

# By field of CropSpec: settings of argparse. The flag has the name of the field.
_CROP_OPTIONS: dict[str, dict[str, Any]] = {
    "size": {"metavar": "PIXELS", "help": "side of a crop"},
    "scale": {
        "metavar": "X",
        "help": "width of a crop in units of the tight ArcFace crop: less cuts closer, which suits "
        "pictures that end at the face",
    },
    "center": {
        "metavar": "Y",
        "help": "height of a crop's center in the tight ArcFace crop, as a share of its side: more "
        "shows more of the chin",
    },
    "encoding": {"help": "of stored crops; jpeg has quality 95, 4:4:4"},
    "detector": {"help": "face detector of dlib"},
    "landmarks": {
        "help": "points to align by; the model of 5 is free, that of 68 excludes commercial use"
    },
    "faces": {"help": "of each frame"},
    "upsample": {
        "metavar": "N",
        "help": "double frames N times for detection: detects smaller faces, takes longer",
    },
    "search_every": {
        "metavar": "K",
        "help": "search the whole frame for faces in every K-th sampled frame of a video, and near "
        "their last boxes in between; 1 searches every frame",
    },
}
_ALIGN_OPTIONS = (
    "scale", "center", "detector", "landmarks", "faces", "upsample", "search_every",
    "boxes_from_original",
)  # fmt: skip


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
        "--out",
        metavar="DATA",
        type=options.utf8_path,
        required=True,
        help="folder for the dataset and errors.jsonl, or its URL in a store (s3://..., gs://...)",
    )
    parser.add_argument(
        "--jobs",
        type=options.positive,
        metavar="N",
        help=f"local processes ({options.num_cores()})",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace what DATA holds of other clips or settings",
    )
    corpus_options.add_to(parser.add_argument_group("corpus"), required=True)
    _add_crops(parser.add_argument_group("crops"))
    beam_options.add_to(parser)


def _add_crops(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--crops",
        choices=crop_spec.ACCEPTED["crops"],
        default=CropSpec.crops,
        help="align: detect the face and align it; as-is: the files already are face crops, only "
        "resize them (%(default)s)",
    )
    group.add_argument(
        "--frames",
        type=options.positive,
        metavar="N",
        default=options.NUM_FRAMES,
        help="frames of a video, evenly spread (%(default)s)",
    )
    for name, settings in _CROP_OPTIONS.items():
        default = getattr(CropSpec, name)
        # "none" and 0 belong to --crops as-is.
        choices = [value for value in crop_spec.ACCEPTED.get(name, ()) if value not in ("none", 0)]
        settings = {**settings, "help": f"{settings['help']} ({default})"}
        group.add_argument(
            _flag(name), type=type(default), choices=choices or None, default=None, **settings
        )
    group.add_argument(
        "--boxes-from-original",
        action="store_true",
        help="crop a fake where the faces of its original are; faces are detected in the fake "
        "itself if the original is missing or differs in size or length",
    )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _run(arguments: argparse.Namespace) -> int:
    from dfjax.buckets import data, store
    from dfjax.commands import prepare_tables
    from dfjax.preparation import prepare
    from dfjax.preparation.settings import Settings

    # Drawing the synthetic corpus takes local processes, too.
    pipeline = beam_options.read(arguments, jobs_are_local=arguments.corpus != "synthetic")
    spec = _crop_spec(arguments)
    is_url = store.is_url(arguments.out)
    folder = data.Publication(arguments.out, "").path if is_url else arguments.out
    reader_options = corpus_options.reader_options(arguments, str(folder))
    files.require_writable(folder)  # before a large corpus is listed
    if spec.landmarks == 68:
        console.print_line(f"dfjax: note: {crop_spec.LICENSE_OF_68_LANDMARKS}", error=True)
    with process.printed_notes("dfjax.corpora"):
        clips = registry.build("corpus", arguments.corpus, **reader_options)
    taken = registry.options("corpus", arguments.corpus)
    settings = Settings(
        spec,
        num_frames=arguments.frames,
        boxes_from_original=arguments.boxes_from_original,
        seed=arguments.seed or 0,
        synthetic=arguments.corpus == "synthetic",
        strict=(arguments.strict or False) if "strict" in taken else None,
    )
    summary = prepare.prepare(
        clips,
        arguments.out,
        settings,
        jobs=arguments.jobs or options.num_cores(),
        beam_options=pipeline,
        overwrite=arguments.overwrite,
    )
    prepare_tables.print_summary(summary)
    if is_url:
        console.print_line(f"copied to {arguments.out}")
    return 0 if summary.num_crops else 1


def _crop_spec(arguments: argparse.Namespace) -> CropSpec:
    """Returns the spec of the crop options.

    Raises:
      UserError: an option does not apply to crops taken as they are, or a value is not accepted.
    """
    as_is = arguments.crops == "as-is"
    for name in _ALIGN_OPTIONS if as_is else ():
        value = getattr(arguments, name)
        if value is not None and value is not False:
            raise UserError(f"--crops as-is detects no faces: leave {_flag(name)} out")
    fields = {name: getattr(arguments, name) for name in _CROP_OPTIONS}
    fields = {name: value for name, value in fields.items() if value is not None}
    fields |= {"detector": "none", "landmarks": 0} if as_is else {}
    return CropSpec(crops=arguments.crops, **fields)
