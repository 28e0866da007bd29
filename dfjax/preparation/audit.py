"""What the splits of a dataset share, or several datasets: by ids, by pictures and by faces.

The splits of one dataset are compared with each other; of several datasets, each is compared as a
whole with those before it. Pictures within a split, or within one of several datasets, are not
compared: an original and its fakes are alike there. What is compared:

- ids, as `leaks` explains;
- the bytes of all crops;
- a perceptual hash of a few crops of each clip, and of their mirror images, because training shows
  every picture mirrored as well; `perceptual_hash` has the measured error rates;
- on request, embeddings of dlib's face network, at the distance that dlib takes for one person.
  These are candidates, because among many people there are look-alikes.

For each kind, a clip of val or test, or of any dataset but the first, counts once, by its closest
match in an earlier split or dataset. An identical copy is not also counted as a near duplicate, nor
a near duplicate also as a mirrored one. Time grows with the product of the sizes: about seven
seconds for a hundred million pairs of crops on two cores (1.4 times that without mirroring). 350
bytes a crop stay in memory.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

import numpy as np

from dfjax import progress
from dfjax.data import builder, leaks
from dfjax.data.builder import Dataset
from dfjax.data.leaks import Leak
from dfjax.errors import UserError
from dfjax.faces import detect
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image as media_image
from dfjax.preparation import nearest, perceptual_hash

_FACES_PER_CLIP = 3


@dataclasses.dataclass(frozen=True)
class _Part(leaks.Part):
    """A split, its records, and how their faces were cut out."""

    records: builder.Records
    spec: CropSpec


@dataclasses.dataclass(frozen=True)
class _Crops:
    """One row per crop, part by part.

    Attributes:
      part: the number of its part, [N].
      row: its row in the records of the part, [N].
      clip: the number of its clip among all, [N].
      frame, face: its place in the clip, [N].
      content: `leaks.picture_digest`, [N].
      parts: all parts.
      keys: the key of each clip.
    """

    part: np.ndarray
    row: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    face: np.ndarray
    content: np.ndarray
    parts: Sequence[_Part]
    keys: Sequence[str]

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
            self.parts[self.part[row]].name: (
                f"{self.keys[self.clip[row]]}#{self.frame[row]}#{self.face[row]}"
            )
            for row in (earlier, later)
        }
        return Leak(kind, places, distance=distance)


def audit(dataset: Dataset, *, crops_per_clip: int = 8, compare_faces: bool = False) -> leaks.Audit:
    """Returns what the splits of a prepared dataset share, and writes it to audit.json there.

    Near duplicates are looked for among `crops_per_clip` crops of each clip. With `compare_faces`,
    the faces of three crops of each clip are compared as well.

    Raises:
      FileNotFoundError: a model for the faces is missing.
    """
    parts = [_make_part(split, dataset, split, group) for group, split in enumerate(dataset.splits)]
    result = _audit(parts, dataset.digest, crops_per_clip, compare_faces)
    result.write(dataset)
    return result


def compare(
    datasets: Sequence[Dataset], *, crops_per_clip: int = 8, compare_faces: bool = False
) -> leaks.Audit:
    """Returns what prepared datasets share with those before them, each as a whole; see `audit`.

    Places are named DIR:SPLIT. Writes nothing. `leaks` says which ids count across datasets.
    Aligned crops of different scales are cut to the tightest scale before they are hashed; crops
    that were taken as they are, are hashed as they are.

    Raises:
      FileNotFoundError: a model for the faces is missing.
      UserError: a dataset is named twice.
    """
    if len({dataset.path.resolve() for dataset in datasets}) < len(datasets):
        names = ", ".join(str(dataset.path) for dataset in datasets)
        raise UserError(f"{names} name one dataset twice: name each once, or one alone")
    parts = [
        _make_part(f"{dataset.path}:{split}", dataset, split, group)
        for group, dataset in enumerate(datasets)
        for split in dataset.splits
    ]
    digests = " ".join(dataset.digest for dataset in datasets)
    return _audit(parts, digests, crops_per_clip, compare_faces)


def _make_part(name: str, dataset: Dataset, split: str, group: int) -> _Part:
    scope = leaks.id_scope(dataset)
    return _Part(name, group, scope, dataset.records(split), dataset.crop_spec)


def _audit(
    parts: Sequence[_Part], digest: str, crops_per_clip: int, compare_faces: bool
) -> leaks.Audit:
    crops, shared_ids = _read(parts)
    kinds = (*leaks.OF_IDS, "identical", "near_duplicate", "mirrored")
    identical = _identical(crops)
    hashed, hashes = _hash(crops.take(_spread(crops, crops_per_clip)))
    near = _near_duplicates(hashed, hashes, identical)
    all_leaks = [*shared_ids, *identical.values(), *near.values()]
    counts = {"clips": len(crops.keys), "crops": len(crops), "hashes": len(hashed)}
    settings = {
        "crops_per_clip": crops_per_clip,
        "compare_faces": compare_faces,
        "near_duplicate_bits": perceptual_hash.NEAR_DUPLICATE,
    }
    if compare_faces:
        kinds += ("same_face",)
        faces, embeddings = _embed(crops.take(_spread(crops, _FACES_PER_CLIP)))
        all_leaks += _same_faces(faces, embeddings, identical.keys() | near.keys())
        settings["same_face_distance"] = detect.SAME_PERSON
        counts["faces"] = len(faces)
    return leaks.Audit(digest, settings, counts, leaks.summarize(kinds, all_leaks))


def _read(parts: Sequence[_Part]) -> tuple[_Crops, list[Leak]]:
    """(the small fields of every crop, the shared ids), in one pass over the records."""
    columns: list[tuple[int, ...]] = []
    clips: dict[tuple[int, str], tuple[int, str]] = {}
    with _bar("reading", sum(len(part.records) for part in parts)) as bar:
        for number, part in enumerate(parts):
            for row in range(len(part.records)):
                record = part.records[row]
                place = number, record["clip"]
                clip, _ = clips.setdefault(place, (len(clips), record["origin_ids"]))
                crop = number, row, clip, record["frame"], record["face"]
                columns.append((*crop, leaks.picture_digest(record["image"])))
                bar.update(len(columns))
    rows = ((*place, origin_ids.split(";")) for place, (_, origin_ids) in clips.items())
    shared_ids = leaks.shared_ids(rows, parts)
    table = np.array(columns, np.uint64).T
    keys = [key for _, key in clips]
    return _Crops(*table[:5].astype(np.int64), table[5], parts, keys), shared_ids


def _identical(crops: _Crops) -> dict[int, Leak]:
    """Leaks by their later clip: it has a crop with the bytes of one in an earlier group."""
    group = crops.group
    order = np.argsort(crops.content, kind="stable")  # within equal bytes, group by group
    starts = np.flatnonzero(np.diff(crops.content[order], prepend=~crops.content[order[:1]]))
    first = np.repeat(order[starts], np.diff(starts, append=len(order)))
    identical: dict[int, Leak] = {}
    for earlier, later in zip(first, order, strict=True):
        if group[earlier] < group[later]:
            identical.setdefault(int(crops.clip[later]), crops.leak("identical", earlier, later))
    return identical


def _spread(crops: _Crops, count: int) -> np.ndarray:
    """The rows of `count` crops of each clip, evenly spread over its frames, in rising order."""
    order = np.lexsort((crops.face, crops.frame, crops.clip))
    starts = np.flatnonzero(np.diff(crops.clip[order], prepend=-1))
    chosen = [
        order[start + np.linspace(0, size - 1, min(count, size), dtype=int)]
        for start, size in zip(starts, np.diff(starts, append=len(order)), strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def _images(crops: _Crops, task: str) -> Iterator[tuple[int, _Part, dict[str, Any], np.ndarray]]:
    """Yields (number, part, record, image) of these crops."""
    with _bar(task, len(crops)) as bar:
        for number, (part_number, row) in enumerate(zip(crops.part, crops.row, strict=True)):
            part = crops.parts[part_number]
            record = part.records[int(row)]
            yield number, part, record, media_image.decode_image(record["image"])
            bar.update(number + 1)


def _hash(crops: _Crops) -> tuple[_Crops, np.ndarray]:
    """(the crops that have a hash, the hashes of crops and of mirror images: uint8 [N, 2, 32])."""
    scales = [part.spec.scale for part in crops.parts if part.spec.crops == "align"]
    tightest = min(scales, default=1.0)
    hashes = [
        perceptual_hash.perceptual_hash(_cut(image, part.spec, tightest))
        for _, part, _, image in _images(crops, "hashing")
    ]
    has_hash = np.array([each is not None for each in hashes], bool)
    packed = np.array([each for each in hashes if each is not None], np.uint8)
    return crops.take(has_hash), packed.reshape(-1, 2, perceptual_hash.NUM_BYTES)


def _cut(image: np.ndarray, spec: CropSpec, scale: float) -> np.ndarray:
    """The middle of an aligned crop, as large as if it had been cut at `scale`."""
    if spec.crops == "as-is" or spec.scale == scale:
        return image
    side = round(spec.size * scale / spec.scale)
    start = (spec.size - side) // 2
    return image[start : start + side, start : start + side]


def _near_duplicates(crops: _Crops, hashes: np.ndarray, known: Container[int]) -> dict[int, Leak]:
    """Leaks by their later clip, closest first, without the clips in `known`."""

    def bits(rows: slice) -> np.ndarray:
        return np.unpackbits(hashes[rows], axis=2).astype(np.float32).swapaxes(0, 1)

    # The squared distance of vectors of 0 and 1 is the number of bits that differ.
    limit = perceptual_hash.NEAR_DUPLICATE
    matches = nearest.nearest_before(crops.group, crops.clip, bits, limit=limit, known=known)
    return {
        clip: crops.leak(("near_duplicate", "mirrored")[view], earlier, later, squared)
        for clip, (squared, earlier, later, view) in sorted(matches.items(), key=lambda it: it[1])
    }


def _embed(crops: _Crops) -> tuple[_Crops, np.ndarray]:
    """(the crops that have a face, their embeddings: float32 [N, 128])."""
    from dfjax import recognition  # loads JAX, which nothing else of an audit needs

    face_of = {part.name: _face_getter(part.spec) for part in crops.parts}
    embedder = recognition.FaceEmbedder()
    rows: list[int] = []
    chips: list[np.ndarray] = []
    embeddings = [np.zeros((0, 128), np.float32)]
    for number, part, record, image in _images(crops, "comparing faces"):
        face = face_of[part.name](record, image)
        if face is not None:
            rows.append(number)
            chips.append(detect.face_chip(image, face))
        if chips and (len(chips) == recognition.BATCH or number == len(crops) - 1):
            embeddings.append(embedder.embed(np.array(chips)))
            chips.clear()
    return crops.take(np.array(rows, int)), np.concatenate(embeddings)


def _face_getter(spec: CropSpec) -> Callable[[dict[str, Any], np.ndarray], detect.Face | None]:
    """What gives the face of a record: its landmarks, or detection if it has none."""
    if spec.landmarks:
        box = np.array([0, 0, spec.size, spec.size], np.float32)
        return lambda record, image: detect.Face(box, record["landmarks"], 0.0)
    detector = detect.FaceDetector(CropSpec())
    return lambda record, image: next(iter(detector.detect(image)), None)


def _same_faces(crops: _Crops, embeddings: np.ndarray, known: Container[int]) -> list[Leak]:
    """Leaks, closest first, without the clips in `known`, which show the same picture."""
    matches = nearest.nearest_before(
        crops.group,
        crops.clip,
        lambda rows: embeddings[None, rows],
        limit=detect.SAME_PERSON**2,
        known=known,
    )
    return [
        crops.leak("same_face", earlier, later, round(math.sqrt(max(0.0, squared)), 4))
        for squared, earlier, later, _ in sorted(matches.values())
    ]


_bar = functools.partial(progress.Progress, unit="records")
