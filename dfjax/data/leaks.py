"""What splits or datasets share: a score on shared data is partly recognition.

`audit.json` next to a dataset holds an `Audit` of its splits:

    dataset   digest of the records that were audited, or of several datasets their digests in a
              row; the audit says nothing about other records
    settings  how the audit was run: `crops_per_clip` (0: only ids were compared), `compare_faces`,
              and the limits
    counts    how much was compared: `clips` by id, `crops` by bytes, `hashes` for near duplicates
              (a crop of one color has none), and `faces`
    findings  for each kind of `KINDS` that was looked for: `count`, `splits` (the counts by the
              splits that share), and the first or closest `examples` (`shared` id, `distance`,
              `places` by split)

What an id means depends on its form. An id that names its corpus ("video:ffpp/071",
"identity:celebdf/id3", "archive:wilddeepfake/...") means the same thing in every dataset: DF40,
DeeperForensics and DeepfakeBench use the ids of FaceForensics++ and Celeb-DF on purpose. Any other
id (a group, a pair or a path of your own files) means something in its corpus only, because another
corpus may call something "anna" or "1.mp4" by chance. It counts within a dataset, and between two
datasets that were prepared from the same clips. The key of a clip starts with a folder's name and
is such an id; between other datasets it counts if the two clips also share an id that names a
corpus.
"""

import collections
import dataclasses
import functools
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from dfjax import files, progress
from dfjax.corpora.splits import SPLITS
from dfjax.data.builder import Dataset
from dfjax.errors import UserError

FILE = "audit.json"

KINDS = {
    "clip": "clips by key",
    "identity": "people by id",
    "video": "source videos by id",
    "pair": "pairs by id",
    "origin": "other origins by id",
    "identical": "the same pictures",
    "near_duplicate": "nearly the same pictures",
    "mirrored": "nearly the same pictures, mirrored",
    "same_face": "faces of one person, or of look-alikes",
}
"""What can be shared. Ids are counted one by one, pictures and faces by clips."""

OF_IDS = ("clip", "identity", "video", "pair", "origin")
CANDIDATES = ("same_face",)
"""Kinds that somebody has to confirm: training does not refuse a dataset because of them."""

_MAX_EXAMPLES = 20
_WITH_CORPUS = re.compile(r"(identity|video|archive):[^/]+/.")


@dataclasses.dataclass(frozen=True)
class Part:
    """A split among those that are compared.

    Attributes:
      name: what findings call it.
      group: the split is compared with the parts of other groups, not with those of its own.
      scope: equal for two parts where an id that does not name its corpus means the same.
    """

    name: str
    group: int
    scope: str


@dataclasses.dataclass(frozen=True)
class Leak:
    """One thing in several splits: an id, or pictures that are alike.

    Attributes:
      kind: a key of `KINDS`.
      places: by split, a clip that holds it, or a crop as clip#frame#face.
      shared: the id; "" for pictures.
      distance: how far the pictures are apart; None for ids and equal bytes.
    """

    kind: str
    places: dict[str, str]
    shared: str = ""
    distance: float | None = None

    @property
    def splits(self) -> str:
        """The splits that share it, such as "train and test"."""
        return " and ".join(self.places)

    def describe(self) -> str:
        """Returns one line about what is shared, and where."""
        places = ", ".join(f"{place} in {split}" for split, place in self.places.items())
        distance = "" if self.distance is None else f" (distance {self.distance:.3g})"
        return f"{self.shared}: {places}" if self.shared else f"{places}{distance}"


@dataclasses.dataclass(frozen=True)
class Finding:
    """All leaks of one kind.

    Attributes:
      kind: a key of `KINDS`.
      count: how many there are.
      splits: how many by the splits that share.
      examples: the first or the closest of them.
    """

    kind: str
    count: int
    splits: dict[str, int]
    examples: tuple[Leak, ...]


