"""The stored crops of a split, distorted as they are: where there are no full frames."""

import itertools
import operator
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

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
        """Yields the faces of every clip; those of one number are distorted as a film."""
        for clip, rows in self._rows.items():
            records = [self._records[row] for row in rows]
            crops = [
                crop
                for face, film in itertools.groupby(records, key=operator.itemgetter("face"))
                for crop in condition.distort_crops(_decode(film), f"{clip}#{face}")
            ]
            yield ClipFaces.of(clip, records[0]["label"], records[0]["method"], records, crops)


def _rows_of_clips(records: builder.Records) -> dict[str, list[int]]:
    """The rows of each clip by its key, in order of face and frame; keys are sorted."""
    clip, frame, face = (records.column(name) for name in ("clip", "frame", "face"))
    rows: dict[str, list[int]] = {}
    for row in np.lexsort((frame, face, clip)).tolist():
        rows.setdefault(str(clip[row]), []).append(row)
    return rows


def _decode(records: Iterable[Mapping[str, Any]]) -> list[np.ndarray]:
    return [media_image.decode_image(record["image"]) for record in records]
