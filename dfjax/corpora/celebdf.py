"""Celeb-DF v1, v2 and ++: interviews of celebrities, and forgeries of them.

Li et al., CVPR 2020; https://github.com/yuezunli/celeb-deepfakeforensics. Celeb-DF++: Li et al.,
2025; https://github.com/OUC-VAS/Celeb-DF-PP. Below the root:

    Celeb-real/id1_0007.mp4                  <person>_<number>
    YouTube-real/00170.mp4                   other people
    Celeb-synthesis/id1_id0_0007.mp4         v1, v2: <person>_<whose face>_<number>
    Celeb-synthesis/FaceSwap/SimSwap/...     ++: FaceSwap, FaceReenact or TalkingFace, then the
                                             method; a talking face is <person>_<number>_test_...
    List_of_testing_videos.txt               lines "1 YouTube-real/00170.mp4"

A folder videos/ or frames/ (of folders of frames) may come before the files. The list says 1 for
real and 0 for fake; the folder must say the same.

The list is the test split; val is dealt from the rest so that an original and its fakes stay
together. As published, people of the test split are in train, too; strict leaves those clips out,
which are most of train: the list of v2 has 56 of the 59 people. The field trains on other corpora.
"""

import os
import pathlib
import re
from collections.abc import Sequence

from dfjax import registry
from dfjax.corpora import layout
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError

KINDS = ("videos", "frames")  # of folders
TEST_LIST = "List_of_testing_videos.txt"

_REALS = {"Celeb-real": r"id\d+_\d+", "YouTube-real": r"\d{5}"}  # folder: file names
_FAKE = r"id\d+(_id\d+)?_\d+(_.*)?"
_METHODS = {
    "FaceSwap": (
        "Celeb-DF", "BlendFace", "GHOST", "HifiFace", "InSwapper", "MobileFaceSwap", "SimSwap",
        "UniFace",
    ),
    "FaceReenact": ("DaGAN", "FSRT", "HyperReenact", "LIA", "LivePortrait", "MCNET", "TPSMM"),
    "TalkingFace": (
        "AniTalker", "EchoMimic", "EDTalk", "FLOAT", "IP_LAP", "Real3DPortrait", "SadTalker",
    ),
}  # fmt: skip
# As published: clips of a folder, and lines of the test list.
_COUNTS = {
    "celebdf_v1": {"Celeb-real": 158, "YouTube-real": 250, "Celeb-synthesis": 795},
    "celebdf_v2": {"Celeb-real": 590, "YouTube-real": 300, "Celeb-synthesis": 5639},
    "celebdf_pp": {"Celeb-real": 590, "YouTube-real": 300},
}
_TEST_COUNTS = {
    "celebdf_v1": 100,
    "celebdf_v2": 518,
    "celebdf_pp": 178 + 200 * (8 + 7) + 300 * 7,
}


@registry.register("corpus", "celebdf_v1")
def read_celebdf_v1(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    strict: bool = False,
) -> list[Clip]:
    """Returns the clips of Celeb-DF v1 in the folder `root`.

    `splits` share what is not in the test list between train and val.

    Raises:
      UserError: the test list is missing or contradicts the folders.
    """
    return _read("celebdf_v1", root, _folders(), seed, splits, strict)


@registry.register("corpus", "celebdf_v2")
def read_celebdf_v2(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    strict: bool = False,
) -> list[Clip]:
    """Returns the clips of Celeb-DF v2 in the folder `root`; see `read_celebdf_v1`."""
    return _read("celebdf_v2", root, _folders(), seed, splits, strict)


@registry.register("corpus", "celebdf_pp")
def read_celebdf_pp(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    methods: Sequence[str] | None = None,
    strict: bool = False,
) -> list[Clip]:
    """Returns the clips of Celeb-DF++ in the folder `root`; see `read_celebdf_v1`.

    `methods` are those to read; None: all that are there.

    Raises:
      UserError: as there, or a method is unknown.
    """
    layout.check_methods(methods, _folders_pp().keys() - _REALS.keys())
    return _read("celebdf_pp", root, _folders_pp(), seed, splits, strict, methods)


def list_test_reals(
    root: str | os.PathLike, kinds: Sequence[str] = KINDS
) -> dict[str, pathlib.Path]:
    """Returns the reals of the test list by name (id1_0007, 00170); the first of `kinds` there."""
    root = layout.require_folder(root)
    test = _read_test_list(root, _folders_pp() | _folders())
    found = {name: _list_folder("celebdf", root, name, (name,), kinds) for name in _REALS}
    return {
        name: path for part in _REALS for name, path in found[part].items() if (part, name) in test
    }