@dataclasses.dataclass(frozen=True)
class Audit:
    """What splits or datasets share; the module describes the fields.

    Attributes:
      dataset: digest of the audited records.
      settings: how the audit was run.
      counts: how much was compared.
      findings: one for each kind that was looked for, also where there is no leak.
    """

    dataset: str
    settings: dict[str, Any]
    counts: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def nonempty(self) -> tuple[Finding, ...]:
        """The findings of at least one leak."""
        return tuple(finding for finding in self.findings if finding.count)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that make training refuse the dataset: those of certain leaks."""
        return tuple(finding for finding in self.nonempty if finding.kind not in CANDIDATES)

    def write(self, dataset: Dataset) -> None:
        """Writes audit.json next to a dataset."""
        self.save(dataset.path / FILE)

    def save(self, file: str | os.PathLike) -> None:
        """Writes the audit as JSON, whole or not at all."""
        files.replace_json(file, dataclasses.asdict(self))


_NOUNS = {
    "clip": ("clip", "clips"),
    "identity": ("identity", "identities"),
    "video": ("video", "videos"),
    "pair": ("pair", "pairs"),
    "origin": ("other origin", "other origins"),
    "identical": ("clip with the same picture", "clips with the same pictures"),
}


@dataclasses.dataclass(frozen=True)
class Overlap:
    """What evaluated data share with the data that a model was trained and selected on.

    False if they share nothing.

    Attributes:
      clip, identity, video, pair, origin, identical: counts by the kinds of `KINDS`.
    """

    clip: int = 0
    identity: int = 0
    video: int = 0
    pair: int = 0
    origin: int = 0
    identical: int = 0

    def __bool__(self) -> bool:
        return any(dataclasses.astuple(self))

    def describe(self) -> str:
        """Returns a phrase such as "shares 3 identities, 12 videos with training"."""
        counts = dataclasses.asdict(self)
        shared = [f"{count} {_NOUNS[kind][count != 1]}" for kind, count in counts.items() if count]
        return f"shares {', '.join(shared) or 'nothing'} with training"


def overlap(target: Dataset, target_split: str, trained: Iterable[tuple[Dataset, str]]) -> Overlap:
    """Returns what a split shares with those of `trained`, by ids and by the bytes of its crops.

    The module says which ids count in another dataset. `identical` counts clips of the target.
    Copies that were cut or stored in another way do not share bytes: `dfjax audit A B` finds them.
    Reads every record once, and does not read the last few splits again for the next target.

    Raises:
      UserError: a dataset has no such split.
    """
    tested = _read_contents(target, target_split)
    contents = [_read_contents(dataset, split) for dataset, split in trained]
    names = tested.names.intersection(set().union(*(part.names for part in contents)))
    counts = collections.Counter(kind for kind, _ in {name[:2] for name in names})
    pictures = [np.zeros(0, np.uint64), *(part.pictures for part in contents)]
    is_shared = np.isin(tested.pictures, np.concatenate(pictures))
    identical = len(np.unique(tested.clip[is_shared]))
    return Overlap(**counts, identical=identical)


@dataclasses.dataclass(frozen=True)
class _Contents:
    """What an overlap compares of a split.

    Attributes:
      names: the keys and ids of all clips, as `_names` yields them.
      clip: the number of each crop's clip, counted from 0; [N].
      pictures: `picture_digest` of each crop, [N].
    """

    names: frozenset[tuple[str, str, str]]
    clip: np.ndarray
    pictures: np.ndarray


@functools.lru_cache(maxsize=4)
def _read_contents(dataset: Dataset, split: str) -> _Contents:
    records, scope = dataset.records(split), id_scope(dataset)
    clips: dict[str, int] = {}
    names: set[tuple[str, str, str]] = set()
    clip_of = np.zeros(len(records), np.int64)
    pictures = np.zeros(len(records), np.uint64)
    with progress.Progress(f"reading {split} for leaks", len(records), unit="records") as bar:
        for row in range(len(records)):
            record = records[row]
            if record["clip"] not in clips:
                names.update(_names(record["clip"], record["origin_ids"].split(";"), scope))
            clip_of[row] = clips.setdefault(record["clip"], len(clips))
            pictures[row] = picture_digest(record["image"])
            bar.update(row + 1)
    return _Contents(frozenset(names), clip_of, pictures)


def summarize(kinds: Sequence[str], leaks: Iterable[Leak]) -> tuple[Finding, ...]:
    """Returns a finding for each of `kinds`, empty or not; the first leaks are the examples."""
    by_kind: dict[str, list[Leak]] = {kind: [] for kind in kinds}
    for leak in leaks:
        by_kind[leak.kind].append(leak)
    return tuple(
        Finding(
            kind,
            len(leaks_of_kind),
            dict(collections.Counter(leak.splits for leak in leaks_of_kind)),
            tuple(leaks_of_kind[:_MAX_EXAMPLES]),
        )
        for kind, leaks_of_kind in by_kind.items()
    )


def shared_ids(rows: Iterable[tuple[int, str, Iterable[str]]], parts: Sequence[Part]) -> list[Leak]:
    """Returns the clip keys and origin ids that several groups have, in order of kind and id.

    A row is (number of a part, clip, origin ids); a clip may come more than once.
    """
    holders: dict[tuple[str, str, str], dict[int, str]] = collections.defaultdict(dict)
    for part, clip, origin_ids in rows:
        for name in _names(clip, origin_ids, parts[part].scope):
            holders[name][part] = min(clip, holders[name].get(part, clip))
    places: dict[tuple[str, str], dict[int, str]] = collections.defaultdict(dict)
    for (kind, shared, _), clips in holders.items():
        if len({parts[part].group for part in clips}) > 1:
            places[kind, shared] |= clips
    leaks = [
        Leak(kind, {parts[part].name: clips[part] for part in sorted(clips)}, shared)
        for (kind, shared), clips in places.items()
    ]
    return sorted(leaks, key=lambda leak: (OF_IDS.index(leak.kind), leak.shared))


def _names(clip: str, origin_ids: Iterable[str], scope: str) -> Iterator[tuple[str, str, str]]:
    """Yields (kind, key or id, scope) for all names of a clip; equal triples mean one thing.

    The scope of an id that names its corpus is "", and that of a key may be such an id.
    """
    yield "clip", clip, scope
    for origin in origin_ids:
        kind = origin.partition(":")[0]
        kind = kind if kind in ("identity", "video", "pair") else "origin"
        if _WITH_CORPUS.match(origin):
            yield kind, origin, ""
            yield "clip", clip, origin
        else:
            yield kind, origin, scope


def id_scope(dataset: Dataset) -> str:
    """Returns a text that is equal for datasets prepared from the same clips, however cut."""
    return f"{dataset.metadata['corpus']}: {dataset.metadata.get('clips') or dataset.digest}"


def picture_digest(image: bytes) -> int:
    """Returns a digest of 64 bits: among a million different crops, two are equal once in 10^7."""
    return int.from_bytes(hashlib.blake2b(image, digest_size=8).digest())


def audit_ids(dataset: Dataset, rows: Iterable[tuple[str, str, Iterable[str]]]) -> Audit:
    """Returns the audit of a dataset by ids alone; its rows are (split, clip, origin ids)."""
    parts = [Part(split, number, "") for number, split in enumerate(SPLITS)]
    clips = {(SPLITS.index(split), clip): tuple(origin_ids) for split, clip, origin_ids in rows}
    leaks = shared_ids(((*place, origin_ids) for place, origin_ids in clips.items()), parts)
    settings = {"crops_per_clip": 0, "compare_faces": False}
    return Audit(dataset.digest, settings, {"clips": len(clips)}, summarize(OF_IDS, leaks))


def rows(dataset: Dataset) -> Iterator[tuple[str, str, list[str]]]:
    """Yields (split, clip, origin ids) of every clip of a dataset."""
    for split in dataset.splits:
        for clip, origin_ids in _clips(dataset, split):
            yield split, clip, origin_ids


def _clips(dataset: Dataset, split: str) -> Iterator[tuple[str, list[str]]]:
    index = dataset.index(split)
    for clip, origin_ids in zip(index.clips.tolist(), index.origin_ids.tolist(), strict=True):
        yield clip, origin_ids.split(";")


def read(dataset: Dataset) -> Audit | None:
    """Returns the audit in audit.json; None if it is missing or of other records.

    Raises:
      UserError: the file is damaged.
    """
    path = dataset.path / FILE
    if not path.is_file():
        return None
    try:
        audit = _from_json(json.loads(path.read_text()))
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is damaged: run dfjax audit {dataset.path}") from error
    return audit if audit.dataset == dataset.digest else None


def _from_json(fields: dict[str, Any]) -> Audit:
    findings = tuple(
        Finding(**{**finding, "examples": tuple(Leak(**leak) for leak in finding["examples"])})
        for finding in fields.pop("findings")
    )
    return Audit(findings=findings, **fields)


def require_none(dataset: Dataset) -> None:
    """Checks that the splits of a dataset share nothing, by its audit or else by its records' ids.

    Raises:
      UserError: they share something; the message says what, and what to do.
    """
    audit = read(dataset) or audit_ids(dataset, rows(dataset))
    if audit.blocking:
        raise UserError(
            f"{dataset.name}: {describe(audit.blocking)}: {_advice(dataset)}, or train with "
            "config.data.allow_leaks=True and report it"
        )


def require_apart(
    further: Sequence[tuple[Dataset, str]], dataset: Dataset, splits: Sequence[str]
) -> None:
    """Checks by ids that further training data share nothing with these splits of a dataset.

    Raises:
      UserError: they do; the message says what, and what to do.
    """
    groups = [(0, *part) for part in further] + [(1, dataset, split) for split in splits]
    parts = [Part(f"{each.name}:{split}", group, id_scope(each)) for group, each, split in groups]
    named = (
        (number, clip, origin_ids)
        for number, (_, each, split) in enumerate(groups)
        for clip, origin_ids in _clips(each, split)
    )
    findings = [each for each in summarize(OF_IDS, shared_ids(named, parts)) if each.count]
    if findings:
        raise UserError(
            f"data.more: {describe(findings)}: leave it out, or train with "
            "config.data.allow_leaks=True and report it"
        )


def _advice(dataset: Dataset) -> str:
    """Returns what to do about leaks, by the rule of --strict that the dataset was made with."""
    if "strict" not in dataset.metadata:  # an earlier version made it
        return "prepare it with --strict if the corpus has that option"
    match dataset.metadata["strict"]:
        case None:
            return "its corpus has no --strict: leave these clips out of one of the splits"
        case False:
            return "prepare it with --strict"
        case True:
            return "it was prepared with --strict, so leave these clips out of one of the splits"
        case rule:
            return f"it was prepared with --strict {rule}, which leaves this: use --strict alone"


def describe(findings: Iterable[Finding]) -> str:
    """Returns one line about what splits share: how many of each kind, and an example."""
    shared = [
        f"{KINDS[finding.kind]} ({finding.count}; {finding.examples[0].describe()})"
        for finding in findings
    ]
    return f"splits share {', '.join(shared)}"
