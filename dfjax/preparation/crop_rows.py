"""Crops as bytes: a row of numbers per crop, then the encoded images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

_FIELDS = ("frame", "time", "face", "landmarks", "box", "scale", "padded")


def encode(crops: Sequence[dict[str, Any]]) -> bytes:
    """Returns the crops of a clip, as in `ClipCrops`, as bytes."""
    rows = np.zeros(len(crops), _dtype(num_landmarks(crops)))
    for row, crop in zip(rows, crops, strict=True):
        for name in _FIELDS:
            row[name] = crop[name]
        row["image_size"] = len(crop["image"])
    return rows.tobytes() + b"".join(crop["image"] for crop in crops)


def decode(data: bytes, *, num_crops: int, num_landmarks: int) -> list[dict[str, Any]]:
    """Returns what was encoded: so many crops, with so many landmarks each."""
    rows = np.frombuffer(data, _dtype(num_landmarks), num_crops)
    ends = rows.nbytes + np.cumsum(rows["image_size"])
    return [
        {"image": data[end - row["image_size"] : end], **{name: row[name] for name in _FIELDS}}
        for row, end in zip(rows, ends, strict=True)
    ]


def num_landmarks(crops: Sequence[dict[str, Any]]) -> int:
    """Returns how many landmarks each of the crops has."""
    return len(crops[0]["landmarks"]) if crops else 0


def _dtype(num_landmarks: int) -> np.dtype:
    return np.dtype(
        [
            ("frame", np.int32),
            ("time", np.float32),
            ("face", np.int32),
            ("landmarks", np.float32, (num_landmarks, 2)),
            ("box", np.float32, 4),
            ("scale", np.float32),
            ("padded", np.float32),
            ("image_size", np.int64),
        ]
    )
