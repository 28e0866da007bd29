"""Lists of paths to frames, the form of GenD: which corpora, which videos, which split.

Yermakov et al., WACV 2026; https://github.com/yermandy/GenD. In the folder that is the root:

    train.txt  val.txt  test.txt     or train/*.txt, val/*.txt, test/*.txt

or, as the root, one such file, whose videos are then dealt out by the seed. Every line is a path

    [.../]<dataset>/<source>/<video>/<frame>.png

relative to the root or to a folder above it. The frames of a video are one clip. Its label is real
if "real" is in <source>, in lower case ("Celeb-real", but not "Real3DPortrait"), and fake if not;
which sources were taken for what is reported, for nothing in a list could contradict it.

What the seed deals out stays together where the names tell: a fake with those reals of its dataset
whose names' parts are all in its own ("000_003" with "000" and "003", "id0_id1_0007" with
"id0_0007"). Where they do not tell, give three lists.
"""

import dataclasses
import itertools
import os
import pathlib
import re
from collections.abc import Iterable, Sequence

from dfjax import registry
from dfjax.corpora import layout
from dfjax.corpora import splits as splitting
from dfjax.corpora.clip import Clip
from dfjax.corpora.splits import SPLITS
from dfjax.errors import UserError
from dfjax.media.image import IMAGE_SUFFIXES

_MAX_PARTS = 12  # of a name: all their combinations are looked up


@dataclasses.dataclass
class _Video:
    """A folder with those of its frames that are listed; `split` is "" where the seed decides."""

    folder: pathlib.PurePosixPath
    split: str
    frames: set[str] = dataclasses.field(default_factory=set)


@registry.register("corpus", "pathlist")
def read_pathlist(
    root: str | os.PathLike, *, seed: int = 0, splits: Sequence[float] = (0.8, 0.1, 0.1)
) -> list[Clip]:
    """Returns the clips of the lists in the folder `root`, or of the list that is the file `root`.

    `splits` shares out the videos of a single file.

    Raises:
      UserError: there is no list, no video of it exists, or a video is in two lists.
    """
    root = pathlib.Path(root)
    videos = _read_videos(_find_lists(root))
    there = _check_frames(_find_base(root, videos), videos)
    origin_ids = _origin_ids(there)
    clips = [
        Clip(
            key=f"pathlist/{_method(name)}/{name}",
            path=os.fspath(path),
            label=int(_method(name) != "real"),
            method=_method(name),
            split=videos[name].split,
            origin_ids=origin_ids[name],
        )
        for name, path in there.items()
    ]
    _report_labels(there)
    return layout.check_clips(root, _deal_out(clips, seed, splits) if root.is_file() else clips)


def _find_lists(root: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Returns the lists by split; a single file's is ""."""
    if root.is_file():
        return {"": [root]}
    lists = {
        split: [*root.glob(f"{split}.txt"), *sorted(root.glob(f"{split}/*.txt"))]
        for split in SPLITS
    }
    if not any(lists.values()):
        raise UserError(
            f"{root} holds no list: give a folder with train.txt, val.txt or test.txt, or one file"
        )
    return lists


def _read_videos(lists: dict[str, list[pathlib.Path]]) -> dict[str, _Video]:
    """Returns the videos by "dataset/source/video"."""
    videos: dict[str, _Video] = {}
    for split, paths in lists.items():
        for where, text in itertools.chain.from_iterable(map(layout.read_lines, paths)):
            frame = pathlib.PurePosixPath(text.replace("\\", "/"))
            if len(frame.parts) < 4 or frame.suffix.lower() not in IMAGE_SUFFIXES:
                raise UserError(f"{where}: {text!r}: use dataset/source/video/frame.png")
            name = "/".join(frame.parts[-4:-1])
            video = videos.setdefault(name, _Video(frame.parent, split))
            if (video.split, video.folder) != (split, frame.parent):
                raise UserError(
                    f"{where}: {name} is in {video.split or 'the list'} as {video.folder} already: "
                    "keep a video in one list and one folder"
                )
            video.frames.add(frame.name)
    return videos


def _find_base(root: pathlib.Path, videos: dict[str, _Video]) -> pathlib.Path:
    """Returns the folder that the paths start at."""
    folder = (root.parent if root.is_file() else root).absolute()
    for base in (folder, *folder.parents):
        if any((base / video.folder).is_dir() for video in videos.values()):
            return base
    raise UserError(
        f"none of the {len(videos)} videos listed in {root} exists: paths start at its folder or "
        "at one above it"
    )


def _check_frames(base: pathlib.Path, videos: dict[str, _Video]) -> dict[str, pathlib.Path]:
    """Returns the folders of the videos that have a frame; what deviates is reported."""
    there, missing, unlisted = {}, [], []
    for name, video in sorted(videos.items()):
        folder = base / video.folder
        pictures = {path.name for path in layout.list_pictures(folder)} if folder.is_dir() else ()
        missing += [f"{name}/{frame}" for frame in video.frames.difference(pictures)]
        if pictures:
            there[name] = folder
            unlisted += [] if video.frames.issuperset(pictures) else [name]
    layout.report("pathlist", "frames of the lists are missing", missing)
    layout.report("pathlist", "videos are left out: without a frame", videos.keys() - there.keys())
    layout.report("pathlist", "videos have more frames than listed: all are read", unlisted)
    return there


def _method(name: str) -> str:
    source = name.split("/")[1]
    return "real" if "real" in source else source


def _report_labels(names: Iterable[str]) -> None:
    for real in (True, False):
        sources = {name.rpartition("/")[0] for name in names if (_method(name) == "real") == real}
        layout.report("pathlist", f"sources are taken for {'real' if real else 'fake'}", sources)


def _origin_ids(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Returns the origin ids of every video: those reals that its name is made of, and itself."""
    reals = {_parts(name): _source(name) for name in names if _method(name) == "real"}
    found = {}
    for name in names:
        dataset, parts = _parts(name)
        subsets = (
            frozenset(subset)
            for size in range(1, len(parts) + 1)
            for subset in itertools.combinations(sorted(parts)[:_MAX_PARTS], size)
        )
        of = [] if _method(name) == "real" else [reals.get((dataset, s)) for s in subsets]
        found[name] = tuple(dict.fromkeys([*filter(None, of), _source(name)]))
    return found


def _source(name: str) -> str:
    dataset, _, video = name.split("/")
    return f"video:pathlist/{dataset}/{video}"


def _parts(name: str) -> tuple[str, frozenset[str]]:
    """Returns the dataset and the parts of the name of a video."""
    dataset, _, video = name.split("/")
    return dataset, frozenset(filter(None, re.split("_+", video)))


def _deal_out(clips: list[Clip], seed: int, shares: Sequence[float]) -> list[Clip]:
    dealt = splitting.assign_splits(
        [clip.key for clip in clips],
        [clip.label for clip in clips],
        [clip.origin_ids for clip in clips],
        seed=seed,
        shares=shares,
    )
    return [
        dataclasses.replace(clip, split=split) for clip, split in zip(clips, dealt, strict=True)
    ]
