"""DF40: face crops of 40 methods, most of them applied to FaceForensics++ and Celeb-DF.

Yan et al., NeurIPS 2024; https://github.com/YZY-stack/DF40. Below the root, or below DF40/ (or
test/) for what the owners test with, and DF40_train/ (or train/) for what they train with:

    simswap/ff/frames/071_054/000.png    fakes made of FaceForensics++, named as there
    simswap/cdf/frames/id1_id0_0007/     fakes made of Celeb-DF, named as there
    StyleGAN2/ff/071/, DiT/cdf/...       whole faces, dealt out to folders of those names
    stargan/{fake,real}/000001.jpg       methods that bring their reals; each picture is a clip

DF40_train/ may lack ff/; a folder of the archive's own name may come between (stargan/stargan/).
The folder tells the label: real/ below a method is real, all else is fake.

The reals of ff and cdf are corpora of their own: give FaceForensics++ and Celeb-DF as DeepfakeBench
cut them out (frames/), since faces cut otherwise than the fakes give the label away. DF40_train is
train, without the val of FaceForensics++ if that is given, else without a share; the rest is test.
Reals of FaceForensics++ have its splits, those of Celeb-DF are the ones in its test list.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Sequence

from dfjax import registry
from dfjax.corpora import celebdf, ffpp, layout
from dfjax.corpora.clip import Clip
from dfjax.media.video import VIDEO_SUFFIXES

METHODS = (
    "blendface", "CollabDiff", "danet", "ddim", "deepfacelab", "DiT", "e4e", "e4s", "facedancer",
    "faceswap", "facevid2vid", "fomm", "fsgan", "heygen", "hyperreenact", "inswap", "lia", "mcnet",
    "MidJourney", "mobileswap", "MRAA", "one_shot_free", "pirender", "pixart", "RDDM", "sadtalker",
    "sd2.1", "simswap", "SiT", "stargan", "starganv2", "styleclip", "StyleGAN2", "StyleGAN3",
    "StyleGANXL", "tpsm", "uniface", "VQGAN", "wav2lip", "whichfaceisreal",
)  # fmt: skip

# Nobody's video was forged here: the folders only carry the names of videos.
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
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    ffpp_root: str | os.PathLike | None = None,
    celebdf_root: str | os.PathLike | None = None,
    methods: Sequence[str] | None = None,
    strict: bool = False,
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`.

    `splits` share what is in DF40_train between train and val where `ffpp_root`, the folder of
    FaceForensics++, is not given. `celebdf_root` is that of Celeb-DF v2. `methods` are those to
    read; None: all that are there.

    Raises:
      UserError: no method is there, or one is unknown.
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
    layout.report("df40", "methods are not there", absent)
    if ffpp_root is not None:
        clips = _add_ffpp(clips, pathlib.Path(ffpp_root))
    if celebdf_root is not None:
        clips = _add_celebdf(clips, pathlib.Path(celebdf_root))
    if not any(clip.split == "val" for clip in clips):
        clips = layout.hold_out_val(clips, seed=seed, shares=splits, ties="video:")
    clips = layout.drop_leaks("df40", clips) if strict else clips
    return layout.check_clips(root, layout.link_originals(clips))


def _trees(root: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
    """Returns the folders that hold the methods' folders, each with its split."""
    found = [(layout.find_folder(root, *names), split) for split, names in _TREES.items()]
    trees = [(tree, split) for tree, split in found if tree]
    if not trees:
        is_train = layout.same_name(pathlib.Path(os.path.abspath(root)).name, "DF40_train")
        trees = [(root, "train" if is_train else "test")]
    for tree, _ in trees:
        known = [*METHODS, *_SPELLINGS["whichfaceisreal"], *_OTHERS]
        folders = (path.name for path in tree.iterdir() if path.is_dir())
        unknown = [f for f in folders if not any(layout.same_name(f, name) for name in known)]
        layout.report("df40", f"folders in {tree} are no methods", unknown)
    return trees


def _read_method(root: pathlib.Path, tree: pathlib.Path, method: str, split: str) -> list[Clip]:
    place = layout.find_folder(tree, *_SPELLINGS.get(method, (method,)))
    found = {} if place is None else layout.list_clips(place, corpus="df40")
    clips = []
    for name, path in found.items():
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
    """Returns a video or folder of its frames; of a folder of unrelated pictures, the pictures."""
    is_one = path.is_file() or path.parent.name == "frames" or _VIDEO.fullmatch(path.name)
    return [path] if is_one else layout.list_pictures(path)


def _origin_ids(path: pathlib.PurePath, method: str, is_domain: bool) -> tuple[str, ...]:
    """Returns the origin ids of the clip at `path`, which FaceForensics++ or Celeb-DF may be in."""
    own = f"video:df40/{path.as_posix()}"
    name = path.stem if path.suffix.lower() in VIDEO_SUFFIXES else path.name
    if not is_domain or not _VIDEO.fullmatch(name):
        return (own,)
    found = celebdf.origin_ids(name) or ffpp.origin_ids(name)
    return (own, *found) if method in _SYNTHESIS else found


def _add_ffpp(clips: Sequence[Clip], ffpp_root: pathlib.Path) -> list[Clip]:
    """Returns `clips` with val as in FaceForensics++, and with its reals."""
    split_of = ffpp.read_splits(ffpp_root)
    prefix = "video:ffpp/"
    made, used = [], set()
    for clip in clips:
        names = [source.removeprefix(prefix) for source in clip.origin_ids if prefix in source]
        if names and clip.split == "train" and split_of.get(names[0]) == "val":
            clip = dataclasses.replace(clip, split="val")
        made.append(clip)
        used |= {clip.split} if names else set()
    reals = [
        layout.make_clip(
            "df40", ffpp_root, path,
            method="real", split=split_of[name], origin_ids=ffpp.origin_ids(name),
        )
        for name, path in ffpp.list_reals(ffpp_root, "c23", _CROPS_FIRST).items()
        if split_of.get(name) in used
    ]  # fmt: skip
    _check_crops(clips, reals)
    return made + reals


def _add_celebdf(clips: Sequence[Clip], celebdf_root: pathlib.Path) -> list[Clip]:
    """Returns `clips` with the reals of the test list of Celeb-DF."""
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
    videos = [
        clip.path for clip in reals if os.path.splitext(clip.path)[1].lower() in VIDEO_SUFFIXES
    ]
    if any(os.path.isdir(clip.path) for clip in fakes):
        layout.report(
            "df40", "reals are whole videos, the fakes crops: crop the reals alike", videos
        )
