"""DeepFakeDetection (DFD): 363 videos of 28 actors, and 3,068 in which their faces are swapped.

Google and Jigsaw, 2019, within FaceForensics++; https://github.com/ondyari/FaceForensics.
Below the root, that of FaceForensics++:

    original_sequences/actors/{raw,c23,c40}/videos/24__outside_talking_still_laughing.mp4
    manipulated_sequences/DeepFakeDetection/{raw,c23,c40}/videos/
        24_23__outside_talking_still_laughing__YR5OVD4S.mp4     <target>_<source>__<scene>__<code>

with images/ or frames/ also in place of videos/, and c0/ in place of raw/. The tree decides the
label: original is real, manipulated is fake. The owners name no split: as usual in the field, all
is test. State the compression with every score: raw and c23 differ by ten points of AUC.
"""

import os
import pathlib
import re

from dfjax import registry
from dfjax.corpora import ffpp, layout
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError

_REAL = re.compile(r"(?P<target>\d+)__(?P<scene>\w+)")
_FAKE = re.compile(r"(?P<target>\d+)_(?P<donor>\d+)__(?P<scene>\w+)__(?P<code>[0-9A-Z]+)")
_PARTS = {
    "real": ("original_sequences/actors", _REAL, 363),
    "DeepFakeDetection": ("manipulated_sequences/DeepFakeDetection", _FAKE, 3068),
}


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
    root = layout.require_folder(root)
    clips = []
    for method, (part, pattern, count) in _PARTS.items():
        paths = _list_part(root, part, pattern, compression)
        layout.check_counts("dfd", f"{method} {compression}", paths, count)
        clips += [
            layout.make_clip(
                "dfd", root, path, method=method, split="test", origin_ids=origin_ids(name)
            )
            for name, path in paths.items()
        ]
    return layout.check_clips(root, layout.link_originals(clips))


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


def _list_part(
    root: pathlib.Path, part: str, pattern: re.Pattern[str], compression: str
) -> dict[str, pathlib.Path]:
    folder = ffpp.find_sequences(root, part, compression)
    if folder is None:
        raise UserError(
            f"{root} has no {part} in {compression}: download it, or choose another compression"
        )
    paths = layout.list_clips(folder, corpus="dfd")
    unknown = [name for name in paths if not pattern.fullmatch(name)]
    layout.warn("dfd", f"clips of {part} left out: their names are not DFD's", unknown)
    return {name: path for name, path in paths.items() if name not in unknown}
