"""FaceForensics++: 1,000 videos from YouTube, each forged by five methods.

Rössler et al., ICCV 2019; https://github.com/ondyari/FaceForensics. Below the root:

    original_sequences/youtube/{raw,c23,c40}/videos/071.mp4
    manipulated_sequences/METHOD/{raw,c23,c40}/videos/071_054.mp4   <target>_<source>
    train.json  val.json  test.json    pairs of ids; also in splits/ or dataset/splits/

or, in place of videos/, folders of frames in images/071/ (as the owners extract them), frames/071/
or face_images/071/. Early downloads have c0/ in place of raw/, and no youtube/. The copies of
others are read as well: RealFF/ and METHOD/ in place of the two trees, and original/ and METHOD/
without the level of the compression, as in FaceForensics++_C23/. The tree decides the label:
original is real, manipulated is fake.

The splits are the owners'. They leak: the 1,000 ids are cut from 977 videos, and 7 videos are in
two splits. Published numbers include those; strict drops clips of train (and val) that share a
video with test (or val). DeepFakeDetection, in the same tree, is the corpus dfd.
"""

import hashlib
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from dfjax import registry
from dfjax.corpora import ffpp_trees, forms, label_file, layout, strict_rules
from dfjax.corpora.clip import Clip
from dfjax.corpora.ffpp_trees import Tree
from dfjax.errors import UserError

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
# sha256 of the owners' split files, {split}.json.
SPLIT_SHA256 = {
    "train": "e59386911255e6fb0a79a7808ec2210536b8c0474268342694c4bca766d1b347",
    "val": "b48cc511f66938e05356aaa9c67e150b1e3638c355db3d745225b0022884b36e",
    "test": "886f5a0da623c25820692e0d8dc33d197ddb1db527a7f1cfcb9bcbca60fe4f40",
}
# YouTube videos that several ids are cut from, according to the owners' conversion_dict.json.
_SHARED_VIDEOS = {
    "R03Sko97IDE": "331 332",
    "j8iHnieUckQ": "524 525",
    "lBZ3BR1tbfo": "566 567",
    "nUNnFudF2pA": "605 606",
    "nmfPtUu2nSM": "614 615",
    "nwY9bp4pVHk": "618 619",
    "pGmDKODT6V4": "639 640",
    "r2T0mn64MAU": "685 686 687",
    "tR7z_H1qPMc": "755 756",
    "tuAgtClLSxE": "766 767",
    "u1L10BSRzVs": "769 770",
    "ukdxw_rACaw": "787 788",
    "wERnQNuwQbM": "837 838",
    "xG9J__APvnY": "875 876",
    "xQi1olDt7oo": "883 884",
    "ydPPnou6Frs": "937 938",
    "yjsNEL7DQuY": "942 943",
    "yvf0HOswcPk": "954 955",
    "z4yTbtJTlE0": "967 968",
    "zD4gR7-ZMhE": "973 974",
    "zPdvu-SUnbg": "982 983",
    "ze1aB8sjnvY": "993 994",
}
_YOUTUBE = {name: video for video, names in _SHARED_VIDEOS.items() for name in names.split()}


_REALS = Tree("original_sequences/youtube", ("original_sequences", "RealFF"), ("original",))
_FAKES = {
    method: Tree(f"manipulated_sequences/{method}", (method,), (method,)) for method in METHODS
}


