"""What a model is trained on, pair by pair: a function of (seed, number of the pair).

A pair is a real crop and its fake, or a real crop and what is to be blended onto it. Every class
comes from a shuffled, endlessly repeated list for each dataset, or is drawn evenly by what clips
are (`Sampling.balance`). Several datasets take turns by their weights: domains before images.
Nothing is read here but what `record_index` knows.
"""

import dataclasses
import re
import sys
from collections.abc import Sequence
from typing import Any

import grain
import numpy as np

from dfjax.data import record_index
from dfjax.errors import UserError

KINDS = ("forgery", "self_blend", "cross_blend", "neighbour_blend")
"""The kinds of pairs: a number of a batch's column `kind` is a position here."""
FORGERY, SELF_BLEND, CROSS_BLEND, NEIGHBOUR_BLEND = range(len(KINDS))

_PAIRS = 2  # keeps the draws of pairs apart from those of the classes 0 and 1
_CANDIDATES = 4  # other faces of which the most alike lends itself to a blend across identities
_WITH_CORPUS = re.compile(r"(?:identity|video|archive):([^/]+)/.")


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How pairs are drawn; each field's meaning stands in dfjax/config.py.

    Attributes:
      pairing, balance: those of `config.data`.
      share, cross, neighbour: those of `config.blend`.
    """

    pairing: float = 0.0
    balance: tuple[str, ...] = ()
    share: float = 0.0
    cross: float = 0.0
    neighbour: float = 0.0

    def __post_init__(self) -> None:
        shares = {f"blend.{name}": getattr(self, name) for name in ("share", "cross", "neighbour")}
        for name, value in {"data.pairing": self.pairing, **shares}.items():
            if not 0 <= value <= 1:
                raise UserError(f"{name} is {value}: use a share from 0 to 1")
        if self.cross + self.neighbour > 1:
            raise UserError(
                f"blend.cross is {self.cross} and blend.neighbour {self.neighbour}: use shares of "
                "the blended pairs whose sum is 1 or less"
            )
        for name in self.balance:
            if name not in _BALANCES:
                choices = ", ".join(_BALANCES)
                raise UserError(f"data.balance {name!r}: use {choices}, the outermost first")


@dataclasses.dataclass(frozen=True)
class Part:
    """A split of a prepared dataset, and how often it comes beside others.

    Attributes:
      records: `builder.Records`, or another random-access sequence of records.
      index: what is known of them.
      weight: above 0; its share of the pairs is this by the sum of all weights.
    """

    records: Any
    index: record_index.Index
    weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class Pair:
    """Which records make a pair.

    Attributes:
      index: the number of the pair, from the start of training.
      kind: a position in `KINDS`.
      real: the record of the real crop.
      others: the record of the fake, or of what is blended onto the real; of several, the one whose
        landmarks are most like the real's is taken.
      aligned: whether both show the same frame in the same box, and one of them is forged.
    """

    index: int
    kind: int
    real: int
    others: tuple[int, ...]
    aligned: bool = False


def pairs_of(step: int, *, batch_size: int) -> range:
    """Returns the numbers of the pairs in the batch of a step."""
    size = batch_size // 2
    return range(step * size, (step + 1) * size)


class Pairs:
    """An endless random-access sequence of pairs; records are numbered through all parts."""

    def __init__(self, parts: Sequence[Part], sampling: Sampling, *, seed: int):
        """Reads no record.

        Raises:
          UserError: a class is missing that training needs.
        """
        self._sampling, self._seed = sampling, seed
        self.records = _Joined([part.records for part in parts])
        indices = [part.index for part in parts]
        starts, first_clips = (
            np.cumsum([0, *sizes])[:-1]
            for sizes in ([len(each) for each in indices], [len(each.clips) for each in indices])
        )
        self._clip = _chain([each.clip for each in indices], first_clips)
        self._frame = np.concatenate([each.frame for each in indices])
        self._face = np.concatenate([each.face for each in indices])
        self._partner = _chain([each.partner for each in indices], starts)
        self._original = _chain([each.original for each in indices], first_clips)
        self._identity = _codes(indices, "identity")
        self._num_fakes = int(sum(each.label.sum() for each in indices))
        self._by_clip = np.argsort(self._clip, kind="stable")
        self._reals = self._sequence(parts, starts, label=0)
        needs_fakes = sampling.share < 1
        self._fakes = self._sequence(parts, starts, label=1) if needs_fakes else None

    def __len__(self) -> int:
        return sys.maxsize

    @property
    def epoch(self) -> int:
        """How many pairs there are to one of each crop of the larger class that is drawn."""
        num_reals = len(self.records) - self._num_fakes
        return num_reals if self._fakes is None else max(num_reals, self._num_fakes)

    def __getitem__(self, index: int) -> Pair:
        rng = np.random.default_rng((self._seed, _PAIRS, index))
        if rng.random() < self._sampling.share:
            return self._blend(index, rng)
        fake = int(self._fakes[index])
        real = self._original_of(fake) if rng.random() < self._sampling.pairing else -1
        if real < 0:
            real = int(self._reals[index])
        return Pair(index, FORGERY, real, (fake,), aligned=bool(self._partner[fake] == real))

    def frames_of(self, row: int) -> np.ndarray:
        """Returns the records of the clip that a record is of, int [F]: of each frame its largest
        face, in order of frames.
        """
        rows = self._rows_of(self._clip[row])
        rows = rows[np.lexsort((self._face[rows], self._frame[rows]))]
        return rows[np.r_[True, np.diff(self._frame[rows]) != 0]]

    def names(self, index: int) -> list[str]:
        """Returns which records a pair is made of: "CLIP#FRAME#FACE"; reads them."""
        pair = self[index]
        records = [self.records[row] for row in dict.fromkeys((pair.real, *pair.others))]
        return [f"{each['clip']}#{each['frame']}#{each['face']}" for each in records]

    def _blend(self, index: int, rng: np.random.Generator) -> Pair:
        real, draw = int(self._reals[index]), rng.random()
        others: Sequence[int] = ()
        if draw < self._sampling.cross:
            kind, others = CROSS_BLEND, self._strangers(real, rng)
        elif draw < self._sampling.cross + self._sampling.neighbour:
            kind, others = NEIGHBOUR_BLEND, self._neighbours(real, rng)
        if not others:
            kind, others = SELF_BLEND, (real,)
        return Pair(index, kind, real, tuple(others))

    def _original_of(self, fake: int) -> int:
        """The partner of a fake, or the crop of its original with the nearest frame; -1: none."""
        original = self._original[self._clip[fake]]
        if self._partner[fake] >= 0 or original < 0:
            return int(self._partner[fake])
        rows = self._rows_of(original)
        rows = rows[self._face[rows] == self._face[fake]]
        if not len(rows):
            return -1
        return int(rows[np.argmin(np.abs(self._frame[rows] - self._frame[fake]))])

    def _neighbours(self, real: int, rng: np.random.Generator) -> list[int]:
        """Of the two nearest other frames of the same face in the same clip, one; [] if none."""
        rows = self._rows_of(self._clip[real])
        distance = np.abs(self._frame[rows] - self._frame[real])
        is_other = (distance > 0) & (self._face[rows] == self._face[real])
        rows = rows[is_other][np.argsort(distance[is_other], kind="stable")[:2]]
        return [int(rng.choice(rows))] if len(rows) else []

    def _strangers(self, real: int, rng: np.random.Generator) -> list[int]:
        """A few reals of other people, drawn as all reals are; [] if none of them is another's."""
        rows = [int(self._reals[int(n)]) for n in rng.integers(2**31, size=_CANDIDATES)]
        identity = self._identity[self._clip[real]]
        return [row for row in rows if self._identity[self._clip[row]] != identity]

    def _rows_of(self, clip: int) -> np.ndarray:
        begin, end = np.searchsorted(self._clip, (clip, clip + 1), sorter=self._by_clip)
        return self._by_clip[begin:end]

    def _sequence(
        self, parts: Sequence[Part], starts: np.ndarray, *, label: int
    ) -> grain.MapDataset:
        """An endless sequence of records of a class, by the weights of the parts that have it."""
        rows = [np.flatnonzero(part.index.label == label) for part in parts]
        chosen = [number for number, each in enumerate(rows) if len(each)]
        if not chosen:
            total = sum(len(part.index) for part in parts)
            missing, remedy = (
                ("real", "every pair has one: add some"),
                ("fake", "add some, or make them from reals (blend.share=1)"),
            )[label]
            raise UserError(
                f"training needs both classes, and none of {total} crops (data.train_split, "
                f"data.more) is {missing}: {remedy}"
            )
        lists = [self._list(parts[n].index, rows[n] + starts[n], rows[n], label) for n in chosen]
        return grain.MapDataset.mix(lists, [parts[n].weight for n in chosen])

    def _list(
        self, index: record_index.Index, numbers: np.ndarray, rows: np.ndarray, label: int
    ) -> grain.MapDataset:
        """The records `numbers`, which are these rows of a part, without an end."""
        if not self._sampling.balance:
            shuffled = grain.MapDataset.source(numbers).seed(2 * self._seed + label).shuffle()
            return shuffled.repeat()
        columns = [_codes([index], name)[index.clip[rows]] for name in self._sampling.balance]
        return grain.MapDataset.source(_Balanced(numbers, columns, (self._seed, label)))


