r"""DeepfakeBench's label files: ready-made crops of FaceForensics++, Celeb-DF and other corpora.

Yan et al., NeurIPS 2023; https://github.com/SCLBD/DeepfakeBench. A file of dataset_json/:

    {"Celeb-DF-v2": {"CelebDFv2_fake": {"test": {"id0_id1_0000": {
        "label": "CelebDFv2_fake", "frames": ["datasets/rgb/Celeb-DF-v2/...\\id0_id1_0000\\000.png"]
    }}}}}

FaceForensics++ and the corpora like it have one more level, the compression, between split and
video; labels that lack the wanted one are left out. The root is such a file, a folder of such
files, one that has them in dataset_json/, or the folder of the code, which has them in
preprocessing/dataset_json/. The frames are below the folder of dataset_json/ or preprocessing/, or
in datasets/rgb/ there; of other files, below their folder. Paths begin with folders of the machine
where they were written: leading folders that do not exist are skipped.

The name of the label decides: FF-real, DFD_real, UADFV_Real, FFIW_source, ... are real, FF-DF,
DFDCP_FakeA, simswap_Fake, FFIW_target, ... are fake. An entry that lists all pictures of one folder
is one clip, that folder. If it lists only some of them, or several folders, each picture is a clip,
whose name is the number of its frame; the original of a fake picture is the real one of its frame.

The splits are those of the files, with one correction. The files have the test videos of Celeb-DF
in train and val as well, and all of DFD and UADFV in every split. Here a clip of test is in test
only, and a clip of train is not in val; if that leaves val empty, it is dealt from train. The file
of Celeb-DF v1 has no Celeb-real, so that most of its fakes come without their originals.
"""

import collections
import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from dfjax import registry
from dfjax.corpora import (
    celebdf,
    deeperforensics,
    dfd,
    dfdcp,
    ffpp,
    ffpp_trees,
    label_file,
    layout,
    splits,
    strict_rules,
)
from dfjax.corpora.clip import Clip
from dfjax.corpora.listed_frames import ListedFrames
from dfjax.errors import UserError
from dfjax.media import suffix

_FOLDER, _CODE = "dataset_json", "preprocessing"  # of the label files, and of the code
_COMPRESSIONS = ("raw", "c0", "c23", "c40")
_SPLITS = ("test", "train", "val")  # a clip in several belongs to the first
_FAKE_LABELS = re.compile(r"FF-(DF|F2F|FS|NT|FH|SH)|fake|.*_fake[ab]?|.*_target", re.IGNORECASE)
_REAL_LABELS = re.compile(r"FF-real|real|.*_real|.*_source", re.IGNORECASE)
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
    paths: list[str]


@registry.register("corpus", "deepfakebench")
def read_deepfakebench(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    shares: Sequence[float] = splits.SHARES,
    compression: str = "c23",
    strict: bool | str = False,
) -> list[Clip]:
    """Returns the clips of the label files at `root`.

    `shares` deals out train to train and val if the files leave val empty. `strict` keeps
    people and originals in one split, "videos" only originals.

    Raises:
      UserError: a file is not understood, a label is unknown or contradicts another or a folder,
        or none of the frames exists.
    """
    files, base = _find_files(pathlib.Path(root))
    entries_of = collections.defaultdict(list)
    for entry in _read_files(files, base, compression):
        for path in entry.paths:
            entries_of[path].append(entry)
    overlaps = [es[0].where for es in entries_of.values() if len({entry.split for entry in es}) > 1]
    layout.warn("deepfakebench", "clips are in several splits: one of them is kept", overlaps)
    clips = [_make_clip(base, path, entries) for path, entries in entries_of.items()]
    studio = [clip.key for clip in clips if clip.label == 0 and "source_videos" in clip.path]
    layout.warn("deepfakebench", "reals are actors in a studio, not FaceForensics++'s", studio)
    if any(clip.split == "val" for clip in clips):
        clips = strict_rules.keep_splits("deepfakebench", clips, strict)
    else:
        clips = strict_rules.deal_val("deepfakebench", clips, strict, seed=seed, shares=shares)
    alone = [clip for clip in clips if _is_alone(clip, entries_of[clip.path][0])]
    made = [clip for clip in clips if not _is_alone(clip, entries_of[clip.path][0])]
    return layout.check_clips(root, alone + layout.link_originals("deepfakebench", made))


