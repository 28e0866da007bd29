"""Lists of paths to frames, as GenD writes them: they choose corpora, videos and splits.

Yermakov et al., WACV 2026; https://github.com/yermandy/GenD. In the folder that is the root:

    train.txt  val.txt  test.txt     or train/*.txt, val/*.txt, test/*.txt

The root may also be one such file; its videos are dealt out by the seed. Every line is a path

    [.../]<dataset>/<source>/<video>/<frame>.png

relative to the root or to a folder above it. The frames of a video are one clip. It is real if
<source> contains "real" in lower case ("Celeb-real", but not "Real3DPortrait"), otherwise fake. A
warning names the sources of each class, since nothing in a list can contradict this rule.

When the seed deals videos out, names decide what stays together: a fake stays with those reals of
its dataset whose names consist of parts of its own ("000_003" with "000" and "003", "id0_id1_0007"
with "id0_0007"). If names do not say this, give three lists.
"""

import dataclasses
import itertools
import os
import pathlib
import re
from collections.abc import Iterable, Sequence

from dfjax import lists, registry
from dfjax.corpora import layout, splits, strict_rules
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError
from dfjax.media import suffix

_MAX_PARTS = 12  # of a name, since all combinations of them are looked up


@dataclasses.dataclass
class _Video:
    """A folder with its listed frames.

    Attributes:
      folder: as listed.
      split: "" if the seed decides.
      frames: names of the listed files.
    """

    folder: pathlib.PurePosixPath
    split: str
    frames: set[str] = dataclasses.field(default_factory=set)


@registry.register("corpus", "pathlist")
def read_pathlist(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    shares: Sequence[float] = splits.SHARES,
    strict: bool | str = False,
) -> list[Clip]:
    """Returns the clips of the lists in the folder `root`, or of the file `root`.

    `shares` deals out the videos of a single file. `strict` drops what shares an original with a
    list of val or test.

    Raises:
      UserError: there is no list, none of its videos exists, or a video is in two lists.
    """
    root = pathlib.Path(root)
    videos = _read_videos(_find_lists(root))
    folders = _check_frames(_find_base(root, videos), videos)
    origin_ids = _origin_ids(folders)
    clips = [
        Clip(
            key=f"pathlist/{_method(name)}/{name}",
            path=os.fspath(path),
            label=int(_method(name) != "real"),
            method=_method(name),
            split=videos[name].split,
            origin_ids=origin_ids[name],
        )
        for name, path in folders.items()
    ]
    _warn_about_labels(folders)
    if root.is_file():
        ties = [clip.origin_ids for clip in clips]
        clips = splits.deal_out(clips, ties, seed=seed, shares=shares)
    return layout.check_clips(root, strict_rules.keep_splits("pathlist", clips, strict))


def _find_lists(root: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Returns the lists by split; the split of a single file is ""."""
    if root.is_file():
        return {"": [root]}
    paths = {
        split: [*root.glob(f"{split}.txt"), *sorted(root.glob(f"{split}/*.txt"))]
        for split in splits.SPLITS
    }
    if not any(paths.values()):
        raise UserError(
            f"{root} has no list: give a folder with train.txt, val.txt or test.txt, or one file"
        )
    return paths


def _read_videos(paths_of: dict[str, list[pathlib.Path]]) -> dict[str, _Video]:
    """Returns the videos by their names "dataset/source/video"."""
    videos: dict[str, _Video] = {}
    for split, paths in paths_of.items():
        for where, text in itertools.chain.from_iterable(map(lists.read_lines, paths)):
            frame = pathlib.PurePosixPath(text.replace("\\", "/"))
            if len(frame.parts) < 4 or not suffix.is_image(frame):
                raise UserError(f"{where}: {text!r}: use dataset/source/video/frame.png")
            name = "/".join(frame.parts[-4:-1])
            video = videos.setdefault(name, _Video(frame.parent, split))
            if (video.split, video.folder) != (split, frame.parent):
                raise UserError(
                    f"{where}: {name} is also in {video.split or 'the list'} as {video.folder}: "
                    "list a video once, in one folder"
                )
            video.frames.add(frame.name)
    return videos


def _find_base(root: pathlib.Path, videos: dict[str, _Video]) -> pathlib.Path:
    """Returns the folder that paths start at."""
    folder = (root.parent if root.is_file() else root).absolute()
    for base in (folder, *folder.parents):
        finder = lists.Finder(base)
        places = (finder.find(os.fspath(video.folder)) for video in videos.values())
        if any(os.path.isdir(base / place) for place in places):
            return base
    raise UserError(
        f"none of the {len(videos)} videos listed in {root} exists: paths start at its folder or "
        "at one above it"
    )


def _check_frames(base: pathlib.Path, videos: dict[str, _Video]) -> dict[str, pathlib.Path]:
    """Returns the folders of the videos that have a frame; warns about the others."""
    folders, missing, unlisted = {}, [], []
    finder = lists.Finder(base)
    for name, video in sorted(videos.items()):
        folder = base / finder.find(os.fspath(video.folder))
        pictures = {path.name for path in layout.list_pictures(folder)} if folder.is_dir() else ()
        missing += [f"{name}/{frame}" for frame in video.frames.difference(pictures)]
        if pictures:
            folders[name] = folder
            unlisted += [] if video.frames.issuperset(pictures) else [name]
    layout.warn("pathlist", "frames of the lists are missing", missing)
    layout.warn("pathlist", "videos left out: they have no frame", videos.keys() - folders.keys())
    layout.warn("pathlist", "videos have more frames than listed: all are read", unlisted)
    return folders


def _method(name: str) -> str:
    source = name.split("/")[1]
    return "real" if "real" in source else source


def _warn_about_labels(names: Iterable[str]) -> None:
    for real in (True, False):
        sources = {name.rpartition("/")[0] for name in names if (_method(name) == "real") == real}
        layout.warn("pathlist", f"sources are taken for {'real' if real else 'fake'}", sources)


def _origin_ids(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Returns the origin ids of every video: the reals that its name consists of, and itself."""
    reals = {_parts(name): _origin_id(name) for name in names if _method(name) == "real"}
    origin_ids = {}
    for name in names:
        dataset, parts = _parts(name)
        subsets = (
            frozenset(subset)
            for size in range(1, len(parts) + 1)
            for subset in itertools.combinations(sorted(parts)[:_MAX_PARTS], size)
        )
        targets = [] if _method(name) == "real" else [reals.get((dataset, s)) for s in subsets]
        origin_ids[name] = tuple(dict.fromkeys([*filter(None, targets), _origin_id(name)]))
    return origin_ids


def _origin_id(name: str) -> str:
    dataset, _, video = name.split("/")
    return f"video:pathlist/{dataset}/{video}"


def _parts(name: str) -> tuple[str, frozenset[str]]:
    """Returns the dataset and the parts of the name of a video."""
    dataset, _, video = name.split("/")
    return dataset, frozenset(filter(None, re.split("_+", video)))
