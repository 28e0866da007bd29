"""Celeb-DF v1, v2 and ++: interviews of celebrities, and forgeries of them.

Li et al., CVPR 2020; https://github.com/yuezunli/celeb-deepfakeforensics. Celeb-DF++: Li et al.,
2025; https://github.com/OUC-VAS/Celeb-DF-PP. Below the root:

    Celeb-real/id1_0007.mp4                  <person>_<number>
    YouTube-real/00170.mp4                   other people
    Celeb-synthesis/id1_id0_0007.mp4         v1, v2: <target>_<donor>_<number>
    Celeb-synthesis/FaceSwap/SimSwap/...     ++: FaceSwap, FaceReenact or TalkingFace, then the
                                             method; a talking face is <person>_<number>_test_...
    List_of_testing_videos.txt               lines "1 YouTube-real/00170.mp4"

The files may be in a subfolder videos/, or frames/ with a folder of frames for each video. In the
list 1 is real and 0 is fake, which must agree with the folder.

The list is the test split; val is dealt from the rest, an original together with its fakes. As
published, people of the test split are also in train. strict drops those clips, and deals val by
people. That is most of train: the list of v2 has 56 of the 59 people, and 199 reals and 4 fakes are
left. strict "videos" only keeps original videos apart. The field trains on other corpora.
"""

import os
import pathlib
import re
from collections.abc import Sequence

from dfjax import lists, registry
from dfjax.corpora import forms, label_file, layout, splits, strict_rules
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError

TEST_LIST = "List_of_testing_videos.txt"

_REALS = {"Celeb-real": r"id\d+_\d+", "YouTube-real": r"\d{5}"}  # file names by folder
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
# Published numbers of clips in a folder, and of lines in the test list.
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
    shares: Sequence[float] = splits.SHARES,
    strict: bool | str = False,
) -> list[Clip]:
    """Returns the clips of Celeb-DF v1 in the folder `root`.

    `shares` deals out the clips that are not in the test list to train and val.

    Raises:
      UserError: the test list is missing or contradicts the folders.
    """
    return _read("celebdf_v1", root, _folders(), seed, shares, strict)


@registry.register("corpus", "celebdf_v2")
def read_celebdf_v2(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    shares: Sequence[float] = splits.SHARES,
    strict: bool | str = False,
) -> list[Clip]:
    """Returns the clips of Celeb-DF v2 in the folder `root`; see `read_celebdf_v1`."""
    return _read("celebdf_v2", root, _folders(), seed, shares, strict)


@registry.register("corpus", "celebdf_pp")
def read_celebdf_pp(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    shares: Sequence[float] = splits.SHARES,
    methods: Sequence[str] | None = None,
    strict: bool | str = False,
) -> list[Clip]:
    """Returns the clips of Celeb-DF++ in the folder `root`; see `read_celebdf_v1`.

    `methods` are the forgery methods to read; None: all that exist.

    Raises:
      UserError: as `read_celebdf_v1`, or a method is unknown.
    """
    layout.check_methods(methods, _folders_pp().keys() - _REALS.keys())
    return _read("celebdf_pp", root, _folders_pp(), seed, shares, strict, methods)


def find_root(corpus: str, root: str | os.PathLike) -> pathlib.Path:
    """Returns the folder of the corpus: `root`, or the one below it; see `layout`."""
    return layout.find_root(corpus, root, *_folders())


def list_test_reals(root: pathlib.Path) -> dict[str, forms.Part]:
    """Returns the reals of the test list by folder."""
    test = _read_test_list(root, _folders_pp() | _folders())
    parts = {folder: _list_folder("celebdf", root, folder, (folder,)) for folder in _REALS}
    return {
        folder: {
            copy: {name: path for name, path in paths.items() if (folder, name) in test}
            for copy, paths in part.items()
        }
        for folder, part in parts.items()
    }


def origin_ids(name: str) -> tuple[str, ...]:
    """Returns the origin ids of a real or a fake; () if `name` is not a name of Celeb-DF."""
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
    """Returns the folders of v1 and v2, each with its spellings."""
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
    shares: Sequence[float],
    strict: bool,
    methods: Sequence[str] | None = None,
) -> list[Clip]:
    root = find_root(corpus, root)
    test = _read_test_list(root, folders)
    layout.check_counts(corpus, TEST_LIST, test, _TEST_COUNTS[corpus])
    names = (*_REALS, *methods) if methods else tuple(folders)
    parts = {folder: _list_folder(corpus, root, folder, folders[folder]) for folder in names}
    absent = [folder for folder, part in parts.items() if not part]
    layout.warn(corpus, "folders of the corpus are missing", absent)
    chosen = forms.choose(corpus, parts, lambda folder, _: int(folder not in _REALS))
    clips = []
    for folder in (folder for folder in names if folder not in absent):
        paths = chosen[folder]
        if count := _COUNTS[corpus].get(folder):
            layout.check_counts(corpus, folder, paths, count)
        missing = [f"{part}/{name}" for part, name in test if part == folder and name not in paths]
        layout.warn(corpus, f"clips of {TEST_LIST} are missing", missing)
        clips += [
            layout.make_clip(
                corpus, root, path,
                method="real" if folder in _REALS else folder,
                split="test" if (folder, name) in test else "train",
                origin_ids=origin_ids(name),
            )
            for name, path in paths.items()
        ]  # fmt: skip
    clips = strict_rules.deal_val(corpus, clips, strict, seed=seed, shares=shares)
    return layout.check_clips(root, layout.link_originals(corpus, clips))


def _list_folder(
    corpus: str, root: pathlib.Path, folder: str, spellings: Sequence[str]
) -> forms.Part:
    """Returns the clips of a folder; warns about those with other names than Celeb-DF's."""
    place = layout.find_folder(root, *spellings)
    part = forms.list_part(place, corpus=corpus)
    message = f"clips of {place} left out: their names are not Celeb-DF's"
    return forms.keep_named(corpus, part, _REALS.get(folder, _FAKE), message)


def _read_test_list(
    root: pathlib.Path, folders: dict[str, tuple[str, ...]]
) -> set[tuple[str, str]]:
    """Returns folder and name of every clip of the test list.

    Raises:
      UserError: the list is missing, names a clip outside of `folders`, or contradicts a folder.
    """
    test = set()
    for where, line in lists.read_lines(root / TEST_LIST):
        label, text = (*line.split(maxsplit=1), "")[:2]
        path = label_file.relative_path(text, where)
        parents = [part for part in path.parts[:-1] if part not in layout.KINDS]
        folder = _folder_of(parents, folders)
        if folder is None:
            raise UserError(
                f"{where}: {text} is not in a folder of this corpus: download the list again"
            )
        if label != str(int(folder in _REALS)):
            raise UserError(
                f"{where} gives {label} to {text}: 1 is real and 0 is fake in {TEST_LIST}, which "
                "must agree with the folder: download the list again"
            )
        test.add((folder, path.stem))
    return test


def _folder_of(parents: Sequence[str], folders: dict[str, tuple[str, ...]]) -> str | None:
    """Returns the folder that the last of `parents` spells; None if there is none."""
    for folder, spellings in folders.items():
        names = (spelling.split("/")[-1] for spelling in spellings)
        if parents and any(layout.same_name(name, parents[-1]) for name in names):
            return folder
    return None
