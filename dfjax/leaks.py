"""What the splits of a prepared dataset share: a score on such data is partly recognition.

`audit.json` beside a dataset holds an `Audit` of it:

    dataset   digest of the records that were looked at; of any others it says nothing
    settings  how it was looked: `frames` of a clip (0: ids alone), `faces`, and the limits
    seen      how much was compared: `clips` by id, `crops` by bytes, `hashed` of them for near
              duplicates (not those of one colour), and `faces`
    findings  per kind of `KINDS` that was looked for: `count`, `splits` (counts by who shares),
              and the first or closest `examples` (`shared` id, `distance`, `places` by split)
"""

import collections
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dfjax.corpora.splits import SPLITS
from dfjax.data import builder

FILE = "audit.json"

KINDS = {
    "clip": "clips by key",
    "identity": "people by id",
    "video": "source videos by id",
    "pair": "pairs by id",
    "source": "other sources by id",
    "identical": "the same pictures",
    "near_duplicate": "nearly the same pictures",
    "same_face": "faces of one person, or of look-alikes",
}
"""What splits can share. Ids are counted one by one, pictures and faces by clips."""

OF_IDS = ("clip", "identity", "video", "pair", "source")
CANDIDATES = ("same_face",)
"""Kinds that a person has to confirm: no reason to refuse a dataset."""

_MAX_EXAMPLES = 20


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
    def found(self) -> tuple[Finding, ...]:
        """What there is: the findings without those of nothing."""
        return tuple(finding for finding in self.findings if finding.count)

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """What was found and needs nobody's confirmation."""
        return tuple(finding for finding in self.found if finding.kind not in CANDIDATES)

    def write(self, data_dir: str | os.PathLike) -> None:
        """Writes audit.json, whole or not at all."""
        path = pathlib.Path(data_dir, FILE)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n")
        temporary.replace(path)


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


def shared_ids(rows: Iterable[tuple[str, str, Iterable[str]]]) -> list[Leak]:
    """Returns the clip keys and source ids that are in several splits, in order of kind and id.

    A row is (split, clip, source ids); a clip may come more than once.
    """
    places: dict[tuple[str, str], dict[str, str]] = collections.defaultdict(dict)
    for split, clip, sources in rows:
        for kind, shared in (("clip", clip), *((_kind(source), source) for source in sources)):
            where = places[kind, shared]
            where[split] = min(clip, where.get(split, clip))
    leaks = [
        Leak(kind, {split: where[split] for split in SPLITS if split in where}, shared)
        for (kind, shared), where in places.items()
        if len(where) > 1
    ]
    return sorted(leaks, key=lambda leak: (OF_IDS.index(leak.kind), leak.shared))


def _kind(source: str) -> str:
    kind = source.partition(":")[0]
    return kind if kind in ("identity", "video", "pair") else "source"


def audit_ids(data_dir: str | os.PathLike, rows: Iterable[tuple[str, str, Iterable[str]]]) -> Audit:
    """Returns the audit by ids alone of a dataset with these rows, as `shared_ids` takes them."""
    clips = {(split, clip): tuple(sources) for split, clip, sources in rows}
    leaks = shared_ids((*place, sources) for place, sources in clips.items())
    settings = {"frames": 0, "faces": False}
    return Audit(digest(data_dir), settings, {"clips": len(clips)}, summarise(OF_IDS, leaks))


def rows(data_dir: str | os.PathLike) -> Iterator[tuple[str, str, list[str]]]:
    """Yields the row of every record of a dataset."""
    dataset = builder.open_dataset(data_dir)
    for split in dataset.builder.info.splits:
        source = dataset.source(split)
        for index in range(len(source)):
            record = source[index]
            yield split, record["clip"], record["source"].split(";")


def read(data_dir: str | os.PathLike) -> Audit | None:
    """Returns the audit in audit.json; None where it is missing or one of other records.

    Raises:
      ValueError: the file is damaged.
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
        raise ValueError(f"{path} is damaged: run dfjax audit {data_dir}") from error
    return found if found.dataset == digest(data_dir) else None


def require_none(data_dir: str | os.PathLike) -> None:
    """Checks that the splits of a dataset share nothing, by its audit or else by its records' ids.

    Raises:
      ValueError: they do; the message names what, and what to do.
    """
    audit = read(data_dir) or audit_ids(data_dir, rows(data_dir))
    if audit.leaks:
        raise ValueError(
            f"{data_dir}: {describe(audit.leaks)}: prepare it with --strict where the corpus has "
            "that, or train all the same with config.data.allow_leaks=True and report it"
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
