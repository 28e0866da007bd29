"""`dfjax audit`: what splits or datasets share, by ids, by pictures and by faces.

The splits of one dataset are compared, or several datasets, whole. Pictures are not compared within
one of these, for there an original and its fakes are alike:

- by their bytes, all of them;
- by a hash of a few crops of each clip, the signs of 255 DCT coefficients of a 64-pixel thumbnail.
  `NEAR_DUPLICATE` bits apart is near: 97 to 100 % of crops are that near to a copy of theirs
  (JPEG 30 to 75, 20 % brighter, moved by a pixel, halved), and 6 of 36.8 million pairs of DFDC
  faces of different originals, all of one person in one recording room; none of 276,294 pairs
  of different people, aligned, in studio photographs and FFHQ (closest: 38). Of the usual 64 bits,
  2 to 6 catch the same copies and 22 to 388 of these pairs. Most copies that were cropped by 2 %
  or moved by 3 pixels are missed;
- by the same hash of their mirror images, for training shows every picture mirrored as well. Of
  those 744 photographs, 98 to 100 % are near to the mirrored copies; none of the pairs is, either
  way round (closest: 38), and no face is near to its own mirror image (closest: 112);
- where asked for, by embeddings of dlib's face network, at the distance that dlib takes for one
  person: candidates, for among many people there are look-alikes.

A clip of val or test, or of any dataset but the first, counts once for each kind, by its closest
match before its own split or dataset, and not as nearly the same what is the same, nor both as it
is and mirrored. Time grows with the product of the sizes, about seven seconds for a hundred million
pairs of crops on two cores (1.4 times that without mirroring); 350 bytes a crop stay in memory.
"""

import dataclasses
import functools
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

from dfjax import progress, recognition
from dfjax.corpora.splits import SPLITS
from dfjax.data import builder, leaks
from dfjax.data.leaks import Leak
from dfjax.errors import UserError
from dfjax.faces import detect
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image as media_image

NEAR_DUPLICATE = 28  # bits of 255

_THUMBNAIL, _COEFFICIENTS = 64, 16  # sides
_FEATURELESS_BELOW = 2.0  # standard deviation of a thumbnail: its signs are noise
_FACES_OF_CLIP = 3
_BLOCK = 2048  # rows compared at a time


@dataclasses.dataclass(frozen=True)
class _Part(leaks.Part):
    """A split and its records."""

    records: builder.Records
    spec: CropSpec


