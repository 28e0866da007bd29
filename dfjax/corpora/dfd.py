"""DeepFakeDetection (DFD): 363 videos of 28 actors, and 3,068 in which their faces are swapped.

Google and Jigsaw, 2019, within FaceForensics++; https://github.com/ondyari/FaceForensics.
Below the root, that of FaceForensics++:

    original_sequences/actors/{raw,c23,c40}/videos/24__outside_talking_still_laughing.mp4
    manipulated_sequences/DeepFakeDetection/{raw,c23,c40}/videos/
        24_23__outside_talking_still_laughing__YR5OVD4S.mp4     <target>_<source>__<scene>__<code>

with folders of frames also in place of videos/, and c0/ in place of raw/; or, in a copy of others,
DFD_original_sequences/ and DFD_manipulated_sequences/. The tree decides the label: original is
real, manipulated is fake. The owners name no split: as usual in the field, all is test. State the
compression with every score: raw and c23 differ by ten points of AUC.
"""

import os
import pathlib
import re

from dfjax import registry
from dfjax.corpora import ffpp_trees, forms, layout
from dfjax.corpora.clip import Clip
from dfjax.corpora.ffpp_trees import Tree

_REAL = re.compile(r"(?P<target>\d+)__(?P<scene>\w+)")
_FAKE = re.compile(r"(?P<target>\d+)_(?P<donor>\d+)__(?P<scene>\w+)__(?P<code>[0-9A-Z]+)")
_ORIGINAL, _MANIPULATED = "DFD_original_sequences", "DFD_manipulated_sequences"
_TREES = {
    "real": Tree("original_sequences/actors", flat=(_ORIGINAL,)),
    "DeepFakeDetection": Tree("manipulated_sequences/DeepFakeDetection", flat=(_MANIPULATED,)),
}
_PATTERNS = {"real": _REAL, "DeepFakeDetection": _FAKE}
_COUNTS = {"real": 363, "DeepFakeDetection": 3068}


@registry.register("corpus", "dfd")
def read_dfd(
    root: str | os.PathLike,
    *,
    compression: str = "c23",
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`, all in test.

    Raises:
      UserError: one of the two trees is missing in that compression.
    """
    signs = ("original_sequences", "manipulated_sequences", _ORIGINAL, _MANIPULATED)
    root = layout.find_root("dfd", root, *signs)
    folders = {m: ffpp_trees.require(root, tree, compression) for m, tree in _TREES.items()}
    ffpp_trees.warn_if_unnamed("dfd", root, folders.values(), compression)
    parts = {method: _list_part(method, folder) for method, folder in folders.items()}
    clips = []
    for method, paths in forms.choose_by_class("dfd", parts).items():
        layout.check_counts("dfd", f"{method} {compression}", paths, _COUNTS[method])
        clips += [
            layout.make_clip(
                "dfd", root, path, method=method, split="test", origin_ids=origin_ids(name)
            )
            for name, path in paths.items()
        ]
    return layout.check_clips(root, layout.link_originals("dfd", clips))


def origin_ids(name: str) -> tuple[str, ...]:
    """Returns the origin ids of a real or a fake; () if `name` is not a name of DFD."""
    if fake := _FAKE.fullmatch(name):
        target, donor, scene, _ = fake.groups()
        people = (target, donor)
    elif real := _REAL.fullmatch(name):
        target, scene = real.groups()
        people = (target,)
    else:
        return ()
    return (f"video:dfd/{target}__{scene}", *(f"identity:dfd/{person}" for person in people))


def _list_part(method: str, folder: pathlib.Path) -> forms.Part:
    """Returns the clips of a tree; warns about those with other names than DFD's."""
    part = forms.list_part(folder, corpus="dfd")
    message = f"clips of {_TREES[method].official} left out: their names are not DFD's"
    return forms.keep_named("dfd", part, _PATTERNS[method], message)
