"""The stored crops of a split, distorted as they are: where there are no full frames."""

import collections
import pathlib
from collections.abc import Iterator

import numpy as np

from dfjax.data import builder
from dfjax.distortions.suite import Condition
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.media import image as media_image
from dfjax.robustness.source import ClipFaces


class StoredCrops:
    """A `Source` of the crops of a prepared split."""

    kind = "crops"
    note = (
        "stored crops were distorted, not full frames: no face had to be found again, and a level "
        "is another one than on full frames"
    )

    def __init__(self, target: EvalTarget):
        """Raises UserError if the dataset has no such split."""
        self._records = target.records
        self._rows = _rows_of_clips(self._records)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, condition: Condition, _: pathlib.Path) -> Iterator[ClipFaces]:
        """Yields the faces of every clip; those of one number are distorted as a film, in order."""
        for clip, rows in self._rows.items():
            records = [self._records[row] for row in rows]
            crops = [media_image.decode_image(record["image"]) for record in records]
            numbers: dict[int, list[int]] = collections.defaultdict(list)
            for number, record in enumerate(records):
                numbers[record["face"]].append(number)
            for face, own in numbers.items():
                film = [crops[number] for number in own]
                for number, crop in zip(
                    own, condition.distort_crops(film, f"{clip}#{face}"), strict=True
                ):
                    crops[number] = crop
            yield ClipFaces.of(clip, records[0]["label"], records[0]["method"], records, crops)


def _rows_of_clips(records: builder.Records) -> dict[str, list[int]]:
    """The rows of each clip by its key, in order of frame and face; keys are sorted."""
    clip, frame, face = (records.column(name) for name in ("clip", "frame", "face"))
    rows: dict[str, list[int]] = {}
    for row in np.lexsort((face, frame, clip)).tolist():
        rows.setdefault(str(clip[row]), []).append(row)
    return rows
