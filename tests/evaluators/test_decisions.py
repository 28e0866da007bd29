"""What a decision promises holds: on the scores it was fitted to, and on files of other sizes."""

import itertools

import numpy as np
import pytest

from dfjax import logistic, model_card
from dfjax.evaluators import decisions
from dfjax.metrics import calibration, thresholds


def single_faces(label, score) -> decisions.Tracks:
    """Files of one face each."""
    files = np.arange(len(label))
    score = np.asarray(score, float)[:, None]
    return decisions.Tracks(score, np.ones_like(score), files, np.asarray(label), files)


def calls(decision: model_card.Decision, tracks: decisions.Tracks) -> np.ndarray:
    """The label of every file, by the rule of `verdict.judge`."""
    num_tracks = np.bincount(tracks.file)
    labels = [set() for _ in tracks.label]
    for file, score, frames in zip(tracks.file, tracks.mean, tracks.num_frames, strict=True):
        labels[file].add(decision.decide(score, int(frames), int(num_tracks[file])))
    by_suspicion = ("fake", "inconclusive", "real")
    return np.array([next(each for each in by_suspicion if each in found) for found in labels])


def num_wrong(found: np.ndarray, label: np.ndarray) -> tuple[int, int]:
    """(reals called fake, fakes called real)."""
    return int((found[label == 0] == "fake").sum()), int((found[label == 1] == "real").sum())


def random_validation(rng) -> tuple[np.ndarray, np.ndarray]:
    """Scores of 20 to 200 examples of each class: apart or not, with outliers, ties, 0 and 1."""
    num = rng.integers(20, 201, 2)
    label = np.repeat([0, 1], num)
    logit = rng.normal(size=num.sum()) + rng.uniform(0, 8) * (label - 0.5)
    outliers = rng.random(len(label)) < rng.choice([0, 0.02, 0.1])
    logit = np.where(outliers, -3 * logit, logit) * rng.choice([0.3, 1.0, 20.0])
    score = logistic.to_score(logit)
    return label, np.round(score, 1) if rng.random() < 0.2 else score


def test_no_set_of_scores_breaks_a_rate_or_leaves_more_undecided_than_its_band(monkeypatch):
    monkeypatch.setattr(decisions, "_RESAMPLES", 1)  # the interval is not looked at
    rng, num_empty = np.random.default_rng(0), 0
    for _ in range(3_000):
        label, score = random_validation(rng)
        decision = decisions.fit_decision(single_faces(label, score), 0.05)
        found = np.array([decision.decide(each) for each in score.tolist()])
        false_alarms, misses = num_wrong(found, label)
        assert false_alarms <= 0.05 * (label == 0).sum()
        assert misses <= 0.05 * (label == 1).sum()
        low, high = thresholds.choose_band(label, score, 0.05)
        num_empty += low >= high
        assert (found == "inconclusive").sum() <= ((low <= score) & (score < high)).sum()
        # A forced verdict by the threshold agrees with every verdict that was given.
        forced = np.where(score >= decision.threshold, "fake", "real")
        assert (forced == found)[found != "inconclusive"].all()
    assert 500 < num_empty < 2_500  # both kinds of bands were seen


def random_files(rng, label, *, people=(1, 4), frames=(3, 33)) -> decisions.Tracks:
    """Files of several people, of whom one is fake in a fake file; see `make_files`."""
    scores, file = [], []
    for number, each in enumerate(label):
        for person in range(rng.integers(*people)):
            mean = 1.5 * (1 if each and person == 0 else -1) + rng.normal()
            logit = mean + 1.5 * rng.normal(size=rng.integers(*frames))
            scores.append(logistic.to_score(logit))
            file.append(number)
    weights = [np.ones(len(each)) for each in scores]
    return decisions.Tracks(scores, weights, np.array(file), label, np.arange(len(label)))


@pytest.mark.parametrize("seed", range(8))
def test_rates_hold_on_the_files_of_several_tracks_they_were_fitted_to(seed):
    rng = np.random.default_rng(seed)
    label = (np.arange(rng.integers(40, 120)) % 2).astype(int)
    tracks = random_files(rng, label)
    decision = decisions.fit_decision(tracks, 0.05, min_frames=3)
    false_alarms, misses = num_wrong(calls(decision, tracks), label)
    assert false_alarms <= 0.05 * (label == 0).sum()
    assert misses <= 0.05 * (label == 1).sum()
    # As tight as that: the limits moved a little further in would break a rate.
    inwards = [
        model_card.Limits(each.frames, each.low * 1.1, each.high / 1.1, each.real_spread)
        for each in decision.limits
    ]
    tighter = model_card.Decision(0.05, 0.5, (0, 1), tuple(inwards), {})
    more = num_wrong(calls(tighter, tracks), label)
    assert more[0] > 0.05 * (label == 0).sum() or more[1] > 0.05 * (label == 1).sum()


