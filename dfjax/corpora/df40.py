"""DF40: face crops of 40 methods, most of them applied to FaceForensics++ and Celeb-DF.

Yan et al., NeurIPS 2024; https://github.com/YZY-stack/DF40. Below the root, or below DF40/ (or
test/) for what the owners test with, and DF40_train/ (or train/) for what they train with:

    simswap/ff/frames/071_054/000.png    fakes made from FaceForensics++, with its names
    simswap/cdf/frames/id1_id0_0007/     fakes made from Celeb-DF, with its names
    StyleGAN2/ff/071/, DiT/cdf/...       entire faces, in folders of those names
    stargan/{fake,real}/000001.jpg       methods that come with reals; each picture is a clip

DF40_train/ may lack ff/. A folder with the name of the archive may come between (stargan/stargan/),
or one of the kind of forgery above (Face-swapping/simswap/). The folder decides the label: real/
below a method is real, everything else is fake.

The reals of ff and cdf are separate corpora. Give FaceForensics++ and Celeb-DF as DeepfakeBench
cropped them (frames/): if reals and fakes were cropped differently, the crop would reveal the
label. DF40_train is train and val: val has the videos of FaceForensics++'s val if that corpus is
given, otherwise a share. The rest is test. Reals of FaceForensics++ keep its splits; those of
Celeb-DF are the ones in its test list.
"""

import dataclasses
import functools
import os
import pathlib
import re
from collections.abc import Collection, Mapping, Sequence

from dfjax import registry
from dfjax.corpora import celebdf, ffpp, forms, layout, splits, strict_rules
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError
from dfjax.media import suffix

METHODS = (
    "blendface", "CollabDiff", "danet", "ddim", "deepfacelab", "DiT", "e4e", "e4s", "facedancer",
    "faceswap", "facevid2vid", "fomm", "fsgan", "heygen", "hyperreenact", "inswap", "lia", "mcnet",
    "MidJourney", "mobileswap", "MRAA", "one_shot_free", "pirender", "pixart", "RDDM", "sadtalker",
    "sd2.1", "simswap", "SiT", "stargan", "starganv2", "styleclip", "StyleGAN2", "StyleGAN3",
    "StyleGANXL", "tpsm", "uniface", "VQGAN", "wav2lip", "whichfaceisreal",
)  # fmt: skip

# These forge no video: their folders only have the names of videos.
_SYNTHESIS = {
    "ddim", "DiT", "MidJourney", "pixart", "RDDM", "sd2.1", "SiT", "StyleGAN2", "StyleGAN3",
    "StyleGANXL", "VQGAN", "whichfaceisreal",
}  # fmt: skip
_VIDEO = re.compile(r"\d{3}(_\d{3})?|\d{5}|id\d+_.*")
_SPELLINGS = {"whichfaceisreal": ("whichfaceisreal", "whichisreal")}
_OTHERS = ("DF40", "DF40_train", "train", "test", "dataset_json", "FaceForensics++", "Celeb-DF-v2")
# Folders of methods by the kind of forgery, in the spellings that people use.
_GROUPS = (
    "face*swapping", "face*reenactment", "*face*synthesis", "face*edit*", "FS", "FR", "EFS", "FE",
)  # fmt: skip
_TREES = {"test": ("DF40", "DF40_test", "test"), "train": ("DF40_train", "train")}