@dataclasses.dataclass(frozen=True)
class _Crops:
    """One row per crop, part by part; `row` is that in its part, `clip` counts from 0."""

    part: np.ndarray
    row: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    face: np.ndarray
    content: np.ndarray  # `leaks.picture_digest`
    parts: Sequence[_Part]
    keys: Sequence[str]  # by clip

    def __len__(self) -> int:
        return len(self.row)

    @property
    def group(self) -> np.ndarray:
        return np.array([part.group for part in self.parts])[self.part]

    def take(self, rows: np.ndarray) -> "_Crops":
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        taken = {k: v[rows] for k, v in fields.items() if isinstance(v, np.ndarray)}
        return dataclasses.replace(self, **taken)

    def leak(self, kind: str, earlier: int, later: int, distance: float | None = None) -> Leak:
        places = {
            self.parts[self.part[at]].name: (
                f"{self.keys[self.clip[at]]}#{self.frame[at]}#{self.face[at]}"
            )
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
    parts = [_Part(split, at, *of) for at, (split, *of) in enumerate(_splits(data_dir))]
    done = dataclasses.replace(_audit(parts, frames, faces), dataset=leaks.digest(data_dir))
    done.write(data_dir)
    return done


def compare(
    data_dirs: Sequence[str | os.PathLike], *, frames: int = 8, faces: bool = False
) -> leaks.Audit:
    """Returns what prepared datasets share with those before them, whole; see `audit`.

    Places are named DIR:SPLIT. Writes nothing. `leaks` says which ids count across datasets.
    Aligned crops of other scales are cut to the tightest before they are hashed; what is as-is is
    hashed as it is.

    Raises:
      FileNotFoundError: there is no dataset, or no model for the faces.
      UserError: a dataset is given twice.
    """
    if len({os.path.realpath(data_dir) for data_dir in data_dirs}) < len(data_dirs):
        given = ", ".join(map(os.fspath, data_dirs))
        raise UserError(f"one dataset twice among {given}: give different ones, or one alone")
    parts = [
        _Part(f"{os.fspath(data_dir)}:{split}", group, *of)
        for group, data_dir in enumerate(data_dirs)
        for split, *of in _splits(data_dir)
    ]
    digests = " ".join(leaks.digest(data_dir) for data_dir in data_dirs)
    return dataclasses.replace(_audit(parts, frames, faces), dataset=digests)


def _splits(data_dir: str | os.PathLike) -> Iterator[tuple[str, str, builder.Records, CropSpec]]:
    """Yields (split, scope of its ids, records, spec) of a dataset, train first."""
    dataset, scope = builder.open_dataset(data_dir), leaks.scope(data_dir)
    for split in SPLITS:
        if split in dataset.builder.info.splits:
            yield split, scope, dataset.records(split), dataset.crop_spec


def _audit(parts: Sequence[_Part], frames: int, faces: bool) -> leaks.Audit:
    crops, found = _read(parts)
    kinds = (*leaks.OF_IDS, "identical", "near_duplicate", "mirrored")
    seen = {"clips": len(crops.keys)}
    same = _identical(crops)
    thumbnails, hashes = _hash(crops.take(_spread(crops, frames)))
    near = _near_duplicates(thumbnails, hashes, same)
    found = [*found, *same.values(), *near.values()]
    seen |= {"crops": len(crops), "hashed": len(thumbnails)}
    settings = {"frames": frames, "faces": faces, "near_duplicate_bits": NEAR_DUPLICATE}
    if faces:
        kinds += ("same_face",)
        portraits, embeddings = _embed(crops.take(_spread(crops, _FACES_OF_CLIP)))
        found += _same_faces(portraits, embeddings, same.keys() | near.keys())
        settings["same_face_distance"] = detect.SAME_PERSON
        seen["faces"] = len(portraits)
    return leaks.Audit("", settings, seen, leaks.summarise(kinds, found))


def print_audit(audit: leaks.Audit, data_dirs: Sequence[str | os.PathLike]) -> None:
    """Prints what was found in or among these datasets as a table, and what it means."""
    alone = len(data_dirs) == 1
    # Names are shown as they are: "a:train:" is no emoji, nor "[b]" bold.
    new_console = functools.partial(rich.console.Console, soft_wrap=True, markup=False, emoji=False)
    console = new_console()
    # A log file keeps whole names; a terminal gets what fits.
    console = console if console.is_terminal else new_console(width=160)
    title = f"shared by {'splits' if alone else 'datasets'}"
    table = rich.table.Table(title=title, box=rich.box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("kind")
    table.add_column("how many", justify="right")
    table.add_column("splits, and examples", overflow="fold")
    for finding in audit.findings:
        counts = [f"{splits}: {count}" for splits, count in finding.splits.items()]
        examples = [leak.describe() for leak in finding.examples[:2]]
        table.add_row(leaks.KINDS[finding.kind], f"{finding.count}", "\n".join(counts + examples))
    console.print(table)
    if any(finding.kind in leaks.CANDIDATES for finding in audit.nonempty):
        warning = "faces as close as one person's may be look-alikes: look at them"
        console.print(f"warning: {warning}", style="yellow")
    state = "no leak is certain" if audit.nonempty else "no leak found"
    if audit.blocking and alone:
        state = "leaks: training refuses this dataset"
    elif audit.blocking:
        state = "leaks: a model of one of them recognises some of another"
    where = f"; see {os.path.join(data_dirs[0], leaks.FILE)}" if alone else ""
    console.print(f"{state}{where}")


def _read(parts: Sequence[_Part]) -> tuple[_Crops, list[Leak]]:
    """(what is small of every crop, the shared ids), in one pass over the records."""
    columns: list[tuple[int, ...]] = []
    clips: dict[tuple[int, str], tuple[int, str]] = {}
    with _bar("reading", sum(len(part.records) for part in parts)) as bar:
        for number, part in enumerate(parts):
            for row in range(len(part.records)):
                record = part.records[row]
                place = number, record["clip"]
                clip, _ = clips.setdefault(place, (len(clips), record["origin_ids"]))
                at = number, row, clip, record["frame"], record["face"]
                columns.append((*at, leaks.picture_digest(record["image"])))
                bar.update(len(columns))
    rows = ((*place, source.split(";")) for place, (_, source) in clips.items())
    found = leaks.shared_ids(rows, parts)
    table = np.array(columns, np.uint64).T
    keys = [key for _, key in clips]
    return _Crops(*table[:5].astype(np.int64), table[5], parts, keys), found


def _identical(crops: _Crops) -> dict[int, Leak]:
    """Leaks by their later clip: it has a crop with the bytes of one in an earlier group."""
    group = crops.group
    order = np.argsort(crops.content, kind="stable")  # within equal bytes, group by group
    starts = np.flatnonzero(np.diff(crops.content[order], prepend=~crops.content[order[:1]]))
    first = np.repeat(order[starts], np.diff(starts, append=len(order)))
    found: dict[int, Leak] = {}
    for earlier, later in zip(first, order, strict=True):
        if group[earlier] < group[later]:
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


def _images(crops: _Crops, doing: str) -> Iterator[tuple[int, _Part, dict[str, Any], np.ndarray]]:
    """Yields (number, part, record, image) of these crops."""
    with _bar(doing, len(crops)) as bar:
        for number, (at, row) in enumerate(zip(crops.part, crops.row, strict=True)):
            part = crops.parts[at]
            record = part.records[int(row)]
            yield number, part, record, media_image.decode_image(record["image"])
            bar.update(number + 1)


def _hash(crops: _Crops) -> tuple[_Crops, np.ndarray]:
    """(the crops that show anything, their hashes: uint8 [N, 2, 32], the second when mirrored)."""
    scales = [part.spec.scale for part in crops.parts if part.spec.crops == "align"]
    hashes = [
        perceptual_hash(_cut(image, part.spec, min(scales, default=1.0)))
        for _, part, _, image in _images(crops, "hashing")
    ]
    kept = np.array([each is not None for each in hashes], bool)
    packed = [each for each in hashes if each is not None]
    return crops.take(kept), np.array(packed, np.uint8).reshape(-1, 2, _COEFFICIENTS**2 // 8)


def _cut(image: np.ndarray, spec: CropSpec, scale: float) -> np.ndarray:
    """The middle of an aligned crop, as large as if it had been cut at `scale`."""
    if spec.crops == "as-is" or spec.scale == scale:
        return image
    side = round(spec.size * scale / spec.scale)
    start = (spec.size - side) // 2
    return image[start : start + side, start : start + side]


def perceptual_hash(image: np.ndarray) -> np.ndarray | None:
    """Returns 255 bits that hardly change with what does not change the picture; uint8 [2, 32].

    The second row is that of the mirror image. A bit says whether one of the lowest frequencies of
    a grey thumbnail is above their median. None where the picture, RGB uint8 [H, W, 3], is all but
    one colour.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    size = (_THUMBNAIL, _THUMBNAIL)
    thumbnail = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    if thumbnail.std() < _FEATURELESS_BELOW:
        return None
    waves = cv2.dct(thumbnail)[:_COEFFICIENTS, :_COEFFICIENTS]
    mirrored = waves * (-1) ** np.arange(_COEFFICIENTS)  # odd waves are antisymmetric
    both = np.stack([waves, mirrored]).reshape(2, -1)[:, 1:]  # without the mean
    return np.packbits(both > np.median(both, axis=1, keepdims=True), axis=1)


def _near_duplicates(crops: _Crops, hashes: np.ndarray, known: Container[int]) -> dict[int, Leak]:
    """Leaks by their later clip, closest first; those `known` to be copies are left out."""

    def bits(rows: slice) -> np.ndarray:
        return np.unpackbits(hashes[rows], axis=2).astype(np.float32).swapaxes(0, 1)

    # The squared distance of vectors of 0 and 1 is the number of bits that differ.
    closest = _closest(crops, bits, NEAR_DUPLICATE, known)
    return {
        clip: crops.leak(("near_duplicate", "mirrored")[view], earlier, later, squared)
        for clip, (squared, earlier, later, view) in sorted(closest.items(), key=lambda it: it[1])
    }


def _embed(crops: _Crops) -> tuple[_Crops, np.ndarray]:
    """(the crops that have a face, their embeddings: float32 [N, 128])."""
    face_of = {part.name: _face_finder(part.spec) for part in crops.parts}
    embedder = recognition.FaceEmbedder()
    kept: list[int] = []
    chips: list[np.ndarray] = []
    embeddings = [np.zeros((0, 128), np.float32)]
    for number, part, record, image in _images(crops, "comparing faces"):
        face = face_of[part.name](record, image)
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
    finder = detect.FaceDetector(CropSpec())
    return lambda record, image: next(iter(finder.detect(image)), None)


def _same_faces(crops: _Crops, embeddings: np.ndarray, known: Container[int]) -> list[Leak]:
    """Leaks, closest first; clips `known` to show the same picture are left out."""
    limit = detect.SAME_PERSON**2
    closest = _closest(crops, lambda rows: embeddings[None, rows], limit, known)
    return [
        crops.leak("same_face", earlier, later, round(math.sqrt(max(0.0, squared)), 4))
        for squared, earlier, later, _ in sorted(closest.values())
    ]


def _closest(
    crops: _Crops, vectors: Callable[[slice], np.ndarray], limit: float, known: Container[int]
) -> dict[int, tuple[float, int, int, int]]:
    """(squared distance, earlier crop, later crop, its view) of each clip's closest match.

    It is in an earlier group. `vectors` gives those of some crops, float32 [V, N, D]: of the crops
    as they are, and of other views of them, each of which is held against the earlier crops as they
    are. Distances over `limit` do not count, nor do clips that are `known`.
    """
    found: dict[int, tuple[float, int, int, int]] = {}
    with _bar("comparing", len(crops)) as bar:
        for start, end in itertools.pairwise(_bounds(crops.group)):
            for low in range(start, end, _BLOCK):
                block = slice(low, min(low + _BLOCK, end))
                views = vectors(block)
                squared, earlier = _closest_before(start, vectors, np.concatenate(views))
                for at in np.flatnonzero(squared <= limit):
                    view, row = divmod(int(at), views.shape[1])
                    clip = int(crops.clip[low + row])
                    match = float(squared[at]), int(earlier[at]), low + row, view
                    if clip not in known and match < found.get(clip, (math.inf,)):
                        found[clip] = match
                bar.update(block.stop)
    return found


def _bounds(group: np.ndarray) -> np.ndarray:
    """Where the first group begins, where the next do, and where the last ends."""
    return np.append(np.flatnonzero(np.diff(group, prepend=-1)), len(group))


def _closest_before(
    end: int, vectors: Callable[[slice], np.ndarray], queries: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(squared distance, number) of the closest of the first `end` crops to each query."""
    squared = np.full(len(queries), np.inf, np.float32)
    number = np.zeros(len(queries), np.int64)
    lengths = (queries**2).sum(1)
    for first in range(0, end, _BLOCK):
        block = vectors(slice(first, min(first + _BLOCK, end)))[0]
        distances = (block**2).sum(1)[:, None] + lengths - 2 * (block @ queries.T)
        closest = distances.argmin(0)
        distance = distances[closest, np.arange(len(queries))]
        closer = distance < squared
        squared[closer], number[closer] = distance[closer], first + closest[closer]
    return squared, number


_bar = functools.partial(progress.Progress, unit="records")
