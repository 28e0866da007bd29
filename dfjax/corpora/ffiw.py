"""FFIW10K: videos of several people, and the same with the face of one or more of them swapped.

Zhou et al., "Face Forensics in the Wild", CVPR 2021; https://github.com/tfzhou/FFIW. Below the
root, or below FFIW10K-v1-release/ and FFIW10K-v1-release-test/ in it:

    source/{train,val,test}/train_00000000.mp4         real
    target/{train,val,test}/train_00000000.mp4         fake, made from the source of the same name
    target_mask/...                                    not read

The files may be in a subfolder videos/, or frames/ with a folder of frames for each video. The tree
decides the label.

The splits are the owners'. Test is a separate release: without it, published numbers are on val.
The label is that of the whole video: most faces of a fake are real. So score a video by its highest
track, and expect label noise when all faces are used for training.
"""

import os
import pathlib

from dfjax import registry
from dfjax.corpora import forms, layout, splits
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError

_RELEASES = ("FFIW10K-v1-release", "FFIW10K-v1-release-test")
_TREES = {"real": "source", "fake": "target"}
_COUNTS = {"train": 8000, "val": 250, "test": 1738}  # in each tree


@registry.register("corpus", "ffiw")
def read_ffiw(root: str | os.PathLike) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`.

    Raises:
      UserError: there is no release, or a video is in two of them.
    """
    root = layout.find_root("ffiw", root, *_TREES.values(), *_RELEASES)
    parts = {
        (method, split): _list_part(root, tree, split)
        for split in splits.SPLITS
        for method, tree in _TREES.items()
    }
    chosen = forms.choose("ffiw", parts, lambda part, _: int(part[0] != "real"))
    clips = []
    for (method, split), paths in chosen.items():
        layout.check_counts("ffiw", f"{_TREES[method]}/{split}", paths, _COUNTS[split])
        clips += [
            layout.make_clip(
                "ffiw", root, path,
                method=method, split=split, origin_ids=[f"video:ffiw/{split}/{name}"],
            )
            for name, path in paths.items()
        ]  # fmt: skip
    for split in splits.SPLITS:
        unpaired = chosen["real", split].keys() ^ chosen["fake", split].keys()
        layout.warn("ffiw", f"videos of {split} are only in source or only in target", unpaired)
    return layout.check_clips(root, layout.link_originals("ffiw", clips))


def _list_part(root: pathlib.Path, tree: str, split: str) -> forms.Part:
    part: forms.Part = {}
    for release in (root, *(root / name for name in _RELEASES)):
        folder = layout.find_folder(release, f"{tree}/{split}")
        for copy, paths in forms.list_part(folder, corpus="ffiw").items():
            for name in part.get(copy, {}).keys() & paths.keys():
                raise UserError(f"{part[copy][name]} and {paths[name]} both exist: keep one")
            part.setdefault(copy, {}).update(paths)
    return part