@registry.register("corpus", "df40")
def read_df40(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    shares: Sequence[float] = splits.SHARES,
    ffpp_root: str | os.PathLike | None = None,
    celebdf_root: str | os.PathLike | None = None,
    methods: Sequence[str] | None = None,
    strict: bool | str = False,
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`.

    `ffpp_root` is the folder of FaceForensics++; without it, `shares` deals out DF40_train to train
    and val. `celebdf_root` is the folder of Celeb-DF v2. `methods` are the forgery methods to read;
    None: all that exist.

    Raises:
      UserError: there is no clip, or a method is unknown.
    """
    layout.check_methods(methods, METHODS)
    trees = (name for names in _TREES.values() for name in names)
    root = layout.find_root("df40", root, *trees, *_GROUPS, *METHODS)
    ffpp_root = ffpp_root and ffpp.find_root(ffpp_root)
    celebdf_root = celebdf_root and celebdf.find_root("celebdf_v2", celebdf_root)
    split_of = ffpp.read_splits(ffpp_root) if ffpp_root else {}
    parts = _list_methods(root, methods or METHODS) | _list_reals(ffpp_root, celebdf_root)
    chosen = forms.choose("df40", parts, functools.partial(_label, split_of))
    clips = [
        _with_split(clip, split_of)
        for (place, method), paths in chosen.items()
        if place in splits.SPLITS
        for clip in _make_clips(root, method, place, paths)
    ]
    absent = set(methods or METHODS) - {clip.method for clip in clips}
    layout.warn("df40", "methods are missing", absent)
    if ffpp_root:
        clips += _make_ffpp(ffpp_root, chosen["ffpp", ""], split_of, clips)
    if celebdf_root:
        clips += _make_celebdf(celebdf_root, chosen)
    if any(clip.split == "val" for clip in clips):
        clips = strict_rules.keep_splits("df40", clips, strict)
    else:
        clips = strict_rules.deal_val("df40", clips, strict, seed=seed, shares=shares)
    return layout.check_clips(root, _link_originals(clips))


def _list_methods(
    root: pathlib.Path, methods: Collection[str]
) -> dict[tuple[str, str], forms.Part]:
    """Returns the clips by split and method."""
    parts = {}
    for tree, split in _trees(root):
        for method, place in _find_methods(tree).items():
            if method in methods:
                parts[split, method] = _list_method(place)
    return parts


def _list_reals(
    ffpp_root: pathlib.Path | None, celebdf_root: pathlib.Path | None
) -> dict[tuple[str, str], forms.Part]:
    """Returns the reals of the other corpora, by corpus and folder."""
    parts = {}
    if ffpp_root:
        parts["ffpp", ""] = ffpp.list_reals(ffpp_root, "c23")
    if celebdf_root:
        reals = celebdf.list_test_reals(celebdf_root)
        parts |= {("celebdf", folder): part for folder, part in reals.items()}
    return parts


def _trees(root: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
    """Returns the folders that contain the methods' folders, each with its split."""
    folders = [(layout.find_folder(root, *names), split) for split, names in _TREES.items()]
    trees = [(tree, split) for tree, split in folders if tree]
    if not trees:
        is_train = layout.same_name(pathlib.Path(os.path.abspath(root)).name, "DF40_train")
        trees = [(root, "train" if is_train else "test")]
    return trees


def _find_methods(tree: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the folders of methods in a tree, or one level lower; warns about other folders."""
    found: dict[str, pathlib.Path] = {}
    unknown = []
    for place in layout.subfolders(tree):
        method = _method_at(place)
        places = {m: inner for inner in layout.subfolders(place) if (m := _method_at(inner))}
        if method and places.keys() <= {method}:  # a group may have the name of a method
            places = {method: place}
        if not places and not any(layout.same_name(place.name, other) for other in _OTHERS):
            unknown.append(place.name)
        for method, place in places.items():
            if found.setdefault(method, place) != place:
                raise UserError(f"{found[method]} and {place} both exist: keep one")
    layout.warn("df40", f"folders in {tree} are not methods", unknown)
    return found


def _method_at(place: pathlib.Path) -> str | None:
    return next(
        (
            method
            for method in METHODS
            for name in _SPELLINGS.get(method, (method,))
            if layout.same_name(name, place.name)
        ),
        None,
    )


def _list_method(place: pathlib.Path) -> forms.Part:
    """Returns the clips of a method by their paths, without levels such as frames/."""
    part: forms.Part = {}
    for name, path in layout.list_clips(place, corpus="df40").items():
        levels = name.split("/")
        kind = next((level for level in levels if level in layout.KINDS), "")
        short = "/".join(level for level in levels if level not in layout.KINDS)
        (copy,) = forms.split_forms({short: path}, kind)
        for file in _clips_at(path):
            inner = file.removeprefix(path)  # "", or a picture in it
            part.setdefault(copy, {})[f"{short}{inner}"] = file
    return part


def _label(split_of: Collection[str], part: tuple[str, str], name: str) -> int | None:
    place, _ = part
    if place == "ffpp":
        return 0 if name in split_of else None
    return int(place != "celebdf" and "real" not in name.casefold().split("/"))


def _make_clips(
    root: pathlib.Path, method: str, split: str, paths: Mapping[str, str]
) -> list[Clip]:
    clips = []
    for name, path in paths.items():
        levels = name.casefold().split("/")
        is_domain = split == "train" or not {"ff", "cdf"}.isdisjoint(levels)
        inside = path.removeprefix(f"{root}/")
        clips.append(
            layout.make_clip(
                "df40", root, path,
                method="real" if "real" in levels else method,
                split=split, origin_ids=_origin_ids(inside, method, is_domain),
            )
        )  # fmt: skip
    return clips


def _clips_at(path: str) -> list[str]:
    """Returns `path` if it is one video; if it is a folder of unrelated pictures, the pictures."""
    parent, name = os.path.split(path)
    if suffix.is_video(path) or os.path.basename(parent) in layout.KINDS or _VIDEO.fullmatch(name):
        return [path]
    return [os.fspath(picture) for picture in layout.list_pictures(path)]


def _origin_ids(path: str, method: str, is_domain: bool) -> tuple[str, ...]:
    """Returns the origin ids of the clip at `path`.

    `is_domain` says that its folder has names of FaceForensics++ or Celeb-DF.
    """
    own, name = f"video:df40/{path}", os.path.basename(path)
    name = os.path.splitext(name)[0] if suffix.is_video(path) else name
    if not is_domain or not _VIDEO.fullmatch(name):
        return (own,)
    origin_ids = celebdf.origin_ids(name) or ffpp.origin_ids(name)
    return (own, *origin_ids) if method in _SYNTHESIS else origin_ids


def _ffpp_names(clip: Clip) -> list[str]:
    prefix = "video:ffpp/"
    return [origin.removeprefix(prefix) for origin in clip.origin_ids if prefix in origin]


def _with_split(fake: Clip, split_of: Mapping[str, str]) -> Clip:
    """Returns a fake of train in val, if the video in it is in the val of FaceForensics++."""
    names = _ffpp_names(fake)
    is_val = fake.split == "train" and names and split_of.get(names[0]) == "val"
    return dataclasses.replace(fake, split="val") if is_val else fake


def _make_ffpp(
    ffpp_root: pathlib.Path,
    paths: Mapping[str, str],
    split_of: Mapping[str, str],
    fakes: Sequence[Clip],
) -> list[Clip]:
    """Returns the reals of FaceForensics++, of the splits that fakes made from it are in."""
    used_splits = {clip.split for clip in fakes if _ffpp_names(clip)}
    return [
        layout.make_clip(
            "df40", ffpp_root, path,
            method="real", split=split_of[name], origin_ids=ffpp.origin_ids(name),
        )
        for name, path in paths.items()
        if split_of.get(name) in used_splits
    ]  # fmt: skip


def _make_celebdf(
    celebdf_root: pathlib.Path, chosen: Mapping[tuple[str, str], Mapping[str, str]]
) -> list[Clip]:
    """Returns the reals of the test list of Celeb-DF."""
    return [
        layout.make_clip(
            "df40", celebdf_root, path,
            method="real", split="test", origin_ids=celebdf.origin_ids(name),
        )
        for (place, _), paths in chosen.items()
        if place == "celebdf"
        for name, path in paths.items()
    ]  # fmt: skip


def _link_originals(clips: Sequence[Clip]) -> list[Clip]:
    """Returns `clips` with the originals of those fakes that were made from a video."""
    alone = [clip for clip in clips if clip.origin_ids[0].startswith("video:df40/")]
    made = [clip for clip in clips if not clip.origin_ids[0].startswith("video:df40/")]
    return alone + layout.link_originals("df40", made)