def origin_ids(name: str) -> tuple[str, ...]:
    """Returns the origin ids of a real or a fake by its name; () if it is not one of Celeb-DF's."""
    if re.fullmatch(r"\d{5}", name):
        return (f"video:celebdf/youtube/{name}",)
    if not re.fullmatch(_FAKE, name):
        return ()
    people = re.findall(r"id\d+", name)
    number = re.search(r"_(\d+)", name).group(1)
    return (
        f"video:celebdf/{people[0]}_{number}",
        *(f"identity:celebdf/{person}" for person in people),
    )


def _folders() -> dict[str, tuple[str, ...]]:
    """Returns the spellings of the folders of v1 and v2 by the names of their methods."""
    return {name: (name,) for name in (*_REALS, "Celeb-synthesis")}


def _folders_pp() -> dict[str, tuple[str, ...]]:
    folders = {name: (name,) for name in _REALS}
    for kind, methods in _METHODS.items():
        folders |= {method: (f"Celeb-synthesis/{kind}/{method}",) for method in methods}
    folders["Celeb-DF"] += ("Celeb-synthesis/FaceSwap/Celeb-DF-v2",)
    return folders


def _read(
    corpus: str,
    root: str | os.PathLike,
    folders: dict[str, tuple[str, ...]],
    seed: int,
    splits: Sequence[float],
    strict: bool,
    methods: Sequence[str] | None = None,
) -> list[Clip]:
    root = layout.require_folder(root)
    test = _read_test_list(root, folders)
    layout.check_counts(corpus, TEST_LIST, test, _TEST_COUNTS[corpus])
    clips = []
    for folder in (*_REALS, *methods) if methods else folders:
        found = _list_folder(corpus, root, folder, folders[folder])
        if count := _COUNTS[corpus].get(folder):
            layout.check_counts(corpus, folder, found, count)
        missing = [f"{part}/{name}" for part, name in test if part == folder and name not in found]
        layout.report(corpus, f"clips of {TEST_LIST} are missing", missing)
        clips += [
            layout.make_clip(
                corpus, root, path,
                method="real" if folder in _REALS else folder,
                split="test" if (folder, name) in test else "train",
                origin_ids=origin_ids(name),
            )
            for name, path in found.items()
        ]  # fmt: skip
    clips = layout.hold_out_val(clips, seed=seed, shares=splits, ties="video:")
    clips = layout.drop_leaks(corpus, clips, keep=("test",)) if strict else clips
    return layout.check_clips(root, layout.link_originals(clips))


def _list_folder(
    corpus: str,
    root: pathlib.Path,
    folder: str,
    spellings: Sequence[str],
    kinds: Sequence[str] = KINDS,
) -> dict[str, pathlib.Path]:
    """Returns the clips of a folder by name; reports those whose names are not Celeb-DF's."""
    nested = [f"{name}/{kind}" for kind in kinds for name in spellings]
    place = layout.find_folder(root, *nested, *spellings)
    if place is None:
        layout.report(corpus, "folder of the corpus is not there", spellings[:1])
        return {}
    found = layout.list_clips(place, corpus=corpus)
    unknown = [name for name in found if not re.fullmatch(_REALS.get(folder, _FAKE), name)]
    layout.report(corpus, f"clips of {place} left out: their names are not Celeb-DF's", unknown)
    return {name: path for name, path in found.items() if name not in unknown}


def _read_test_list(
    root: pathlib.Path, folders: dict[str, tuple[str, ...]]
) -> set[tuple[str, str]]:
    """Returns folder and name of the clips of the test list, of those that are in `folders`.

    Raises:
      UserError: it is missing, or a label contradicts the folder.
    """
    test = set()
    for where, line in layout.read_lines(root / TEST_LIST):
        label, text = (*line.split(maxsplit=1), "")[:2]
        path = layout.relative_path(text, where)
        parents = [part for part in path.parts[:-1] if part not in KINDS]
        folder = _folder_of(parents, folders)
        if folder is None:
            raise UserError(f"{where}: {text} is in no folder of this corpus: get the list anew")
        if label != str(int(folder in _REALS)):
            raise UserError(
                f"{where} gives {label} to {text}: {TEST_LIST} says 1 = real and 0 = fake, and so "
                "must the folder: get the owners' file anew"
            )
        test.add((folder, path.stem))
    return test


def _folder_of(parents: Sequence[str], folders: dict[str, tuple[str, ...]]) -> str | None:
    """Returns the folder whose last name, case and hyphens aside, is the last of `parents`."""
    for folder, spellings in folders.items():
        names = (spelling.split("/")[-1] for spelling in spellings)
        if parents and any(layout.same_name(name, parents[-1]) for name in names):
            return folder
    return None
