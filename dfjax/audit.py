"""`dfjax audit`: what the splits of a prepared dataset share, by ids, by pictures and by faces.

Pictures are compared across splits only, for within one an original and its fakes are alike:

- by their bytes, all of them;
- by a hash of a few crops of each clip, the signs of 255 DCT coefficients of a 64-pixel thumbnail.
  `NEAR_DUPLICATE` bits apart is near: 97 to 100 % of crops are that near to a copy of theirs
  (JPEG 30 to 75, 20 % brighter, moved by a pixel, halved), and 6 of 36.8 million pairs of DFDC
  faces of different originals, all of one person in one recording room; none of 276,294 pairs
  of different people, aligned, in studio photographs and FFHQ (closest: 38). Of the usual 64 bits,
  2 to 6 catch the same copies and 22 to 388 of these pairs. Most copies that were cropped by 2 %
  or moved by 3 pixels are missed;
- where asked for, by embeddings of dlib's face network, at the distance that dlib takes for one
  person: candidates, for among many people there are look-alikes.

A clip of val or test counts once for each kind, by its closest match in a split before its own, and
not as nearly the same what is the same. Time grows with the product of the splits' sizes, about
five seconds for a hundred million pairs of crops on two cores; 300 bytes a crop stay in memory.
"""

import dataclasses
import functools
import hashlib
import itertools
import math
import os
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import rich.box
import rich.console
import rich.table

from dfjax import leaks, progress, recognition
from dfjax.corpora.splits import SPLITS
from dfjax.data import builder
from dfjax.faces import detect
from dfjax.faces.align import CropSpec
from dfjax.leaks import Leak
from dfjax.media import image as media_image

NEAR_DUPLICATE = 28  # bits of 255

_THUMBNAIL, _COEFFICIENTS = 64, 16  # sides
_FEATURELESS_BELOW = 2.0  # standard deviation of a thumbnail: its signs are noise
_FACES_OF_CLIP = 3
_BLOCK = 2048  # rows compared at a time


@dataclasses.dataclass(frozen=True)
class _Crops:
    """One row per crop, split by split; `row` is that in its split, `clip` counts from 0."""

    split: np.ndarray
    row: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    face: np.ndarray
    content: np.ndarray  # 64 bits of a digest of the bytes: chance copies are one in 10^7 of a set
    keys: Sequence[str]  # by clip

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: np.ndarray) -> "_Crops":
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return _Crops(**{k: v if k == "keys" else v[rows] for k, v in fields.items()})

    def leak(self, kind: str, earlier: int, later: int, distance: float | None = None) -> Leak:
        places = {
            SPLITS[self.split[at]]: f"{self.keys[self.clip[at]]}#{self.frame[at]}#{self.face[at]}"
            for at in (earlier, later)
        }
        return Leak(kind, places, distance=distance)


def audit(data_dir: str | os.PathLike, *, frames: int = 8, faces: bool = False) -> leaks.Audit:
    """Returns what the splits of a prepared dataset share, and writes it to audit.json there.

    Near duplicates are looked for among `frames` crops of each clip; `faces` are compared as well
    if asked for, three crops of a clip.

    Raises:
      FileNotFoundError: there is no dataset, or no model for the faces.
    """
    dataset = builder.open_dataset(data_dir)
    crops, found = _read(dataset)
    kinds = (*leaks.OF_IDS, "identical", "near_duplicate")
    seen = {"clips": len(crops.keys)}
    same = _identical(crops)
    thumbnails, hashes = _hash(dataset, crops.take(_spread(crops, frames)))
    near = _near_duplicates(thumbnails, hashes, same)
    found = [*found, *same.values(), *near.values()]
    seen |= {"crops": len(crops), "hashed": len(thumbnails)}
    settings = {"frames": frames, "faces": faces, "near_duplicate_bits": NEAR_DUPLICATE}
    if faces:
        kinds += ("same_face",)
        portraits, embeddings = _embed(dataset, crops.take(_spread(crops, _FACES_OF_CLIP)))
        found += _same_faces(portraits, embeddings, same.keys() | near.keys())
        settings["same_face_distance"] = detect.SAME_PERSON
        seen["faces"] = len(portraits)
    done = leaks.Audit(leaks.digest(data_dir), settings, seen, leaks.summarise(kinds, found))
    done.write(data_dir)
    return done


