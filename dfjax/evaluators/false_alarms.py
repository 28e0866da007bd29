"""How often files of several real faces are called fake by the rule that judges a user's files.

Prepared data have mostly one face in a file, and a false alarm of any track is one of its file. So
files of more faces are put together from the tracks of real clips: see `MODEL`.
"""

import dataclasses
from typing import Any

import numpy as np

from dfjax import pooling
from dfjax.evaluators import score_table
from dfjax.evaluators.score_table import ScoreTable
from dfjax.model_card import LABELS, Decision, ModelCard

FACES = (1, 3, 5)
MODEL = (
    "simulated files: each face is one whole track of a real clip, drawn with replacement and "
    "every clip as likely as another, so that the frames of a face depend on each other as they do "
    "in its clip; the faces of a file are independent of each other. Faces that share a camera or "
    "a compression depend on each other, and then raise fewer false alarms than this"
)

_FILES = 20_000  # for a value
_DRAWS = 500  # of the clips, for an interval
_FILES_OF_DRAW = 2_000
_LEVEL = 0.95
_UNJUDGED, _REAL, _INCONCLUSIVE, _FAKE = range(-1, 3)  # places in `verdict.BY_SUSPICION`, or below


def measure(table: ScoreTable, card: ModelCard, rng: np.random.Generator) -> dict[str, Any] | None:
    """Returns what becomes of simulated files of `FACES` faces, by the decision of the card.

    The scores of the table are after the card's temperature. The keys: `model` (the text above),
    `kind` ("video", or "image" where there is no real video), `clips` (the numbers of `real` and
    `fake` ones that show a face), and `faces`, a row for each number of `faces` in a file, with
    rates as {"value", "low", "high"}:

        false_alarm  the share of the files of real faces that are called fake
        one_limit    the same if each face had the limits of a file of one face
        coverage     the share of the files of real faces that get a verdict
        detected     the share of the files of one fake face, the others real, that are called fake;
                     absent without fakes

    Intervals hold 95 % of the rates of resampled clips. None: no real clip shows a face.
    """
    by_kind = {kind: _Tracks.of(table.faces, kind, card) for kind in ("video", "image")}
    kind = next((kind for kind, tracks in by_kind.items() if len(tracks.clips[0])), None)
    if kind is None:
        return None
    tracks = by_kind[kind]
    return {
        "model": MODEL,
        "kind": kind,
        "clips": {name: len(clips) for name, clips in zip(LABELS, tracks.clips, strict=True)},
        "faces": [{"faces": count, **_rates(tracks, count, rng)} for count in FACES],
    }


@dataclasses.dataclass(frozen=True)
class _Tracks:
    """The T tracks of the C clips of one kind, in order of their clips.

    Attributes:
      is_judged: bool [T]; others have too few usable faces, and do not count beside one that is.
      outcome: int [max(FACES), T]; what is said of a judged track, as its place in
        `verdict.BY_SUSPICION`, in row m - 1 if m tracks of its file are judged.
      first, count: int [C]; the first track of each clip, and how many stand for it. Not every face
        of a fake is fake: its most suspicious one, which is the first, stands for it.
      clips: the numbers of the real clips, and of the fake ones.
    """

    is_judged: np.ndarray
    outcome: np.ndarray
    first: np.ndarray
    count: np.ndarray
    clips: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, faces: ScoreTable, kind: str, card: ModelCard) -> "_Tracks":
        """The tracks of the clips of `kind`: "video", or "image" for those of one frame."""
        faces = faces.rows(_is_video(faces) == (kind == "video"))
        _, clip = score_table.factorize(faces.clip)
        key = clip * (faces.track.max(initial=0) + 1) + faces.track
        _, row, track = np.unique(key, return_index=True, return_inverse=True)
        usable = np.asarray(faces.extra.get("quality", np.full(len(faces), "")) == "", float)
        num_frames = np.bincount(track, usable, minlength=len(row)).astype(int)
        weight = usable * faces.weight
        total = np.bincount(track, weight * faces.score, minlength=len(row))
        weight = np.bincount(track, weight, minlength=len(row))
        score = np.divide(total, weight, out=np.zeros(len(row)), where=weight > 0)
        length = card.min_video_frames if kind == "video" else 1
        is_judged = num_frames >= length
        peak = _peaks(faces.rows(usable > 0), track[usable > 0], len(row), length)
        order = np.lexsort((-score, ~is_judged, clip[row]))
        _, first, count = np.unique(clip[row], return_index=True, return_counts=True)
        label = faces.label[row][first]
        decision = card.decision(kind)
        return cls(
            is_judged[order],
            _outcome(score[order], num_frames[order], peak[order], decision, length),
            first,
            np.where(label == 0, count, 1),
            (np.flatnonzero(label == 0), np.flatnonzero(label == 1)),
        )

    def draw(
        self, clips: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator
    ) -> np.ndarray:
        """A track of any of the clips, int `shape`."""
        clip = clips[rng.integers(0, len(clips), shape)]
        return self.first[clip] + rng.integers(0, self.count[clip])

    def judge(self, files: np.ndarray, num_limits: int | None = None) -> np.ndarray:
        """The places of the verdicts on files of these tracks, [F] of [F, k] (`verdict.judge`).

        Their limits are those for `num_limits` tracks; None: for as many as are judged.
        """
        is_judged = self.is_judged[files]
        num_judged = is_judged.sum(1)
        row = np.maximum(num_judged, 1) if num_limits is None else np.array([num_limits])
        outcome = np.where(is_judged, self.outcome[row[:, None] - 1, files], _UNJUDGED).max(1)
        return np.where(num_judged > 0, outcome, _INCONCLUSIVE)


