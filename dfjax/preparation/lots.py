"""Lots of clips: each becomes a shard of the dataset, on whatever machine makes it.

In the target, which all machines see, a lot leaves its shard among the records, and after it
`work/lots/SHARD.json`, a note of what the shard holds and of what became of each clip. The dataset
is there once an index of all shards is, which is made of the notes alone. So no machine ever holds
more than a lot, and a lot that dies half-way was never there.
"""

import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dfjax import checksums
from dfjax.buckets import store
from dfjax.corpora.clip import Clip
from dfjax.corpora.splits import SPLITS
from dfjax.data import face_crops, record_index
from dfjax.preparation import crop_store, settings, workers
from dfjax.preparation.crop_store import CropStore, Outcome
from dfjax.preparation.workers import Cropping

NOTES = "work/lots"
_LEAST_CLIPS = 16  # so that processes (3 s each) start seldom, and few clips still spread evenly
_MOST_SHARDS = 1000  # of a split, if it has no more clips than lots of that size take


@dataclasses.dataclass(frozen=True)
class Lot:
    """Clips of one split that make a shard.

    Attributes:
      split, number, count: it is that one of so many of the split.
      clips: their order is that of the records.
      originals: the paths of the clips that these fakes were made from, by key.
    """

    split: str
    number: int
    count: int
    clips: tuple[Clip, ...]
    originals: Mapping[str, str]

    @property
    def note(self) -> str:
        """The name of its note in the target."""
        return f"{NOTES}/{self.split}-{self.number:05d}-of-{self.count:05d}.json"

    @property
    def digest(self) -> str:
        """A text that changes with anything in its records that the clips decide."""
        return settings.digest(self.clips)


@dataclasses.dataclass(frozen=True)
class Note:
    """What is known of a finished lot.

    Attributes:
      shard: the name of the file of its records.
      checksums: of that file, as `checksums.of` returns them.
      num_bytes: of the records in it.
      places: int [N, 3], for each record its clip, by its position in the lot, its frame and face.
      outcomes: what became of each clip.
    """

    shard: str
    checksums: dict[str, Any]
    num_bytes: int
    places: np.ndarray
    outcomes: tuple[Outcome, ...]


def divide(clips: Sequence[Clip], originals: Mapping[str, str] | None) -> list[Lot]:
    """Returns the lots of clips: a function of the clips and their order."""
    lots = []
    for split in SPLITS:
        chosen = [clip for clip in clips if clip.split == split]
        size = max(_LEAST_CLIPS, -(-len(chosen) // _MOST_SHARDS))
        count = -(-len(chosen) // size)
        for number in range(count):
            taken = tuple(chosen[number * size : (number + 1) * size])
            known = originals or {}
            needed = {clip.original for clip in taken} & known.keys()
            lots.append(Lot(split, number, count, taken, {key: known[key] for key in needed}))
    return lots


def make(lot: Lot, cropping: Cropping, target: str, records: str) -> None:
    """Crops the clips of a lot one by one, and leaves its shard and its note in the target.

    `records` is the folder in the target for shards.

    Raises:
      OSError: this machine has no room.
      UserError: the target cannot be written.
    """
    if cropping.originals is not None:
        cropping = dataclasses.replace(cropping, originals=lot.originals)
    folder = store.Folder(target)
    with (
        tempfile.TemporaryDirectory(prefix="dfjax-lot-") as here,
        CropStore(pathlib.Path(here, "crops")) as crops,
    ):
        found = workers.crop_clips(lot.clips, crops, cropping, jobs=1)
        outcomes = {clip.key: outcome for clip, outcome in found}
        shard = pathlib.Path(here, face_crops.shard_name(lot.split, lot.number, lot.count))
        places, num_bytes = face_crops.write_shard(
            shard,
            [clip for clip in lot.clips if outcomes[clip.key].crops],
            crops_of=crops.crops,
            size=cropping.spec.size,
            encoding=cropping.spec.encoding,
        )
        folder.put(shard, f"{records}/{shard.name}")
        position = {clip.key: number for number, clip in enumerate(lot.clips)}
        note = {
            "lot": lot.digest,
            "shard": shard.name,
            "checksums": checksums.of(shard),
            "num_bytes": num_bytes,
            "places": [[position[key], frame, face] for key, frame, face in places],
            "outcomes": [dataclasses.asdict(outcomes[clip.key]) for clip in lot.clips],
        }
    folder.write(lot.note, json.dumps(note).encode())


def read(folder: store.Folder, lot: Lot) -> Note | None:
    """Returns the note of a lot; None if it is not finished, or was when its clips were others.

    Raises:
      UserError: the target cannot be read.
    """
    content = folder.read(lot.note)
    if content is None:
        return None
    note = json.loads(content)
    if note["lot"] != lot.digest:
        return None
    return Note(
        note["shard"],
        note["checksums"],
        note["num_bytes"],
        np.array(note["places"], np.int32).reshape(-1, 3),
        tuple(crop_store.outcome_of(each) for each in note["outcomes"]),
    )


def num_clips(folder: store.Folder, lots: Sequence[Lot]) -> int:
    """Returns how many clips the lots have that left a note."""
    there = folder.sizes(NOTES)
    return sum(len(lot.clips) for lot in lots if lot.note in there)


def commit(
    folder: store.Folder,
    noted: Sequence[tuple[Lot, Note]],
    *,
    records: str,
    cropping: Cropping,
    lent: Collection[str],
    metadata: dict[str, Any],
) -> None:
    """Makes a dataset of the shards of lots: writes what lies beside them, and checksums last.

    Raises:
      UserError: the target cannot be written.
    """
    shards: dict[str, list[tuple[int, int]]] = {}
    indices = {}
    for split, of_split in _by_split(noted):
        clips = [clip for lot, _ in of_split for clip in lot.clips]
        sizes = [len(lot.clips) for lot, _ in of_split]
        first = np.repeat(np.cumsum(sizes) - sizes, [len(note.places) for _, note in of_split])
        clip, frame, face = np.concatenate([note.places for _, note in of_split]).T
        columns = record_index.Places(first + clip, frame, face)
        indices[split] = record_index.make(columns, clips, lent)
        shards[split] = [(len(note.places), note.num_bytes) for _, note in of_split]
    with tempfile.TemporaryDirectory(prefix="dfjax-index-") as temporary:
        here = pathlib.Path(temporary)
        face_crops.write_index(
            here,
            shards,
            indices,
            size=cropping.spec.size,
            encoding=cropping.spec.encoding,
            metadata=metadata,
        )
        elsewhere = {note.shard: note.checksums for lot, note in noted if lot.split in shards}
        checksums.write(here, elsewhere)
        names = sorted(path.name for path in here.iterdir() if path.name != checksums.FILE)
        for name in names:
            folder.put(here / name, f"{records}/{name}")
        # What counts for nothing: empty shards of a split without records, and what a worker that
        # died had begun to write.
        for name in folder.sizes(records):
            if pathlib.PurePath(name).name not in (*names, *elsewhere):
                folder.remove(name)
        folder.put(here / checksums.FILE, f"{records}/{checksums.FILE}")


def _by_split(
    noted: Sequence[tuple[Lot, Note]],
) -> Iterator[tuple[str, list[tuple[Lot, Note]]]]:
    """The lots of each split that has records."""
    for split in SPLITS:
        of_split = [(lot, note) for lot, note in noted if lot.split == split]
        if any(len(note.places) for _, note in of_split):
            yield split, of_split
