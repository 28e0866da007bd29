"""What is known of the records of a prepared dataset without reading them: index.npz.

The file lies next to the shards and has, for each split, the columns of `Index` in the order of the
records. A dataset of an earlier version has none: `read_records` then makes the index.
"""

import dataclasses
import io
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from dfjax.corpora.clip import Clip

FILE = "index.npz"

_OF_RECORDS = ("clip", "frame", "face", "partner")
_OF_CLIPS = ("clips", "methods", "origin_ids", "originals")

Place = tuple[str, int, int]
"""Key of the clip, frame and face of a record."""


@dataclasses.dataclass(frozen=True, eq=False)
class Places:
    """The places of N records.

    Attributes:
      clip: int [N], position in a sequence of clips.
      frame, face: int [N], as in the records.
    """

    clip: np.ndarray
    frame: np.ndarray
    face: np.ndarray

    @classmethod
    def of(cls, places: Sequence[Place], clips: Sequence[Clip]) -> "Places":
        """Returns places as arrays."""
        position = {clip.key: number for number, clip in enumerate(clips)}
        rows = [(position[key], frame, face) for key, frame, face in places]
        return cls(*np.array(rows, np.int64).reshape(-1, 3).T)


@dataclasses.dataclass(frozen=True, eq=False)
class Index:
    """The columns of the N records of a split, and of the C clips that they come from.

    Attributes:
      label: int32 [N], 0 real, 1 fake.
      clip: int32 [N], position in `clips`.
      frame, face: int32 [N], as in the records.
      partner: int32 [N], for a fake the record of the real crop that shows the same frame in the
        same box; -1 if there is none, and for reals.
      clips: the keys of the clips, sorted; texts [C].
      methods: their forgery methods, "real" for reals; texts [C].
      origin_ids: their ids, joined by ";"; texts [C].
      originals: the keys of the real clips that they were made from, "" if unknown; texts [C].
    """

    label: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    face: np.ndarray
    partner: np.ndarray
    clips: np.ndarray
    methods: np.ndarray
    origin_ids: np.ndarray
    originals: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    @property
    def original(self) -> np.ndarray:
        """The position in `clips` of each clip's original, int [C]; -1 if it is not there."""
        place = np.minimum(np.searchsorted(self.clips, self.originals), len(self.clips) - 1)
        return np.where(self.clips[place] == self.originals, place, -1)


def make(places: Places, clips: Sequence[Clip], lent: Collection[str]) -> Index:
    """Returns the index of records, whose places are among `clips`, in any order.

    `lent` are the keys of the fakes that were cut where their originals show faces.
    """
    used, number = np.unique(places.clip, return_inverse=True)
    known = [clips[position] for position in used.tolist()]
    order = sorted(range(len(known)), key=lambda each: known[each].key)
    known = [known[each] for each in order]
    clip = np.argsort(order)[number] if order else number
    return Index(
        label=np.array([each.label for each in known], np.int32)[clip],
        clip=clip.astype(np.int32),
        frame=places.frame.astype(np.int32),
        face=places.face.astype(np.int32),
        partner=_partners(clip, places, known, lent),
        clips=np.array([each.key for each in known]),
        methods=np.array([each.method for each in known]),
        origin_ids=np.array([";".join(each.origin_ids) for each in known]),
        originals=np.array([each.original for each in known]),
    )


def _partners(
    clip: np.ndarray, places: Places, known: Sequence[Clip], lent: Collection[str]
) -> np.ndarray:
    """The record of the same frame and face of the original, int32 [N]; -1: there is none."""
    position = {each.key: number for number, each in enumerate(known)}
    original = [position.get(each.original, -1) if each.key in lent else -1 for each in known]
    row = np.dtype([("clip", np.int64), ("frame", np.int64), ("face", np.int64)])
    here, there = np.zeros(len(clip), row), np.zeros(len(clip), row)
    for each, clips in ((here, clip), (there, np.array(original, np.int64)[clip])):
        each["clip"], each["frame"], each["face"] = clips, places.frame, places.face
    order = np.argsort(here, order=row.names)
    found = order[np.minimum(np.searchsorted(here[order], there), len(here) - 1)]
    return np.where(here[found] == there, found, -1).astype(np.int32)


def write(file: str | os.PathLike, indices: Mapping[str, Index]) -> None:
    """Writes the indices of all splits."""
    arrays = {
        f"{split}/{name}": getattr(index, name)
        for split, index in indices.items()
        for name in (*_OF_RECORDS, *_OF_CLIPS)
    }
    np.savez_compressed(file, **arrays)


def read(file: str | os.PathLike, split: str, label: np.ndarray) -> Index:
    """Returns the index of a split, whose labels are int32 [N].

    Raises:
      OSError, ValueError, KeyError, zipfile.BadZipFile: the file is damaged.
    """
    # From memory: numpy leaves a damaged file open.
    with np.load(io.BytesIO(pathlib.Path(file).read_bytes())) as arrays:
        columns = {name: arrays[f"{split}/{name}"] for name in (*_OF_RECORDS, *_OF_CLIPS)}
    for name in _OF_RECORDS:
        if columns[name].shape != label.shape:
            raise ValueError(f"{columns[name].shape} {name} for the {len(label)} records")
    return Index(label=label, **columns)


def read_records(records: Any, *, boxes_from_original: bool) -> Index:
    """Returns the index of `builder.Records` that have no file; reads each of them once.

    Records do not say what a fake was made from: it is taken to be the real clip that it shares a
    pair with, or else its first id, which is that of the original's video in published corpora.
    With `boxes_from_original`, crops of both that show the same frame in equal boxes are partners.
    """
    places, boxes, clips = [], [], {}
    for row in range(len(records)):
        record = records[row]
        places.append((record["clip"], record["frame"], record["face"]))
        boxes.append(record["box"])
        clips[record["clip"]] = record["label"], record["method"], record["origin_ids"].split(";")
    linked = _link({key: (label, ids) for key, (label, _, ids) in clips.items()})
    known = [
        Clip(key, "", label, method, "", tuple(ids), linked.get(key, ""))
        for key, (label, method, ids) in clips.items()
    ]
    lent = linked if boxes_from_original else ()
    index = make(Places.of(places, known), known, lent)
    boxes = np.array(boxes).reshape(-1, 4)
    same_box = (boxes == boxes[index.partner]).all(axis=1)
    return dataclasses.replace(index, partner=np.where(same_box, index.partner, -1))


def _link(clips: Mapping[str, tuple[int, Sequence[str]]]) -> dict[str, str]:
    """The keys of fakes and of their originals, from the label and the ids of every clip."""

    def tie(ids: Sequence[str]) -> str:
        return next((each for each in ids if each.startswith("pair:")), ids[0])

    reals = {tie(ids): key for key, (label, ids) in clips.items() if not label}
    return {
        key: reals[tie(ids)]
        for key, (label, ids) in clips.items()
        if label and tie(ids) in reals and tie(ids).startswith(("pair:", "video:"))
    }
