"""DF40: face crops of 40 methods, most of them applied to FaceForensics++ and Celeb-DF.

Yan et al., NeurIPS 2024; https://github.com/YZY-stack/DF40. Below the root, or below DF40/ (or
test/) for what the owners test with, and DF40_train/ (or train/) for what they train with:

    simswap/ff/frames/071_054/000.png    fakes made from FaceForensics++, with its names
    simswap/cdf/frames/id1_id0_0007/     fakes made from Celeb-DF, with its names
    StyleGAN2/ff/071/, DiT/cdf/...       entire faces, in folders of those names
    stargan/{fake,real}/000001.jpg       methods that come with reals; each picture is a clip

DF40_train/ may lack ff/. A folder with the name of the archive may come between (stargan/stargan/).
The folder decides the label: real/ below a method is real, everything else is fake.

The reals of ff and cdf are separate corpora. Give FaceForensics++ and Celeb-DF as DeepfakeBench
cropped them (frames/): if reals and fakes were cropped differently, the crop would reveal the
label. DF40_train is train and val: val has the videos of FaceForensics++'s val if that corpus is
given, otherwise a share. The rest is test. Reals of FaceForensics++ keep its splits; those of
Celeb-DF are the ones in its test list.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Sequence

from dfjax import registry
from dfjax.corpora import celebdf, ffpp, layout, splits
from dfjax.corpora.clip import Clip
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
_CROPS_FIRST = ("frames", "images", "videos")
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
    strict: bool = False,
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`.

    `ffpp_root` is the folder of FaceForensics++; without it, `shares` deals out DF40_train to train
    and val. `celebdf_root` is the folder of Celeb-DF v2. `methods` are the forgery methods to read;
    None: all that exist.

    Raises:
      UserError: there is no clip, or a method is unknown.
    """
    root = layout.require_folder(root)
    layout.check_methods(methods, METHODS)
    clips = [
        clip
        for tree, split in _trees(root)
        for method in methods or METHODS
        for clip in _read_method(root, tree, method, split)
    ]
    absent = set(methods or METHODS) - {clip.method for clip in clips}
    layout.warn("df40", "methods are missing", absent)
    if ffpp_root is not None:
        clips = _add_ffpp(clips, pathlib.Path(ffpp_root))
    if celebdf_root is not None:
        clips = _add_celebdf(clips, pathlib.Path(celebdf_root))
    if not any(clip.split == "val" for clip in clips):
        clips = splits.hold_out_val(clips, seed=seed, shares=shares, ties="video:")
    clips = splits.drop_leaks("df40", clips) if strict else clips
    return layout.check_clips(root, layout.link_originals(clips))


def _trees(root: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
    """Returns the folders that contain the methods' folders, each with its split."""
    folders = [(layout.find_folder(root, *names), split) for split, names in _TREES.items()]
    trees = [(tree, split) for tree, split in folders if tree]
    if not trees:
        is_train = layout.same_name(pathlib.Path(os.path.abspath(root)).name, "DF40_train")
        trees = [(root, "train" if is_train else "test")]
    for tree, _ in trees:
        known = [*METHODS, *_SPELLINGS["whichfaceisreal"], *_OTHERS]
        names = (path.name for path in tree.iterdir() if path.is_dir())
        unknown = [n for n in names if not any(layout.same_name(n, other) for other in known)]
        layout.warn("df40", f"folders in {tree} are not methods", unknown)
    return trees


def _read_method(root: pathlib.Path, tree: pathlib.Path, method: str, split: str) -> list[Clip]:
    place = layout.find_folder(tree, *_SPELLINGS.get(method, (method,)))
    paths = {} if place is None else layout.list_clips(place, corpus="df40")
    clips = []
    for name, path in paths.items():
        parts = name.casefold().split("/")
        is_domain = split == "train" or not {"ff", "cdf"}.isdisjoint(parts)
        clips += [
            layout.make_clip(
                "df40", root, file,
                method="real" if "real" in parts else method,
                split=split,
                origin_ids=_origin_ids(file.relative_to(root), method, is_domain),
            )
            for file in _clips_at(path)
        ]  # fmt: skip
    return clips


def _clips_at(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns `path` if it is one video; if it is a folder of unrelated pictures, the pictures."""
    is_one = path.is_file() or path.parent.name == "frames" or _VIDEO.fullmatch(path.name)
    return [path] if is_one else layout.list_pictures(path)


def _origin_ids(path: pathlib.PurePath, method: str, is_domain: bool) -> tuple[str, ...]:
    """Returns the origin ids of the clip at `path`.

    `is_domain` says that its folder has names of FaceForensics++ or Celeb-DF.
    """
    own = f"video:df40/{path.as_posix()}"
    name = path.stem if suffix.is_video(path) else path.name
    if not is_domain or not _VIDEO.fullmatch(name):
        return (own,)
    origin_ids = celebdf.origin_ids(name) or ffpp.origin_ids(name)
    return (own, *origin_ids) if method in _SYNTHESIS else origin_ids


def _add_ffpp(clips: Sequence[Clip], ffpp_root: pathlib.Path) -> list[Clip]:
    """Returns `clips` with the val split of FaceForensics++, and the reals of that corpus."""
    split_of = ffpp.read_splits(ffpp_root)
    prefix = "video:ffpp/"
    fakes, used_splits = [], set()
    for clip in clips:
        names = [origin.removeprefix(prefix) for origin in clip.origin_ids if prefix in origin]
        if names and clip.split == "train" and split_of.get(names[0]) == "val":
            clip = dataclasses.replace(clip, split="val")
        fakes.append(clip)
        used_splits |= {clip.split} if names else set()
    reals = [
        layout.make_clip(
            "df40", ffpp_root, path,
            method="real", split=split_of[name], origin_ids=ffpp.origin_ids(name),
        )
        for name, path in ffpp.list_reals(ffpp_root, "c23", _CROPS_FIRST).items()
        if split_of.get(name) in used_splits
    ]  # fmt: skip
    _check_crops(clips, reals)
    return fakes + reals


def _add_celebdf(clips: Sequence[Clip], celebdf_root: pathlib.Path) -> list[Clip]:
    """Returns `clips` and the reals of the test list of Celeb-DF."""
    reals = [
        layout.make_clip(
            "df40", celebdf_root, path,
            method="real", split="test", origin_ids=celebdf.origin_ids(name),
        )
        for name, path in celebdf.list_test_reals(celebdf_root, _CROPS_FIRST).items()
    ]  # fmt: skip
    _check_crops(clips, reals)
    return [*clips, *reals]


def _check_crops(fakes: Sequence[Clip], reals: Sequence[Clip]) -> None:
    """Warns about reals that are videos while fakes are folders of crops."""
    videos = [clip.path for clip in reals if suffix.is_video(clip.path)]
    if any(os.path.isdir(clip.path) for clip in fakes):
        what = "reals are whole videos, but the fakes are crops: crop the reals in the same way"
        layout.warn("df40", what, videos)
