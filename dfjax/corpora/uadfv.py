"""UADFV: 49 videos from YouTube, and 49 fakes of them in which FakeApp swapped the face.

Li, Chang and Lyu, WIFS 2018; https://github.com/danmohaha/WIFS2018_In_Ictu_Oculi. Below the root:

    real/0000.mp4
    fake/0000_fake.mp4

or folders of frames, real/frames/0000/000.png and fake/frames/0000_fake/000.png. The folder decides
the label, and "_fake" in a name must agree.

The owners name no split: as usual in the field, all is test. One actor's face is in every fake.
That actor is not an origin id: it would tie every clip to every other.
"""

import os
import pathlib

from dfjax import registry
from dfjax.corpora import forms, layout
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError

_COUNT = 49  # in each class
_FAKE = "_fake"


@registry.register("corpus", "uadfv")
def read_uadfv(root: str | os.PathLike) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`, all in test.

    Raises:
      UserError: a folder is missing, or a name contradicts its folder.
    """
    root = layout.find_root("uadfv", root, "real", "fake")
    parts = {method: _list_folder(root, method) for method in ("real", "fake")}
    clips = []
    for method, paths in forms.choose_by_class("uadfv", parts).items():
        layout.check_counts("uadfv", method, paths, _COUNT)
        clips += [
            layout.make_clip(
                "uadfv", root, path,
                method=method, split="test", origin_ids=[f"video:uadfv/{name.removesuffix(_FAKE)}"],
            )
            for name, path in paths.items()
        ]  # fmt: skip
    return layout.check_clips(root, layout.link_originals("uadfv", clips))


def _list_folder(root: pathlib.Path, method: str) -> forms.Part:
    part = forms.list_part(layout.require_folder(root, method), corpus="uadfv")
    for name, path in (item for paths in part.values() for item in paths.items()):
        if name.endswith(_FAKE) != (method == "fake"):
            raise UserError(
                f"{path} is in the folder {method}, but fakes are named NNNN{_FAKE} and reals "
                "NNNN: move or rename it"
            )
    return part
