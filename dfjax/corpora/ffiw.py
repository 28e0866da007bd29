"""FFIW10K: videos of several people, and the same with the face of one or more of them swapped.

Zhou et al., "Face Forensics in the Wild", CVPR 2021; https://github.com/tfzhou/FFIW. Below the
root, or below FFIW10K-v1-release/ and FFIW10K-v1-release-test/ in it:

    source/{train,val,test}/train_00000000.mp4         real
    target/{train,val,test}/train_00000000.mp4         fake, made from the source of its name
    target_mask/...                                    not read

A folder videos/ or frames/ (of folders of frames) may come before the files. The label is the tree.

The splits are the owners'. Test is a release of its own: without it, published numbers are those
of val. The label is that of the video: most faces of a fake are real, so score a video by its
highest track, and expect noise where all faces are trained on.
"""

import os
import pathlib
from collections.abc import Sequence

from dfjax import registry
from dfjax.corpora import layout
from dfjax.corpora.clip import Clip
from dfjax.corpora.splits import SPLITS
from dfjax.errors import UserError

_RELEASES = ("FFIW10K-v1-release", "FFIW10K-v1-release-test")
_TREES = {"real": "source", "fake": "target"}
_COUNTS = {"train": 8000, "val": 250, "test": 1738}  # of either tree


@registry.register("corpus", "ffiw")
def read_ffiw(
    root: str | os.PathLike, *, seed: int = 0, splits: Sequence[float] = (0.8, 0.1, 0.1)
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`.

    `seed` and `splits` have no effect: the splits are the owners'.

    Raises:
      UserError: no release is there, or a video is in two of them.
    """
    root = layout.require_folder(root)
    clips = []
    for split in SPLITS:
        found = {method: _list_part(root, tree, split) for method, tree in _TREES.items()}
        for method, paths in found.items():
            layout.check_counts("ffiw", f"{_TREES[method]}/{split}", paths, _COUNTS[split])
            clips += [
                layout.make_clip(
                    "ffiw", root, path,
                    method=method, split=split, origin_ids=[f"video:ffiw/{split}/{name}"],
                )
                for name, path in paths.items()
            ]  # fmt: skip
        unpaired = found["real"].keys() ^ found["fake"].keys()
        layout.report("ffiw", f"videos of {split} are in source or target alone", unpaired)
    return layout.check_clips(root, layout.link_originals(clips))


def _list_part(root: pathlib.Path, tree: str, split: str) -> dict[str, pathlib.Path]:
    found: dict[str, pathlib.Path] = {}
    for release in (root, *(root / name for name in _RELEASES)):
        part = f"{tree}/{split}"
        folder = layout.find_folder(release, f"{part}/videos", f"{part}/frames", part)
        for name, path in layout.list_clips(folder, corpus="ffiw").items() if folder else ():
            if name in found:
                raise UserError(f"{found[name]} and {path} are both there: keep one")
            found[name] = path
    return found
