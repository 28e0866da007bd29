"""Fits a `Decision` to validation files: the limits that keep the promised error rates.

The rule that is fitted is the one that judges files (`verdict.judge`): limits depend on the usable
faces of a track and on the number of tracks. How they depend on the number of faces is learnt from
random subsets of each track's scores. That takes the noise of a frame as independent of the other
frames', given the clip; the frames of a file are far apart. Then all limits move together until the
rates hold on the files themselves, whatever their scores.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dfjax import logistic, pooling
from dfjax.errors import UserError
from dfjax.metrics import thresholds
from dfjax.model_card import Decision, Limits

_FRAMES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_SUBSETS = 32  # of each track, for each number of frames
_RESAMPLES = 200  # of the clips, for the interval of the threshold


@dataclasses.dataclass(frozen=True)
class Tracks:
    """The tracks of files that have as many usable faces as a verdict needs.

    Attributes:
      scores: for each track the scores of its usable faces, float [n].
      weights: for each track how much these count in its score, float [n].
      file: int [T], the file of each track, 0 to F - 1; every file has a track.
      label: int [F], 0 real, 1 fake.
      clip: int [F]; files of one number are resampled together.
    """

    scores: Sequence[np.ndarray]
    weights: Sequence[np.ndarray]
    file: np.ndarray
    label: np.ndarray
    clip: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """The score of each track, float64 [T]."""
        return np.array(
            [pooling.mean(*each) for each in zip(self.scores, self.weights, strict=True)]
        )

    @property
    def num_frames(self) -> np.ndarray:
        """The usable faces of each track, int [T]."""
        return np.array([len(scores) for scores in self.scores])


def fit_decision(tracks: Tracks, error_rate: float, *, min_frames: int = 1) -> Decision:
    """Returns a decision that calls `error_rate` of the reals fake at most, and of the fakes real.

    Within that it leaves undecided as little as it can: with one face in each file its limits are
    those of `thresholds.choose_band`. `min_frames` is the smallest number of usable faces that
    tracks are judged by, also later.

    Raises:
      UserError: `error_rate` is not between 0 and 0.5, or a class is missing.
    """
    require_error_rate(error_rate)
    mean = tracks.mean
    file_score = np.full(len(tracks.label), -np.inf)
    np.maximum.at(file_score, tracks.file, mean)
    threshold = thresholds.choose_threshold(tracks.label, file_score)
    decision = Decision(
        error_rate=error_rate,
        threshold=threshold,
        threshold_interval=_interval(tracks, file_score),
        limits=_fit_limits(tracks, mean, file_score, error_rate, min_frames),
        fitted_on={
            "real": int((tracks.label == 0).sum()),
            "fake": int((tracks.label == 1).sum()),
            "frames": int(np.median(tracks.num_frames)),
        },
    )
    decision = _hold_rates(decision, tracks, mean)
    longest = decision.limits[-1]
    return dataclasses.replace(
        decision,
        threshold=_between(threshold, longest.low, longest.high),
        limits=tuple(_part_by(threshold, limits) for limits in decision.limits),
    )


def require_error_rate(error_rate: float) -> None:
    """Checks that decisions can be fitted to this error rate.

    Raises:
      UserError: it is not between 0 and 0.5.
    """
    if not 0.0 < error_rate < 0.5:
        raise UserError(f"eval.abstain_error_rate {error_rate}: use one between 0 and 0.5")


def _fit_limits(
    tracks: Tracks, mean: np.ndarray, file_score: np.ndarray, error_rate: float, min_frames: int
) -> tuple[Limits, ...]:
    """Limits for rising numbers of frames, as random subsets of the tracks show them."""
    # Not every face of a fake file is fake: its most suspicious track stands for it.
    label = tracks.label[tracks.file]
    chosen = np.flatnonzero((label == 0) | (mean == file_score[tracks.file]))
    label, num_frames = label[chosen], tracks.num_frames[chosen]
    num_subsets = _SUBSETS if num_frames.max() > 1 else 1
    limits: list[Limits] = []
    for count in reversed(_fitting_counts(label, num_frames, min_frames)):
        long_enough = num_frames >= count
        drawn = np.concatenate(
            [
                _subset_means(tracks.scores[i], tracks.weights[i], count, num_subsets)
                for i in chosen[long_enough]
            ]
        )
        drawn_label = np.repeat(label[long_enough], num_subsets)
        low, high = thresholds.choose_band(drawn_label, drawn, error_rate)
        if limits:  # fewer frames are never judged with more confidence
            low, high = min(low, limits[-1].low), max(high, limits[-1].high)
        limits.append(Limits(count, low, high, _spread(drawn[drawn_label == 0], high, error_rate)))
    return tuple(reversed(limits))


def _spread(reals: np.ndarray, high: float, error_rate: float) -> float:
    """The standard deviation of the logits of reals, or what their tail shows if that is more."""
    logit = logistic.to_logit(reals)
    tail = logistic.to_logit(high) - np.median(logit)
    return float(max(logit.std(), tail / logistic.normal_quantile(1 - error_rate)))


def _fitting_counts(label: np.ndarray, num_frames: np.ndarray, min_frames: int) -> list[int]:
    """`min_frames`, and the larger numbers that at least half of the tracks of each class reach."""
    most = min(np.median(num_frames[label == value]) for value in (0, 1))
    return [min_frames, *(count for count in _FRAMES if min_frames < count <= most)]


def _subset_means(
    scores: np.ndarray, weights: np.ndarray, count: int, num_subsets: int
) -> np.ndarray:
    """The means of random subsets of `count` of the scores, the same ones every time."""
    rows = np.tile(np.arange(len(scores)), (num_subsets, 1))
    drawn = np.random.default_rng(count).permuted(rows, axis=1)[:, :count]
    return pooling.mean(scores[drawn], weights[drawn])


def _hold_rates(decision: Decision, tracks: Tracks, mean: np.ndarray) -> Decision:
    """Moves the limits to where the rates just hold on the files: all by one distance each way."""
    low, high = _bounds(decision, tracks)
    logit = logistic.to_logit(mean)
    # A file is called fake by one track that reaches `high`, and real by none that reaches `low`.
    over = _largest(logit - logistic.to_logit(high), tracks)[tracks.label == 0]
    under = _largest(logit - logistic.to_logit(low), tracks)[tracks.label == 1]
    up = np.sort(over)[::-1][int(decision.error_rate * len(over))]
    down = np.sort(under)[int(decision.error_rate * len(under))]
    limits = [
        dataclasses.replace(each, low=_shift(each.low, down), high=_shift(each.high, up))
        for each in decision.limits
    ]
    decision = dataclasses.replace(decision, limits=tuple(limits))
    # What is left are files at a limit, by rounding, and scores of 0 and 1, which cannot be passed.
    while (repaired := _repair(decision, tracks, mean)) != decision:
        decision = repaired
    return decision


def _repair(decision: Decision, tracks: Tracks, mean: np.ndarray) -> Decision:
    """The same decision with the rates held on one more file of each class that breaks them."""
    low, high = _bounds(decision, tracks)
    row = np.searchsorted([each.frames for each in decision.limits], tracks.num_frames, "right") - 1
    limits = list(decision.limits)
    fake_calls = _largest(mean >= high, tracks) & (tracks.label == 0)
    if fake_calls.sum() > int(decision.error_rate * (tracks.label == 0).sum()):
        reaching = fake_calls[tracks.file] & (mean >= high)
        one = tracks.file[np.flatnonzero(reaching)[mean[reaching].argmin()]]
        for track in np.flatnonzero(reaching & (tracks.file == one)):
            for i in range(row[track] + 1):  # fewer frames are never judged with more confidence
                above = max(limits[i].high, float(np.nextafter(mean[track], np.inf)))
                limits[i] = dataclasses.replace(limits[i], high=above)
    real_calls = ~_largest(mean >= low, tracks) & (tracks.label == 1)
    if real_calls.sum() > int(decision.error_rate * (tracks.label == 1).sum()):
        missing = np.flatnonzero(real_calls[tracks.file])
        track = missing[mean[missing].argmax()]
        for i in range(row[track] + 1):
            below = min(limits[i].low, float(mean[track]))
            limits[i] = dataclasses.replace(limits[i], low=below)
    return dataclasses.replace(decision, limits=tuple(limits))


def _bounds(decision: Decision, tracks: Tracks) -> tuple[np.ndarray, np.ndarray]:
    """What the score of each track is compared with, float64 [T] each."""
    num_tracks = np.bincount(tracks.file)[tracks.file]
    cases, case_of = np.unique(
        np.stack([tracks.num_frames, num_tracks]), axis=1, return_inverse=True
    )
    bounds = np.array([decision.bounds(*case) for case in cases.T.tolist()])
    return tuple(bounds[case_of.ravel()].T)


def _largest(values: np.ndarray, tracks: Tracks) -> np.ndarray:
    """The largest of the values [T] in each file, [F]."""
    largest = np.full(len(tracks.label), values.min())
    np.maximum.at(largest, tracks.file, values)
    return largest


def _shift(score: float, distance: float) -> float:
    """A score moved by a distance of logits; one that stands right stays what it is, to the bit."""
    if abs(distance) < 1e-9:
        return score
    return float(logistic.to_score(logistic.to_logit(score) + distance))


def _part_by(threshold: float, limits: Limits) -> Limits:
    """Limits that leave nothing undecided where both rates hold with one limit."""
    if limits.low < limits.high:
        return limits
    at = _between(threshold, limits.high, limits.low)
    return dataclasses.replace(limits, low=at, high=at)


def _between(value: float, one: float, other: float) -> float:
    return min(max(value, min(one, other)), max(one, other))


def _interval(tracks: Tracks, file_score: np.ndarray) -> tuple[float, float]:
    """Of 95 % of the thresholds that resampled clips would choose (the percentile bootstrap)."""
    rng = np.random.default_rng(0)
    clips, clip = np.unique(tracks.clip, return_inverse=True)
    num_clips = len(clips)
    score, rank = np.unique(-file_score, return_inverse=True)
    score = -score  # falling
    chosen = []
    for _ in range(_RESAMPLES):
        drawn = rng.integers(0, num_clips, num_clips)
        weight = np.bincount(drawn, minlength=num_clips)[clip]
        fake, real = weight * (tracks.label == 1), weight * (tracks.label == 0)
        if fake.any() and real.any():
            # What `thresholds.choose_threshold` maximises, for a threshold at each score.
            gain = np.bincount(rank, fake / fake.sum() - real / real.sum())
            best = int(np.cumsum(gain).argmax())
            chosen.append(score[best : best + 2].mean())
    low, high = np.quantile(chosen, (0.025, 0.975)) if chosen else (0.0, 1.0)
    return float(low), float(high)