@registry.register("corpus", "ffpp")
def read_ffpp(
    root: str | os.PathLike,
    *,
    compression: str = "c23",
    methods: Sequence[str] | None = None,
    strict: bool | str = False,
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`.

    `methods` are the forgery methods to read; None: all that exist. Warns about clips that the
    split files do not name, and leaves them out.

    Raises:
      UserError: a part or a split file is missing, or a name is unknown.
    """
    layout.check_methods(methods, METHODS)
    root = find_root(root)
    parts = {"real": list_reals(root, compression), **_list_fakes(root, compression, methods)}
    split_of = read_splits(root)
    named = {
        method: [name for name in split_of if ("_" in name) == (method != "real")]
        for method in parts
    }
    clips = []
    for method, paths in forms.choose("ffpp", parts, _labels(named)).items():
        layout.check_counts("ffpp", f"{method} {compression}", paths, named[method])
        clips += [
            layout.make_clip(
                "ffpp", root, paths[name],
                method=method, split=split_of[name], origin_ids=origin_ids(name),
            )
            for name in named[method]
            if name in paths
        ]  # fmt: skip
    clips = strict_rules.keep_splits("ffpp", clips, strict)
    return layout.check_clips(root, layout.link_originals("ffpp", clips))


def find_root(root: str | os.PathLike) -> pathlib.Path:
    """Returns the folder of FaceForensics++: `root`, or the one below it; see `layout`."""
    trees = ("original_sequences", "manipulated_sequences", "original", "RealFF")
    return layout.find_root("ffpp", root, *trees)


def list_reals(root: pathlib.Path, compression: str) -> forms.Part:
    """Returns the original videos, or their folders of frames, by id.

    Raises:
      UserError: `root` does not have them in that compression.
    """
    return forms.list_part(ffpp_trees.require(root, _REALS, compression), corpus="ffpp")


def read_splits(root: pathlib.Path) -> dict[str, str]:
    """Returns the split of every id ("071") and pair ("071_054") of the owners' files.

    Raises:
      UserError: a file is missing, is not a list of pairs, or repeats an id.
    """
    folder = _split_folder(root)
    split_of: dict[str, str] = {}
    altered = []
    for split, sha256 in SPLIT_SHA256.items():
        path = folder / f"{split}.json"
        for pair in label_file.read_json(path, list):
            if not (isinstance(pair, list) and len(pair) == 2 and all(map(_is_id, pair))):
                raise UserError(
                    f'{path}: {pair!r} is not a pair of ids like ["071", "054"]: download it again'
                )
            for name in (*pair, "_".join(pair), "_".join(reversed(pair))):
                if name in split_of:
                    raise UserError(
                        f"{path}: {name} is also in {split_of[name]}.json: download both again"
                    )
                split_of[name] = split
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            altered.append(path.name)
    layout.warn("ffpp", f"split files in {folder} differ from the published ones", altered)
    return split_of


def origin_ids(name: str) -> tuple[str, ...]:
    """Returns the origin ids of the real "071", or of target and donor of the fake "071_054"."""
    names = name.split("_")
    shared = [f"video:youtube/{_YOUTUBE[name]}" for name in names if name in _YOUTUBE]
    return (*(f"video:ffpp/{name}" for name in names), *shared)


def _list_fakes(
    root: pathlib.Path, compression: str, methods: Sequence[str] | None
) -> dict[str, forms.Part]:
    """Returns the clips by method; warns about the methods that are missing."""
    find = ffpp_trees.require if methods else ffpp_trees.find
    folders = {name: find(root, _FAKES[name], compression) for name in methods or METHODS}
    ffpp_trees.warn_if_unnamed("ffpp", root, folders.values(), compression)
    absent = [
        f"{name}{ffpp_trees.describe_others(root, _FAKES[name])}"
        for name, folder in folders.items()
        if folder is None
    ]
    layout.warn("ffpp", f"methods are missing in {compression}", absent)
    return {
        method: forms.list_part(folder, corpus="ffpp")
        for method, folder in folders.items()
        if folder
    }


def _labels(named: Mapping[str, Iterable[str]]) -> Callable[[str, str], int | None]:
    known = {method: frozenset(names) for method, names in named.items()}
    return lambda method, name: int(method != "real") if name in known[method] else None


def _split_folder(root: pathlib.Path) -> pathlib.Path:
    inner = ("", "splits", "dataset/splits")
    folders = [place / folder for place in (root, root.absolute().parent) for folder in inner]
    complete = [
        f for f in folders if all((f / f"{split}.json").is_file() for split in SPLIT_SHA256)
    ]
    if not complete:
        raise UserError(
            f"{root} lacks train.json, val.json or test.json: download them there from "
            "dataset/splits of https://github.com/ondyari/FaceForensics"
        )
    return complete[0]


def _is_id(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"\d{3}", name) is not None
