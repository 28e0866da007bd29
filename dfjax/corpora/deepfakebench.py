r"""DeepfakeBench's label files: ready-made crops of FaceForensics++, Celeb-DF and other corpora.

Yan et al., NeurIPS 2023; https://github.com/SCLBD/DeepfakeBench. A file of dataset_json/:

    {"Celeb-DF-v2": {"CelebDFv2_fake": {"test": {"id0_id1_0000": {
        "label": "CelebDFv2_fake", "frames": ["datasets/rgb/Celeb-DF-v2/...\\id0_id1_0000\\000.png"]
    }}}}}

FaceForensics++ and the corpora like it have one more level, the compression, between split and
video. The root is such a file, a folder of such files, or has them in dataset_json/. The frames are
below the folder of the files (for dataset_json/: below its parent). Paths begin with folders of
the machine where they were written: leading folders that do not exist are skipped.

The name of the label decides: FF-real, DFD_real, UADFV_Real, ... are real, FF-DF, DFDCP_FakeA,
simswap_Fake, ... are fake. An entry that lists all pictures of one folder is one clip, that folder.
If it lists only some of them, or several folders, each picture is a clip.

The splits are those of the files, with one correction. The files have the test videos of Celeb-DF
in train and val as well, and all of DFD and UADFV in every split. Here a clip of test is in test
only, and a clip of train is not in val; if that leaves val empty, it is dealt from train.
"""

import collections
import dataclasses
import functools
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from dfjax import registry
from dfjax.corpora import celebdf, deeperforensics, dfd, ffpp, label_file, layout, splits
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError

_COMPRESSIONS = ("raw", "c0", "c23", "c40")
_SPLITS = ("test", "train", "val")  # a clip in several belongs to the first
_FAKE_LABELS = re.compile(r"FF-(DF|F2F|FS|NT|FH|SH)|.*_fake[ab]?", re.IGNORECASE)
_REAL_LABELS = re.compile(r"FF-real|.*_real", re.IGNORECASE)
_FFPP = re.compile(r"(^|/)(faceforensics\+\+|ff|ffpp|original_sequences|manipulated_sequences)/")
# Names of folders that only reals, or only fakes, have.
_FOLDERS = (
    {"real", "original_sequences"},
    {"fake", "manipulated_sequences", "manipulated_videos", "Celeb-synthesis"},
)


@dataclasses.dataclass
class _Entry:
    """A video of a label file, with those of its frames that exist."""

    where: str
    dataset: str
    video: str
    method: str
    label: int
    split: str
    paths: list[pathlib.Path]


@registry.register("corpus", "deepfakebench")
def read_deepfakebench(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    shares: Sequence[float] = splits.SHARES,
    compression: str = "c23",
    strict: bool = False,
) -> list[Clip]:
    """Returns the clips of the label files at `root`.

    `shares` deals out train to train and val if the files leave val empty. `strict` drops clips of
    train and val that share a person or an original with test.

    Raises:
      UserError: a file is not understood, a label is unknown or contradicts another or a folder,
        or none of the frames exists.
    """
    files, base = _find_files(pathlib.Path(root))
    entries_of = collections.defaultdict(list)
    for file in files:
        for entry in _read_file(file, base, compression):
            for path in entry.paths:
                entries_of[path].append(entry)
    overlaps = [es[0].where for es in entries_of.values() if len({entry.split for entry in es}) > 1]
    layout.warn("deepfakebench", "clips are in several splits: one of them is kept", overlaps)
    clips = [_make_clip(base, path, entries) for path, entries in entries_of.items()]
    studio = [clip.key for clip in clips if clip.label == 0 and "source_videos" in clip.path]
    layout.warn("deepfakebench", "reals are actors in a studio, not FaceForensics++'s", studio)
    if not any(clip.split == "val" for clip in clips):
        clips = splits.hold_out_val(clips, seed=seed, shares=shares, ties="video:")
    clips = splits.drop_leaks("deepfakebench", clips, keep=("test",)) if strict else clips
    return layout.check_clips(root, layout.link_originals(clips))


def origin_ids(video: str, path: pathlib.PurePath, dataset: str) -> tuple[str, ...]:
    """Returns the origin ids of the video at `path`, as the importer of its corpus would."""
    place = path.as_posix().casefold()
    if re.fullmatch(r"\d{3}(_\d{3})?", video) and _FFPP.search(place):
        return ffpp.origin_ids(video)
    if re.fullmatch(r"\d{3}_[MW]\d{3}", video):
        return deeperforensics.origin_ids(video)
    corpus = celebdf if video.startswith("id") or "youtube-real" in place else dfd
    return corpus.origin_ids(video) or (
        f"video:{dataset.casefold()}/{video.removesuffix('_fake')}",
    )


def _find_files(root: pathlib.Path) -> tuple[list[pathlib.Path], pathlib.Path]:
    """Returns the label files at `root`, and the folder that their paths start at."""
    if root.is_file():
        files, folder = [root], root.parent
    else:
        folder = layout.find_folder(layout.require_folder(root), "dataset_json") or root
        files = sorted(folder.glob("*.json"))
    if not files:
        raise UserError(
            f"{root} has no label file: give a folder with *.json or dataset_json/*.json"
        )
    folder = pathlib.Path(os.path.abspath(folder))
    return files, folder.parent if layout.same_name(folder.name, "dataset_json") else folder


