"""UADFV: 49 videos from YouTube, and 49 in which FakeApp put another face.

Li, Chang and Lyu, WIFS 2018; https://github.com/danmohaha/WIFS2018_In_Ictu_Oculi. Below the root:

    real/0000.mp4
    fake/0000_fake.mp4

or folders of frames, real/frames/0000/000.png and fake/frames/0000_fake/000.png; where both are
there, the videos are read. The label is the folder, and "_fake" in a name must say the same.

The owners name no split; as the field does, all is test. One actor's face is in every fake: it is
no source, for then everything would be tied to everything.
"""

import os
import pathlib
from collections.abc import Sequence

from dfjax import registry
from dfjax.corpora import layout
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError

_COUNT = 49  # of either class
_FAKE = "_fake"


@registry.register("corpus", "uadfv")
def read_uadfv(
    root: str | os.PathLike, *, seed: int = 0, splits: Sequence[float] = (0.8, 0.1, 0.1)
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`.

    `seed` and `splits` have no effect: all is test.

    Raises:
      UserError: a folder is missing, or a name contradicts its folder.
    """
    root = layout.require_folder(root)
    clips = []
    for method in ("real", "fake"):
        found = _list_folder(root, method)
        layout.check_counts("uadfv", method, found, _COUNT)
        clips += [
            layout.make_clip(
                "uadfv", root, path,
                method=method, split="test", origin_ids=[f"video:uadfv/{name.removesuffix(_FAKE)}"],
            )
            for name, path in found.items()
        ]  # fmt: skip
    return layout.check_clips(root, layout.link_originals(clips))


def _list_folder(root: pathlib.Path, method: str) -> dict[str, pathlib.Path]:
    folder = layout.require_folder(root, f"{method}/videos", method)
    found = layout.list_clips(folder, corpus="uadfv")
    videos = {name: path for name, path in found.items() if "/" not in name}
    videos = videos or {name.removeprefix("frames/"): path for name, path in found.items()}
    for name, path in videos.items():
        if name.endswith(_FAKE) != (method == "fake"):
            raise UserError(
                f"{path} is in the folder {method}: fakes are named NNNN{_FAKE} and reals NNNN, "
                "so one of the two is wrong: put it where it belongs"
            )
    return videos
