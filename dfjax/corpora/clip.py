"""The record that every importer returns and everything after it reads."""

import dataclasses

LABELS = ("real", "fake")
"""The names of the labels 0 and 1."""


@dataclasses.dataclass(frozen=True)
class Clip:
    """One video, picture, or folder of the frames of a video, of a corpus."""

    key: str
    """Unique within the corpus: corpus/method/path below the corpus."""

    path: str
    """The file; or the folder, whose pictures in order of the numbers in their names are frames."""

    label: int
    """0 real, 1 fake."""

    method: str
    """"real" for label 0; else the forgery method, or "fake" where it is unknown."""

    split: str
    """"train", "val" or "test"."""

    origin_ids: tuple[str, ...]
    """Ids of every identity, original and group in it: clips that share one belong in one split."""

    original: str = ""
    """Key of the real clip that a fake was made from, where the corpus says and has it."""