def test_fewer_frames_are_never_judged_with_more_confidence():
    rng = np.random.default_rng(0)
    tracks = random_files(rng, np.arange(300) % 2)
    limits = decisions.fit_decision(tracks, 0.05, min_frames=3).limits
    assert [each.frames for each in limits] == [3, 4, 6, 8, 12]
    assert all(a.low <= b.low and a.high >= b.high for a, b in itertools.pairwise(limits))
    assert limits[0].low < limits[-1].low
    assert limits[0].high > limits[-1].high


class Simulation:
    """Files whose frames have logits of a clip plus noise of their own.

    Clips are spread by 1, the frames of a clip independently by 1.5; fakes lie 3 above reals. Only
    the means of tracks are drawn out, from the mean of the frames' scores as a verdict takes it.
    """

    def __init__(self, seed: int, temperature: float):
        self._rng, self._temperature = np.random.default_rng(seed), temperature

    def logits(self, mean: float, *shape: int) -> np.ndarray:
        """Logits [..., frames] of tracks [...]."""
        clip = mean + self._rng.normal(size=(*shape[:-1], 1))
        return clip + 1.5 * self._rng.normal(size=shape)

    def files(self, label: int, count: int, people: int, frames: int) -> np.ndarray:
        """The scores of the tracks of `count` files, [count, people]."""
        logits = self.logits(-1.5, count, people, frames)
        if label:
            logits[:, 0] += 3.0
        return logistic.to_score(logits, self._temperature).mean(-1)


@pytest.fixture(scope="module")
def fitted():
    """(the simulation, the decision fitted to 4,000 clips of one person and 32 frames)."""
    first = Simulation(0, 1.0)
    logits = np.concatenate([first.logits(mean, 2_000, 32) for mean in (-1.5, 1.5)])
    label = np.repeat([0, 1], 2_000)
    temperature = calibration.fit_temperature(np.repeat(label, 32), logits.ravel())
    scores = logistic.to_score(logits, temperature)
    files = np.arange(len(label))
    tracks = decisions.Tracks(list(scores), np.ones_like(scores), files, label, files)
    return Simulation(1, temperature), decisions.fit_decision(tracks, 0.05, min_frames=3)


@pytest.mark.parametrize("people", [1, 2, 3, 5])
def test_false_alarms_stay_within_the_rate_for_any_number_of_people_and_frames(fitted, people):
    simulation, decision = fitted
    rates = {}
    for frames in (3, 4, 5, 8, 16, 32):
        scores = simulation.files(0, 20_000, people, frames)
        _, high = decision.bounds(frames, people)
        rates[frames] = float((scores >= high).any(1).mean())
    assert max(rates.values()) <= 0.05 + 0.01, rates


def test_detection_of_one_person_in_many_frames_costs_nothing(fitted):
    simulation, decision = fitted
    scores = simulation.files(1, 20_000, 1, 32)
    # The rule of one limit for everything: as many reals of this kind above it as the rate allows.
    reals = simulation.files(0, 20_000, 1, 32)
    before = float((scores >= np.quantile(reals, 0.95)).mean())
    low, high = decision.bounds(32, 1)
    assert float((scores >= high).mean()) >= before - 0.03
    assert float((scores < low).mean()) <= 0.05 + 0.01


def test_the_threshold_s_interval_covers_what_other_draws_choose():
    rng = np.random.default_rng(0)

    def draw():
        label = np.arange(60) % 2
        return label, logistic.to_score(rng.normal(size=60) + 2 * label - 1)

    inside = 0
    for _ in range(40):
        decision = decisions.fit_decision(single_faces(*draw()), 0.05)
        low, high = decision.threshold_interval
        inside += low <= thresholds.choose_threshold(*draw()) <= high
    assert inside >= 28  # wide enough to say how little 60 scores say


@pytest.mark.parametrize("rate", [0.0, 0.5, -0.1])
def test_rate_out_of_range_is_named(rate):
    with pytest.raises(ValueError, match=r"use one between 0 and 0\.5"):
        decisions.fit_decision(single_faces([0, 1], [0.1, 0.9]), rate)