class _Balanced:
    """An endless sequence of rows, drawn evenly by their columns: the first is the outermost."""

    def __init__(self, rows: np.ndarray, columns: Sequence[np.ndarray], seed: tuple[int, ...]):
        order = np.lexsort(columns[::-1])
        self._rows, self._seed = rows[order], seed
        # Sorted, every group of equal leading columns is a range. By column, where they begin.
        begins = np.zeros(len(rows), bool)
        begins[0] = True
        self._edges = []
        for column in columns:
            begins[1:] |= np.diff(column[order]) != 0
            self._edges.append(np.append(np.flatnonzero(begins), len(rows)))

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, index: int) -> int:
        rng = np.random.default_rng((*self._seed, index))
        begin, end = 0, len(self._rows)
        for edges in self._edges:
            group = rng.integers(*np.searchsorted(edges, (begin, end)))
            begin, end = edges[group], edges[group + 1]
        return int(self._rows[rng.integers(begin, end)])


class _Joined:
    """The records of several sequences, one after the other."""

    def __init__(self, sources: Sequence[Any]):
        self._sources = sources
        self._ends = np.cumsum([len(source) for source in sources])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, row: int) -> dict[str, Any]:
        number = int(np.searchsorted(self._ends, row, side="right"))
        source = self._sources[number]
        return source[int(row - self._ends[number] + len(source))]


