"""What splits or datasets share: a score on data that share something is partly recognition.

`audit.json` beside a dataset holds an `Audit` of its splits:

    dataset   digest of the records that were looked at; of any others it says nothing. Those of
              several datasets stand one after the other
    settings  how it was looked: `frames` of a clip (0: ids alone), `faces`, and the limits
    seen      how much was compared: `clips` by id, `crops` by bytes, `hashed` of them for near
              duplicates (not those of one colour), and `faces`
    findings  per kind of `KINDS` that was looked for: `count`, `splits` (counts by who shares),
              and the first or closest `examples` (`shared` id, `distance`, `places` by split)

What an id means depends on who wrote it. One that names its corpus ("video:ffpp/071",
"identity:celebdf/id3", "archive:wilddeepfake/...") names the same thing in every dataset: DF40,
DeeperForensics and DeepfakeBench write those of FaceForensics++ and Celeb-DF on purpose. Any other
(groups, pairs and paths of one's own files) names something in its corpus alone, as "anna" or
"1.mp4" may come by chance elsewhere: it counts within a dataset and between two that were prepared
from the same clips. The key of a clip, which starts with a folder's name, is one of these; between
other datasets it counts where the two clips share an id with a corpus as well.
"""

import collections
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from dfjax import progress
from dfjax.corpora.splits import SPLITS
from dfjax.data import builder
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
"""Kinds that a person has to confirm: no reason to refuse a dataset."""

_MAX_EXAMPLES = 20
_WITH_CORPUS = re.compile(r"(identity|video|archive):[^/]+/.")


@dataclasses.dataclass(frozen=True)
class Part:
    """A split among those that are compared: with the parts of other groups, not of its own.

    `name` is what findings call it; `scope` is equal where ids without a corpus mean the same.
    """

    name: str
    group: int
    scope: str


@dataclasses.dataclass(frozen=True)
class Leak:
    """One thing in several splits: an id (`shared`), or pictures at a `distance` of each other.

    `places` names a clip of each split, or a crop as clip#frame#face.
    """

    kind: str
    places: dict[str, str]
    shared: str = ""
    distance: float | None = None

    @property
    def splits(self) -> str:
        return " and ".join(self.places)

    def describe(self) -> str:
        """Returns what is shared and where, in a line."""
        places = ", ".join(f"{place} in {split}" for split, place in self.places.items())
        distance = "" if self.distance is None else f" (distance {self.distance:.3g})"
        return f"{self.shared}: {places}" if self.shared else f"{places}{distance}"


@dataclasses.dataclass(frozen=True)
class Finding:
    """All leaks of a kind: their number, that by splits, and a few of them."""

    kind: str
    count: int
    splits: dict[str, int]
    examples: tuple[Leak, ...]