def print_audit(audit: leaks.Audit, data_dir: str | os.PathLike) -> None:
    """Prints what was found as a table, and what it means."""
    console = rich.console.Console(soft_wrap=True)
    # A log file keeps whole names; a terminal gets what fits.
    console = console if console.is_terminal else rich.console.Console(width=160, soft_wrap=True)
    table = rich.table.Table(title="shared by splits", box=rich.box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("kind")
    table.add_column("how many", justify="right")
    table.add_column("splits, and examples", overflow="fold")
    for finding in audit.findings:
        counts = [f"{splits}: {count}" for splits, count in finding.splits.items()]
        examples = [leak.describe() for leak in finding.examples[:2]]
        table.add_row(leaks.KINDS[finding.kind], f"{finding.count}", "\n".join(counts + examples))
    console.print(table)
    if any(finding.kind in leaks.CANDIDATES for finding in audit.found):
        warning = "faces as close as one person's may be look-alikes: look at them"
        console.print(f"warning: {warning}", style="yellow")
    state = "no leak is certain" if audit.found else "no leak found"
    state = "leaks: training refuses this dataset" if audit.leaks else state
    console.print(f"{state}; see {os.path.join(data_dir, leaks.FILE)}")


def _read(dataset: builder.Dataset) -> tuple[_Crops, list[Leak]]:
    """(what is small of every crop, the shared ids), in one pass over the records."""
    splits = [split for split in SPLITS if split in dataset.builder.info.splits]
    records = {split: dataset.source(split) for split in splits}
    columns: list[tuple[int, ...]] = []
    clips: dict[tuple[str, str], tuple[int, str]] = {}
    with _bar("reading", sum(map(len, records.values()))) as bar:
        for split, source in records.items():
            for row in range(len(source)):
                record = source[row]
                place = split, record["clip"]
                clip, _ = clips.setdefault(place, (len(clips), record["source"]))
                content = hashlib.blake2b(record["image"], digest_size=8).digest()
                at = SPLITS.index(split), row, clip, record["frame"], record["face"]
                columns.append((*at, int.from_bytes(content)))
                bar.update(len(columns))
    rows = ((*place, source.split(";")) for place, (_, source) in clips.items())
    found = leaks.shared_ids(rows)
    table = np.array(columns, np.uint64).T
    return _Crops(*table[:5].astype(np.int64), table[5], [key for _, key in clips]), found


def _identical(crops: _Crops) -> dict[int, Leak]:
    """Leaks by their later clip: it has a crop with the bytes of one in an earlier split."""
    order = np.argsort(crops.content, kind="stable")  # within equal bytes, split by split
    starts = np.flatnonzero(np.diff(crops.content[order], prepend=~crops.content[order[:1]]))
    first = np.repeat(order[starts], np.diff(starts, append=len(order)))
    found: dict[int, Leak] = {}
    for earlier, later in zip(first, order, strict=True):
        if crops.split[earlier] < crops.split[later]:
            found.setdefault(int(crops.clip[later]), crops.leak("identical", earlier, later))
    return found


def _spread(crops: _Crops, count: int) -> np.ndarray:
    """The rows of `count` crops of each clip, evenly spread over its frames, in their order."""
    order = np.lexsort((crops.face, crops.frame, crops.clip))
    starts = np.flatnonzero(np.diff(crops.clip[order], prepend=-1))
    chosen = [
        order[start + np.linspace(0, size - 1, min(count, size), dtype=int)]
        for start, size in zip(starts, np.diff(starts, append=len(order)), strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def _images(dataset: builder.Dataset, crops: _Crops, doing: str) -> Iterator[tuple[int, Any, Any]]:
    """Yields (number, record, image) of these crops."""
    sources = [dataset.source(s) if s in dataset.builder.info.splits else None for s in SPLITS]
    with _bar(doing, len(crops)) as bar:
        for number, (split, row) in enumerate(zip(crops.split, crops.row, strict=True)):
            record = sources[split][int(row)]
            yield number, record, media_image.decode_image(record["image"])
            bar.update(number + 1)


def _hash(dataset: builder.Dataset, crops: _Crops) -> tuple[_Crops, np.ndarray]:
    """(the crops that show anything, their hashes: uint8 [N, 32])."""
    hashes = [perceptual_hash(image) for _, _, image in _images(dataset, crops, "hashing")]
    kept = np.array([each is not None for each in hashes], bool)
    packed = [each for each in hashes if each is not None]
    return crops.take(kept), np.array(packed, np.uint8).reshape(-1, _COEFFICIENTS**2 // 8)


def perceptual_hash(image: np.ndarray) -> np.ndarray | None:
    """Returns 255 bits, uint8 [32], that hardly change with what does not change the picture.

    A bit says whether one of the lowest frequencies of a grey thumbnail is above their median. None
    where the picture, RGB uint8 [H, W, 3], is all but one colour.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    size = (_THUMBNAIL, _THUMBNAIL)
    thumbnail = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    if thumbnail.std() < _FEATURELESS_BELOW:
        return None
    waves = cv2.dct(thumbnail)[:_COEFFICIENTS, :_COEFFICIENTS].ravel()[1:]  # without the mean
    return np.packbits(waves > np.median(waves))


def _near_duplicates(crops: _Crops, hashes: np.ndarray, known: Container[int]) -> dict[int, Leak]:
    """Leaks by their later clip, closest first; those `known` to be copies are left out."""

    def bits(rows: slice) -> np.ndarray:
        return np.unpackbits(hashes[rows], axis=1).astype(np.float32)

    # The squared distance of vectors of 0 and 1 is the number of bits that differ.
    closest = _closest(crops, bits, NEAR_DUPLICATE, known)
    return {
        clip: crops.leak("near_duplicate", earlier, later, squared)
        for clip, (squared, earlier, later) in sorted(closest.items(), key=lambda item: item[1])
    }


def _embed(dataset: builder.Dataset, crops: _Crops) -> tuple[_Crops, np.ndarray]:
    """(the crops that have a face, their embeddings: float32 [N, 128])."""
    face_of = _face_finder(dataset.crop_spec)
    embedder = recognition.FaceEmbedder()
    kept: list[int] = []
    chips: list[np.ndarray] = []
    embeddings = [np.zeros((0, 128), np.float32)]
    for number, record, image in _images(dataset, crops, "comparing faces"):
        face = face_of(record, image)
        if face is not None:
            kept.append(number)
            chips.append(detect.face_chip(image, face))
        if chips and (len(chips) == recognition.BATCH or number == len(crops) - 1):
            embeddings.append(embedder.embed(np.array(chips)))
            chips.clear()
    return crops.take(np.array(kept, int)), np.concatenate(embeddings)


def _face_finder(spec: CropSpec) -> Callable[[dict[str, Any], np.ndarray], detect.Face | None]:
    """What gives the face of a record: its landmarks, or a search where there are none."""
    if spec.landmarks:
        box = np.array([0, 0, spec.size, spec.size], np.float32)
        return lambda record, image: detect.Face(box, record["landmarks"], 0.0)
    finder = detect.FaceFinder(CropSpec())
    return lambda record, image: next(iter(finder.find(image)), None)


def _same_faces(crops: _Crops, embeddings: np.ndarray, known: Container[int]) -> list[Leak]:
    """Leaks, closest first; clips `known` to show the same picture are left out."""
    closest = _closest(crops, embeddings.__getitem__, detect.SAME_PERSON**2, known)
    return [
        crops.leak("same_face", earlier, later, round(math.sqrt(max(0.0, squared)), 4))
        for squared, earlier, later in sorted(closest.values())
    ]


def _closest(
    crops: _Crops, vectors: Callable[[slice], np.ndarray], limit: float, known: Container[int]
) -> dict[int, tuple[float, int, int]]:
    """(squared distance, earlier crop, later crop) of each clip's closest in an earlier split.

    `vectors` gives those of some crops, float32 [N, D]. Distances over `limit` do not count, nor do
    clips that are `known`.
    """
    found: dict[int, tuple[float, int, int]] = {}
    with _bar("comparing", len(crops)) as bar:
        for start, end in itertools.pairwise(np.searchsorted(crops.split, range(len(SPLITS) + 1))):
            for low in range(start, end, _BLOCK):
                block = slice(low, min(low + _BLOCK, end))
                squared, earlier = _closest_before(start, vectors, vectors(block))
                for later in np.flatnonzero(squared <= limit):
                    clip = int(crops.clip[low + later])
                    match = float(squared[later]), int(earlier[later]), int(low + later)
                    if clip not in known and match < found.get(clip, (math.inf,)):
                        found[clip] = match
                bar.update(block.stop)
    return found


def _closest_before(
    end: int, vectors: Callable[[slice], np.ndarray], queries: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(squared distance, number) of the closest of the first `end` vectors to each query."""
    squared = np.full(len(queries), np.inf, np.float32)
    number = np.zeros(len(queries), np.int64)
    for first in range(0, end, _BLOCK):
        block = vectors(slice(first, min(first + _BLOCK, end)))
        lengths = (block**2).sum(1)[:, None] + (queries**2).sum(1)
        distances = lengths - 2 * (block @ queries.T)
        closest = distances.argmin(0)
        distance = distances[closest, np.arange(len(queries))]
        closer = distance < squared
        squared[closer], number[closer] = distance[closer], first + closest[closer]
    return squared, number


_bar = functools.partial(progress.Progress, unit="records")