def origin_ids(video: str, path: pathlib.PurePath, dataset: str) -> tuple[str, ...]:
    """Returns the origin ids of the video at `path`, as the importer of its corpus would."""
    place = path.as_posix().casefold()
    if re.fullmatch(r"\d{3}(_\d{3})?", video) and _FFPP.search(place):
        return ffpp.origin_ids(video)
    if re.fullmatch(r"\d{3}_[MW]\d{3}", video):
        return deeperforensics.origin_ids(video)
    if "dfdcp" in dataset.casefold() and (ids := dfdcp.origin_ids(video)):
        return ids
    corpus = celebdf if video.startswith("id") or "youtube-real" in place else dfd
    return corpus.origin_ids(video) or (_own_id(dataset, video),)


def _own_id(dataset: str, video: str) -> str:
    return f"video:{dataset.casefold()}/{video.removesuffix('_fake')}"


def _is_alone(clip: Clip, entry: _Entry) -> bool:
    """Returns whether a clip is a fake of which nobody knows what it was made from."""
    own = clip.origin_ids[0] == _own_id(entry.dataset, entry.video)
    return bool(clip.label) and own and not entry.video.endswith("_fake")


def _find_files(root: pathlib.Path) -> tuple[list[pathlib.Path], pathlib.Path]:
    """Returns the label files at `root`, and the folder that their paths start at."""
    if root.is_file():
        files, folder = [root], root.parent
    else:
        root = layout.find_root("deepfakebench", root, _FOLDER, _CODE, "*.json")
        folder = layout.find_folder(root, _FOLDER, f"{_CODE}/{_FOLDER}") or root
        files = sorted(folder.glob("*.json"))
    if not files:
        raise UserError(
            f"{root} has no label file: give a folder with *.json, {_FOLDER}/*.json or "
            f"{_CODE}/{_FOLDER}/*.json"
        )
    folder = pathlib.Path(os.path.abspath(folder))
    for name in (_FOLDER, _CODE):
        folder = folder.parent if layout.same_name(folder.name, name) else folder
    return files, folder


def _read_files(
    files: Sequence[pathlib.Path], base: pathlib.Path, compression: str
) -> list[_Entry]:
    """Returns the entries of label files; warns about labels that lack the compression.

    Raises:
      UserError: with these labels, a class is missing; or as `_read_file`.
    """
    frames = ListedFrames([base, base / "datasets" / "rgb"])
    entries: list[_Entry] = []
    absent: dict[str, str] = {}
    for file in files:
        entries += _read_file(file, frames, compression, absent)
    labels = {entry.label for entry in entries}
    for label, message in absent.items():
        if _label(label, files[0]) not in labels:
            raise UserError(message)
    layout.warn("deepfakebench", f"labels left out: they have no {compression}", absent)
    return entries


def _read_file(
    file: pathlib.Path, frames: ListedFrames, compression: str, absent: dict[str, str]
) -> list[_Entry]:
    """Returns the entries of a label file; warns about those that lack frames.

    Adds the labels that lack the compression to `absent`, each with an error message.
    """
    entries, problems = [], collections.defaultdict(list)
    for dataset, label, split, names, content in _walk_file(file, compression, absent):
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
    file: pathlib.Path, compression: str, absent: dict[str, str]
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
                if levels and not (levels := levels & set(ffpp_trees.spellings_of(compression))):
                    absent.setdefault(
                        label,
                        f"{file}: {label} has no {compression} in {split}, but "
                        f"{', '.join(sorted(section))}: choose that compression",
                    )
                    continue
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
        "FF-SH, real, fake, or a name that ends in _real, _source, _fake, _fakeA, _fakeB or _target"
    )


def _make_clip(base: pathlib.Path, path: str, entries: Sequence[_Entry]) -> Clip:
    """Returns the clip at `path`, which several files and splits may list."""
    first, label = entries[0], entries[0].label
    if other := next((entry for entry in entries if entry.label != label), None):
        raise UserError(f"{path} is {first.where} and {other.where}: correct one of the labels")
    inside = pathlib.PurePath(path).relative_to(base)
    if wrong := _FOLDERS[1 - label] & set(inside.parts):
        raise UserError(
            f"{path} is {first.where}, but {wrong.pop()} has the other class: labels of reals end "
            "in _real or _source: download the file again"
        )
    single = [entry for entry in entries if "All_" not in entry.method] or entries
    clip = layout.make_clip(
        "deepfakebench",
        base,
        path,
        method=single[0].method if label else "real",
        split=next(split for split in _SPLITS if any(entry.split == split for entry in entries)),
        origin_ids=origin_ids(first.video, inside, first.dataset),
    )
    is_frame = suffix.is_image(path) and re.fullmatch(r"[0-9]{1,9}", inside.stem)
    return dataclasses.replace(clip, frame=int(inside.stem)) if is_frame else clip
