"""WildDeepfake: sequences of face crops, 224x224, from videos found on the internet.

Zi et al., ACM MM 2020; https://github.com/OpenTAI/wild-deepfake. Below the root, or below
deepfake_in_the_wild/ in it, after each archive is unpacked in its folder:

    {real_train,real_test,fake_train,fake_test}/<archive>/{real,fake}/<sequence>/<frame>.png

The folders may also be spelled with a space ("real train"). A sequence is a clip. The first folder
decides the label, and the one below the archive must agree.

The split into train and test is the owners'; val is dealt from train. The source videos of
sequences are not published, so sequences of one video may be in two splits. As the nearest
substitute, the sequences of one archive stay together.
"""

import os
import pathlib
from collections.abc import Sequence

from dfjax import registry
from dfjax.corpora import forms, layout, splits
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError

_ROOT = "deepfake_in_the_wild"
_ARCHIVES = (".gz", ".tar", ".tgz")
_COUNTS = {"real_train": 3409, "real_test": 396, "fake_train": 3099, "fake_test": 410}


@registry.register("corpus", "wilddeepfake")
def read_wilddeepfake(
    root: str | os.PathLike, *, seed: int = 0, shares: Sequence[float] = splits.SHARES
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`.

    `shares` deals out the owners' train to train and val.

    Raises:
      UserError: archives are still packed, or folders contradict each other.
    """
    root = layout.find_root("wilddeepfake", root, *_COUNTS, _ROOT)
    parts = {part: forms.split_forms(_list_part(root, part)) for part in _COUNTS}
    chosen = forms.choose("wilddeepfake", parts, lambda part, _: int(part.startswith("fake")))
    clips = []
    for part, paths in chosen.items():
        method, split = part.split("_")
        layout.check_counts("wilddeepfake", part, paths, _COUNTS[part])
        clips += [
            layout.make_clip(
                "wilddeepfake", root, path,
                method=method, split=split, origin_ids=[_archive(part, name)],
            )
            for name, path in paths.items()
        ]  # fmt: skip
    return layout.check_clips(root, splits.hold_out_val(clips, seed=seed, shares=shares))


def _list_part(root: pathlib.Path, part: str) -> dict[str, str]:
    folder = layout.find_folder(root, part, f"{_ROOT}/{part}")
    if folder is None:
        return {}
    paths = layout.list_clips(folder, corpus="wilddeepfake", known=_check_archives(folder))
    wrong = {"real": "fake", "fake": "real"}[part.split("_")[0]]
    for name, path in paths.items():
        if wrong in name.split("/"):
            raise UserError(
                f"{path} is in the folders {folder.name} and {wrong}, which contradict each other: "
                "unpack its archive again in the owners' folder"
            )
    return paths


def _check_archives(folder: pathlib.Path) -> list[str]:
    """Returns the names of the archives; each is next to its unpacked content."""
    archives = [path for path in folder.iterdir() if path.suffix.lower() in _ARCHIVES]
    packed = [path.name for path in archives if not (folder / path.name.split(".")[0]).is_dir()]
    if packed:
        raise UserError(
            f"{folder} has packed archives ({', '.join(sorted(packed))}): unpack each there, so "
            "that 0.tar.gz becomes the folder 0, or move it away"
        )
    return [path.name for path in archives]


def _archive(part: str, name: str) -> str:
    """Returns the origin id of the sequence "12/real/345": its archive, or itself without one."""
    levels = ("real", "fake", *layout.KINDS)
    folders = [folder for folder in name.split("/") if folder not in levels]
    return f"archive:wilddeepfake/{part}/{folders[0]}"