def _chain(columns: Sequence[np.ndarray], firsts: Sequence[int]) -> np.ndarray:
    """One column of positions out of those of each part; -1 stays."""
    moved = [
        np.where(column < 0, -1, column + first)
        for column, first in zip(columns, firsts, strict=True)
    ]
    return np.concatenate(moved)


def _codes(indices: Sequence[record_index.Index], balance: str) -> np.ndarray:
    """A number for each clip of all parts, equal where `balance` of the clips is."""
    names = [
        _BALANCES[balance](number, *row)
        for number, index in enumerate(indices)
        for row in zip(
            index.clips.tolist(), index.methods.tolist(), index.origin_ids.tolist(), strict=True
        )
    ]
    return np.unique(names, return_inverse=True)[1]


def _corpus(part: int, clip: str, method: str, origin_ids: str) -> str:
    """What the first id names, or else the folder that the clip comes from."""
    named = _WITH_CORPUS.match(origin_ids)
    return named[1] if named else clip.partition("/")[0]


def _method(part: int, clip: str, method: str, origin_ids: str) -> str:
    return method


def _identity(part: int, clip: str, method: str, origin_ids: str) -> str:
    """The first id of a person, or else the first; the same text elsewhere may be another's."""
    ids = origin_ids.split(";")
    first = next((each for each in ids if each.startswith("identity:")), ids[0])
    return first if _WITH_CORPUS.match(first) else f"{part}:{first}"


_BALANCES = {"corpus": _corpus, "method": _method, "identity": _identity}
"""By the name of a balance, what is equal for clips that are one: a function of the part's number
and of key, method and ids of a clip."""