def _read_file(file: pathlib.Path, base: pathlib.Path, compression: str) -> list[_Entry]:
    """Returns the entries of a label file; warns about those that lack frames."""
    frames = _Frames(base)
    entries, problems = [], collections.defaultdict(list)
    for dataset, label, split, names, content in _walk_file(file, compression):
        where = "/".join((dataset, label, split, *names))
        if content.get("label") != label:
            raise UserError(
                f"{file}: {where} has the label {content.get('label')!r}: download the file again"
            )
        paths, is_complete = frames.find(content["frames"], f"{file}: {where}")
        if not is_complete:
            problems["lack frames" if paths else "have no frame"].append(where)
        elif len(paths) > 1:
            problems["list only a part of a folder: each picture is a clip"].append(where)
        # Celeb-DF++ has one more level before the video: the method.
        method = names[-2] if len(names) > 1 else label
        video = names[-1] if names else dataset
        entries.append(_Entry(where, dataset, video, method, _label(label, file), split, paths))
    for problem, names in problems.items():
        layout.warn("deepfakebench", f"entries of {file.name} {problem}", names)
    return entries


def _walk_file(
    file: pathlib.Path, compression: str
) -> Iterator[tuple[str, str, str, tuple[str, ...], dict[str, Any]]]:
    """Yields dataset, label, split, names (the last is the video's) and entry."""
    for dataset, labels in label_file.read_json(file).items():
        for label, sections in _items(labels, f"{file}: {dataset}"):
            _label(label, file)
            for split, section in _items(sections, f"{file}: {dataset}/{label}"):
                if split not in _SPLITS:
                    raise UserError(
                        f"{file}: {label} has the split {split!r}: use train, val, test"
                    )
                levels = section.keys() & _COMPRESSIONS if isinstance(section, dict) else set()
                if levels and not (levels := levels & set(ffpp.spellings_of(compression))):
                    raise UserError(
                        f"{file}: {label} has no {compression} in {split}, but "
                        f"{', '.join(sorted(section))}: choose that compression"
                    )
                section = section[min(levels)] if levels else section
                for names, entry in _walk_videos(section, f"{file}: {dataset}/{label}/{split}"):
                    yield dataset, label, split, names, entry


def _walk_videos(section: Any, where: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for name, value in _items(section, where):
        if name == "frames":  # in the file of DFDC an entry stands in the place of its videos
            yield (), section
        elif isinstance(value, dict):
            for names, entry in _walk_videos(value, f"{where}/{name}"):
                yield (name, *names), entry


def _items(value: Any, where: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise UserError(f"{where} is not a JSON object: give a label file of DeepfakeBench")
    return list(value.items())


def _label(name: str, file: pathlib.Path) -> int:
    if _REAL_LABELS.fullmatch(name):
        return 0
    if _FAKE_LABELS.fullmatch(name):
        return 1
    raise UserError(
        f"{file}: label {name!r} is unknown: use FF-real, FF-DF, FF-F2F, FF-FS, FF-NT, FF-FH, "
        "FF-SH, or a name that ends in _real, _fake, _fakeA or _fakeB"
    )


class _Frames:
    """Finds the frames of entries below a folder; each folder is listed once."""

    def __init__(self, base: pathlib.Path):
        self._base = base
        self._place = functools.lru_cache(maxsize=None)(self._find_place)
        self._pictures = functools.lru_cache(maxsize=256)(
            lambda place: frozenset(path.name for path in layout.list_pictures(place))
        )

    def find(self, frames: Any, where: str) -> tuple[list[pathlib.Path], bool]:
        """Returns the folder of all `frames`, or else those that exist; and whether all exist."""
        by_folder = collections.defaultdict(set)
        for frame in frames if isinstance(frames, list) else [frames]:
            path = pathlib.PurePosixPath(str(frame).replace("\\", "/"))
            if ".." in path.parts or "\0" in str(frame):
                raise UserError(
                    f"{where} has the frame {frame!r}: paths must lead down from a folder"
                )
            by_folder[path.parent].add(path.name)
        paths, is_complete = [], bool(by_folder)
        for folder, names in by_folder.items():
            place = self._place(folder)
            pictures = self._pictures(place) if place else frozenset()
            is_complete = is_complete and names <= pictures
            if len(by_folder) == 1 and pictures and pictures <= names:
                return [place], is_complete
            paths += [place / name for name in sorted(names & pictures)]
        return paths, is_complete

    def _find_place(self, folder: pathlib.PurePosixPath) -> pathlib.Path | None:
        """Returns the folder below the base, without leading parts that do not exist.

        Two parts must remain, because the name of a video alone may occur in several places.
        """
        parts = [part for part in folder.parts if part != "/"]
        for skipped in range(max(1, len(parts) - 1)):
            if (place := self._base.joinpath(*parts[skipped:])).is_dir():
                return place
        return None


def _make_clip(base: pathlib.Path, path: pathlib.Path, entries: Sequence[_Entry]) -> Clip:
    """Returns the clip at `path`, which several files and splits may list."""
    first, label = entries[0], entries[0].label
    if other := next((entry for entry in entries if entry.label != label), None):
        raise UserError(f"{path} is {first.where} and {other.where}: correct one of the labels")
    if wrong := _FOLDERS[1 - label] & set(path.relative_to(base).parts):
        raise UserError(
            f"{path} is {first.where}, but {wrong.pop()} has the other class: labels of reals end "
            "in _real: download the file again"
        )
    single = [entry for entry in entries if "All_" not in entry.method] or entries
    return layout.make_clip(
        "deepfakebench",
        base,
        path,
        method=single[0].method if label else "real",
        split=next(split for split in _SPLITS if any(entry.split == split for entry in entries)),
        origin_ids=origin_ids(first.video, path.relative_to(base), first.dataset),
    )