@dataclasses.dataclass(frozen=True)
class Audit:
    """What was looked for in a dataset, and found; see the module."""

    dataset: str
    settings: dict[str, Any]
    seen: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def nonempty(self) -> tuple[Finding, ...]:
        """What there is: the findings without those of nothing."""
        return tuple(finding for finding in self.findings if finding.count)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """What was found and needs nobody's confirmation."""
        return tuple(finding for finding in self.nonempty if finding.kind not in CANDIDATES)

    def write(self, data_dir: str | os.PathLike) -> None:
        """Writes audit.json beside a dataset."""
        self.save(pathlib.Path(data_dir, FILE))

    def save(self, file: str | os.PathLike) -> None:
        """Writes the audit as JSON, whole or not at all."""
        path = pathlib.Path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.tmp")
        temporary.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n")
        temporary.replace(path)


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
    """What evaluated data share with those a model was trained and selected on.

    Counts by the kinds of `KINDS` of the same names; false where there is nothing.
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


def overlap(
    target_dir: str | os.PathLike,
    target_split: str,
    trained_dir: str | os.PathLike,
    trained_splits: Iterable[str],
) -> Overlap:
    """Returns what a split shares with `trained_splits`, by ids and by the bytes of its crops.

    Which ids count in another dataset, the module says. `identical` counts clips of the target.
    Copies that were cut or stored in another way share no bytes: `dfjax audit A B` finds those.
    Reads every record once, and those of the last splits not again for the next target.

    Raises:
      FileNotFoundError: there is no dataset.
      UserError: it has no such split.
    """
    target = _contents(target_dir, target_split)
    trained = [_contents(trained_dir, split) for split in trained_splits]
    names = target.names.intersection(set().union(*(each.names for each in trained)))
    counts = collections.Counter(kind for kind, _ in {name[:2] for name in names})
    pictures = [np.zeros(0, np.uint64), *(each.pictures for each in trained)]
    is_shared = np.isin(target.pictures, np.concatenate(pictures))
    identical = len(np.unique(target.clip[is_shared]))
    return Overlap(**counts, identical=identical)


@dataclasses.dataclass(frozen=True)
class _Contents:
    """The names in a split, and for each crop its clip, counted from 0, and picture digest."""

    names: frozenset[tuple[str, str, str]]
    clip: np.ndarray
    pictures: np.ndarray


def _contents(data_dir: str | os.PathLike, split: str) -> _Contents:
    return _read_contents(os.path.realpath(data_dir), split, digest(data_dir))


@functools.lru_cache(maxsize=4)
def _read_contents(data_dir: str, split: str, _: str) -> _Contents:
    # The digest is for the cache: other records, read anew.
    dataset = builder.open_dataset(data_dir)
    records, space = dataset.records(split), scope(data_dir)
    clips: dict[str, int] = {}
    names: set[tuple[str, str, str]] = set()
    clip_of = np.zeros(len(records), np.int64)
    pictures = np.zeros(len(records), np.uint64)
    with progress.Progress(f"reading {split} for leaks", len(records), unit="records") as bar:
        for row in range(len(records)):
            record = records[row]
            if record["clip"] not in clips:
                names.update(_names(record["clip"], record["origin_ids"].split(";"), space))
            clip_of[row] = clips.setdefault(record["clip"], len(clips))
            pictures[row] = picture_digest(record["image"])
            bar.update(row + 1)
    return _Contents(frozenset(names), clip_of, pictures)


def summarise(kinds: Sequence[str], leaks: Iterable[Leak]) -> tuple[Finding, ...]:
    """Returns a finding for each of `kinds`, empty or not; the first leaks are the examples."""
    by_kind: dict[str, list[Leak]] = {kind: [] for kind in kinds}
    for leak in leaks:
        by_kind[leak.kind].append(leak)
    return tuple(
        Finding(
            kind,
            len(found),
            dict(collections.Counter(leak.splits for leak in found)),
            tuple(found[:_MAX_EXAMPLES]),
        )
        for kind, found in by_kind.items()
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
    """Yields (kind, key or id, where it names one thing) of a clip; equal ones are shared."""
    yield "clip", clip, scope
    for origin in origin_ids:
        kind = origin.partition(":")[0]
        kind = kind if kind in ("identity", "video", "pair") else "origin"
        if _WITH_CORPUS.match(origin):
            yield kind, origin, ""
            yield "clip", clip, origin
        else:
            yield kind, origin, scope


def scope(data_dir: str | os.PathLike) -> str:
    """Returns a text that is equal for datasets prepared from the same clips, however cut."""
    metadata = builder.open_dataset(data_dir).metadata
    return f"{metadata['corpus']}: {metadata.get('clips') or digest(data_dir)}"


def picture_digest(image: bytes) -> int:
    """Returns 64 bits of a digest of a stored crop: chance copies are one in 10^7 of a set."""
    return int.from_bytes(hashlib.blake2b(image, digest_size=8).digest())


def audit_ids(data_dir: str | os.PathLike, rows: Iterable[tuple[str, str, Iterable[str]]]) -> Audit:
    """Returns the audit by ids alone of a dataset whose rows are (split, clip, origin ids)."""
    parts = [Part(split, number, "") for number, split in enumerate(SPLITS)]
    clips = {(SPLITS.index(split), clip): tuple(origin_ids) for split, clip, origin_ids in rows}
    leaks = shared_ids(((*place, origin_ids) for place, origin_ids in clips.items()), parts)
    settings = {"frames": 0, "faces": False}
    return Audit(digest(data_dir), settings, {"clips": len(clips)}, summarise(OF_IDS, leaks))


def rows(data_dir: str | os.PathLike) -> Iterator[tuple[str, str, list[str]]]:
    """Yields the row of every record of a dataset."""
    dataset = builder.open_dataset(data_dir)
    for split in dataset.builder.info.splits:
        source = dataset.records(split)
        for index in range(len(source)):
            record = source[index]
            yield split, record["clip"], record["origin_ids"].split(";")


def read(data_dir: str | os.PathLike) -> Audit | None:
    """Returns the audit in audit.json; None where it is missing or one of other records.

    Raises:
      UserError: the file is damaged.
    """
    path = pathlib.Path(data_dir, FILE)
    if not path.is_file():
        return None
    try:
        fields = json.loads(path.read_text())
        findings = tuple(
            Finding(**{**each, "examples": tuple(Leak(**leak) for leak in each["examples"])})
            for each in fields.pop("findings")
        )
        found = Audit(findings=findings, **fields)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is damaged: run dfjax audit {data_dir}") from error
    return found if found.dataset == digest(data_dir) else None


def require_none(data_dir: str | os.PathLike) -> None:
    """Checks that the splits of a dataset share nothing, by its audit or else by its records' ids.

    Raises:
      UserError: they do; the message names what, and what to do.
    """
    audit = read(data_dir) or audit_ids(data_dir, rows(data_dir))
    if audit.blocking:
        raise UserError(
            f"{data_dir}: {describe(audit.blocking)}: prepare it with --strict where the corpus "
            "has that, or train all the same with config.data.allow_leaks=True and report it"
        )


def describe(findings: Iterable[Finding]) -> str:
    """Returns what splits share, in a line: how many of each kind, and one of each."""
    shared = [
        f"{KINDS[finding.kind]} ({finding.count}; {finding.examples[0].describe()})"
        for finding in findings
    ]
    return f"splits share {', '.join(shared)}"


def digest(data_dir: str | os.PathLike) -> str:
    """Returns a text that changes whenever `dfjax prepare` writes other records."""
    folder = builder.dataset_dir(data_dir)
    sizes = sorted((shard.name, shard.stat().st_size) for shard in folder.iterdir())
    notes = [(folder / name).read_bytes() for name in ("dataset_info.json", "metadata.json")]
    return hashlib.sha256(repr((sizes, notes)).encode()).hexdigest()[:32]
