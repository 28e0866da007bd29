"""WildDeepfake: sequences of faces, 224x224, cut from videos that were found on the internet.

Zi et al., ACM MM 2020; https://github.com/OpenTAI/wild-deepfake. Below the root, or below
deepfake_in_the_wild/ in it, once the archives are unpacked where they lie:

    {real_train,real_test,fake_train,fake_test}/<archive>/{real,fake}/<sequence>/<frame>.png

The folders are also spelled with a space ("real train"). A sequence is a clip. The label is the
first folder, and the one below the archive must say the same.

The split into train and test is the owners'; val is dealt from train. The source video of a
sequence is not published, so that sequences of one video may be in two splits. As the nearest to
it, what came in one archive stays together.
"""

import os
import pathlib
from collections.abc import Sequence

from dfjax import registry
from dfjax.corpora import layout
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError

_ARCHIVES = (".gz", ".tar", ".tgz")
_COUNTS = {"real_train": 3409, "real_test": 396, "fake_train": 3099, "fake_test": 410}


@registry.register("corpus", "wilddeepfake")
def read_wilddeepfake(
    root: str | os.PathLike, *, seed: int = 0, splits: Sequence[float] = (0.8, 0.1, 0.1)
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`; `splits` shares out train and val.

    Raises:
      UserError: archives are still packed, or folders contradict each other.
    """
    root = layout.require_folder(root)
    clips = []
    for part, count in _COUNTS.items():
        method, split = part.split("_")
        found = _list_part(root, part)
        layout.check_counts("wilddeepfake", part, found, count)
        clips += [
            layout.make_clip(
                "wilddeepfake", root, path,
                method=method, split=split, origin_ids=[_archive(part, name)],
            )
            for name, path in found.items()
        ]  # fmt: skip
    return layout.check_clips(root, layout.hold_out_val(clips, seed=seed, shares=splits))


def _list_part(root: pathlib.Path, part: str) -> dict[str, pathlib.Path]:
    folder = layout.find_folder(root, part, f"deepfake_in_the_wild/{part}")
    if folder is None:
        return {}
    found = layout.list_clips(folder, corpus="wilddeepfake", known=_check_archives(folder))
    wrong = {"real": "fake", "fake": "real"}[part.split("_")[0]]
    for name, path in found.items():
        if wrong in pathlib.PurePath(name).parts:
            raise UserError(
                f"{path} is in the folders {folder.name} and {wrong}, which contradict each other: "
                "unpack its archive anew where the owners have it"
            )
    return found


def _check_archives(folder: pathlib.Path) -> list[str]:
    """Returns the names of the archives that lie beside what they hold."""
    archives = [path for path in folder.iterdir() if path.suffix.lower() in _ARCHIVES]
    packed = [path.name for path in archives if not (folder / path.name.split(".")[0]).is_dir()]
    if packed:
        raise UserError(
            f"{folder} has archives that are not unpacked ({', '.join(sorted(packed))}): unpack "
            "each there, so that 0.tar.gz becomes the folder 0, or move it away"
        )
    return [path.name for path in archives]


def _archive(part: str, name: str) -> str:
    """Returns the source of the sequence "12/real/345"; without an archive, the sequence itself."""
    folders = [name for name in name.split("/") if name not in ("real", "fake", "frames")]
    return f"archive:wilddeepfake/{part}/{folders[0]}"
