"""The record that every importer returns and everything after it reads."""

import dataclasses

from dfjax import files

LABELS = ("real", "fake")
"""The names of the labels 0 and 1."""


@dataclasses.dataclass(frozen=True)
class Clip:
    """One video, picture, or folder of the frames of a video, of a corpus.

    Its texts are legible, so that they can be written into records; its path opens the file.

    Attributes:
      key: unique within the corpus: corpus/method/path below the root of the corpus.
      path: the file, or a folder of pictures: the frames, in order of the numbers in their names.
      label: 0 real, 1 fake.
      method: "real" for label 0; otherwise the forgery method, or "fake" if it is unknown.
      split: "train", "val" or "test".
      origin_ids: ids of every identity, original and group in it: clips that share one belong in
        one split.
      original: key of the real clip that a fake was made from; "" if unknown or absent.
      frame: number of the frame of a video that a picture shows; 0 if unknown, and of videos.
      same_frame: False if a fake is known to show other frames than its original does.
      orphan: whether it is known what a fake was made from, and that is absent.
      attributes: what else is known of it, as (name, value): results can be parted by them.
    """

    key: str
    path: str
    label: int
    method: str
    split: str
    origin_ids: tuple[str, ...]
    original: str = ""
    frame: int = 0
    same_frame: bool = True
    orphan: bool = dataclasses.field(default=False, compare=False)
    attributes: tuple[tuple[str, str], ...] = dataclasses.field(default=(), compare=False)

    def __post_init__(self) -> None:
        if "".join((self.key, self.method, self.original, *self.origin_ids)).isascii():
            return  # as nearly always: there may be a hundred thousand clips
        for name in ("key", "method", "original"):
            object.__setattr__(self, name, files.legible(getattr(self, name)))
        object.__setattr__(self, "origin_ids", tuple(map(files.legible, self.origin_ids)))
