"""DeeperForensics-1.0: faces of 100 paid actors on the 1,000 originals of FaceForensics++.

Jiang et al., CVPR 2020; https://github.com/EndlessSora/DeeperForensics-1.0. Below the root:

    manipulated_videos/VARIANT/071_M004.mp4    <id in FaceForensics++>_<actor>
    lists/splits/{train,val,test}.txt          703, 96 and 201 lines "071_M004.mp4"

The variants are end_to_end, reenact_postprocess, and nine distortions of end_to_end. All are fake.
The files may be in a subfolder videos/, or frames/ with a folder of frames for each video.

The reals are the originals of FaceForensics++ in c23, a separate corpus. They are not
source_videos/, the recordings of the actors: a detector trained on those learns to tell studios
apart.

The splits are the owners', by actor; an original is in the split of its fakes. As published, parts
of one YouTube video are in two splits: strict drops clips of train (and val) that share a video
with test (or val).
"""

import os
import pathlib
import re
from collections.abc import Callable, Collection, Sequence

from dfjax import lists, registry
from dfjax.corpora import ffpp, forms, layout, splits, strict_rules
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError

_FAKES = "manipulated_videos"
METHODS = (
    "end_to_end",
    "reenact_postprocess",
    *(f"end_to_end_level_{level}" for level in range(1, 6)),
    "end_to_end_random_level",
    *(f"end_to_end_mix_{count}_distortions" for count in range(2, 5)),
)


@registry.register("corpus", "deeperforensics")
def read_deeperforensics(
    root: str | os.PathLike,
    *,
    ffpp_root: str | os.PathLike | None = None,
    methods: Sequence[str] | None = None,
    strict: bool | str = False,
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`.

    `ffpp_root` is the folder of FaceForensics++, which has the reals. `methods` are the variants to
    read; None: all that exist.

    Raises:
      UserError: `ffpp_root` is None, a split list is missing or wrong, or a variant is unknown.
    """
    layout.check_methods(methods, METHODS)
    root = layout.find_root("deeperforensics", root, _FAKES)
    if ffpp_root is None:
        raise UserError(
            "deeperforensics needs the folder of FaceForensics++, whose originals in c23 are its "
            "reals: give it with --ffpp DIR"
        )
    ffpp_root = ffpp.find_root(ffpp_root)
    split_of = _read_splits(root)
    fakes = {name: _list_variant(root, name) for name in methods or METHODS}
    absent = [name for name, part in fakes.items() if not part]
    layout.warn("deeperforensics", "methods are missing", absent)
    parts = {"real": ffpp.list_reals(ffpp_root, "c23"), **fakes}
    reals = {name.split("_")[0] for name in split_of}
    chosen = forms.choose("deeperforensics", parts, _labels(reals, split_of.keys()))
    clips = _reals(ffpp_root, chosen.pop("real"), split_of)
    for method in (name for name in chosen if name not in absent):
        layout.check_counts("deeperforensics", method, chosen[method], split_of.keys())
        clips += [
            layout.make_clip(
                "deeperforensics", root, path,
                method=method, split=split_of[name], origin_ids=origin_ids(name),
            )
            for name, path in chosen[method].items()
            if name in split_of
        ]  # fmt: skip
    clips = strict_rules.keep_splits("deeperforensics", clips, strict)
    return layout.check_clips(root, layout.link_originals("deeperforensics", clips))


def _read_splits(root: pathlib.Path) -> dict[str, str]:
    """Returns the split of every fake ("071_M004") that the owners' lists name."""
    split_of: dict[str, str] = {}
    for split in splits.SPLITS:
        for where, line in lists.read_lines(root / "lists" / "splits" / f"{split}.txt"):
            name = pathlib.PurePosixPath(line).stem
            if not re.fullmatch(r"\d{3}_[MW]\d{3}", name):
                raise UserError(
                    f"{where}: {line!r} is not a name like 071_M004.mp4: download the list again"
                )
            if split_of.setdefault(name, split) != split:
                raise UserError(
                    f"{where}: {name} is also in {split_of[name]}.txt: download both again"
                )
    layout.check_counts("deeperforensics", "lists/splits", split_of, 1000)
    return split_of


def _labels(reals: Collection[str], fakes: Collection[str]) -> Callable[[str, str], int | None]:
    def label_of(method: str, name: str) -> int | None:
        known = reals if method == "real" else fakes
        return int(method != "real") if name in known else None

    return label_of


def _reals(ffpp_root: pathlib.Path, paths: dict[str, str], split_of: dict[str, str]) -> list[Clip]:
    """Returns the originals of the fakes, each in the split of its fakes."""
    # The lists were read in the order train, val, test: the last one wins.
    split_of_real = {name.split("_")[0]: split for name, split in split_of.items()}
    straddling = {name for name in split_of if split_of[name] != split_of_real[name[:3]]}
    layout.warn("deeperforensics", "fakes are in another split than their original", straddling)
    missing = split_of_real.keys() - paths.keys()
    layout.warn("deeperforensics", f"originals are missing in {ffpp_root}", missing)
    return [
        layout.make_clip(
            "deeperforensics", ffpp_root, paths[name],
            method="real", split=split, origin_ids=ffpp.origin_ids(name),
        )
        for name, split in split_of_real.items()
        if name in paths
    ]  # fmt: skip


def _list_variant(root: pathlib.Path, method: str) -> forms.Part:
    folder = layout.find_folder(root, f"{_FAKES}/{method}")
    return forms.list_part(folder, corpus="deeperforensics")


def origin_ids(name: str) -> tuple[str, ...]:
    """Returns the origin ids of the fake "071_M004"."""
    real, actor = name.split("_")
    return (*ffpp.origin_ids(real), f"identity:deeperforensics/{actor}")