def _is_video(faces: ScoreTable) -> np.ndarray:
    """Whether the clip of each face has faces in several frames, bool [N]."""
    clips, clip = score_table.factorize(faces.clip)
    one = np.empty(len(clips), int)
    one[clip] = faces.frame
    is_video = np.zeros(len(clips), bool)
    is_video[clip[faces.frame != one[clip]]] = True
    return is_video[clip]


def _peaks(faces: ScoreTable, track: np.ndarray, num_tracks: int, length: int) -> np.ndarray:
    """The largest mean of `length` usable faces in a row of each track, [T]; else -infinity."""
    peak = np.full(num_tracks, -np.inf)
    order = np.lexsort((faces.frame, track))
    starts = np.flatnonzero(np.diff(track[order])) + 1
    for rows in np.split(order, starts):
        if len(rows) >= 2 * length:
            peak[track[rows[0]]] = pooling.running_means(
                faces.score[rows], faces.weight[rows], length
            ).max()
    return peak


def _outcome(
    score: np.ndarray, num_frames: np.ndarray, peak: np.ndarray, decision: Decision, length: int
) -> np.ndarray:
    """What is said of tracks [T] in files of 1 to max(FACES): [max(FACES), T]."""
    counts, count_of = np.unique(num_frames, return_inverse=True)
    limits = np.array(
        [
            [(*decision.bounds(n, m), decision.moment_limit(n, length, m)) for n in counts]
            for m in range(1, max(FACES) + 1)
        ]
    )
    low, high, moment = np.moveaxis(limits.reshape(max(FACES), -1, 3)[:, count_of], 2, 0)
    is_real = (score < low) & (peak < moment)
    return np.where(score >= high, _FAKE, np.where(is_real, _REAL, _INCONCLUSIVE))


def _rates(
    tracks: _Tracks, count: int, rng: np.random.Generator
) -> dict[str, dict[str, float] | None]:
    """The rates of files of `count` faces, with intervals."""
    values = _simulate(tracks, tracks.clips, count, _FILES, rng)
    draws = []
    for _ in range(_DRAWS):
        clips = tuple(each[rng.integers(0, max(1, len(each)), len(each))] for each in tracks.clips)
        draws.append(_simulate(tracks, clips, count, _FILES_OF_DRAW, rng))
    edges = (1 - _LEVEL) / 2, (1 + _LEVEL) / 2
    low, high = np.quantile([list(each.values()) for each in draws], edges, axis=0)
    rows = zip(values.items(), low.tolist(), high.tolist(), strict=True)
    return {name: {"value": value, "low": a, "high": b} for (name, value), a, b in rows}


def _simulate(
    tracks: _Tracks,
    clips: tuple[np.ndarray, np.ndarray],
    count: int,
    num_files: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """The rates among random files of `count` faces of these real and fake clips."""
    real, fake = clips
    files = tracks.draw(real, (num_files, count), rng)
    said = tracks.judge(files)
    rates = {
        "false_alarm": (said == _FAKE).mean(),
        "one_limit": (tracks.judge(files, num_limits=1) == _FAKE).mean(),
        "coverage": (said != _INCONCLUSIVE).mean(),
    }
    if len(fake):
        files[:, 0] = tracks.draw(fake, (num_files,), rng)
        rates["detected"] = (tracks.judge(files) == _FAKE).mean()
    return {name: float(rate) for name, rate in rates.items()}
