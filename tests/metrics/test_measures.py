"""All metrics at once, and of resamples: the same as one by one, on the resampled rows."""

import dataclasses
import statistics

import numpy as np
import pytest
from scipy import sparse

from dfjax.metrics import bootstrap, calibration, curves, measures, ranking, thresholds
from dfjax.metrics.measures import EVERYTHING, Sample
from tests.metrics import samples

THRESHOLD = 0.4


def make_sample(label: np.ndarray, score: np.ndarray, rows_of_cluster: int = 3) -> Sample:
    """Two methods by turns; the raw scores are further from 0.5."""
    names = np.array(["swap", "splice"])[np.arange(len(label)) % 2]
    method = np.where(label == 1, names, "real").astype(object)
    raw = np.clip(1.5 * score - 0.25, 0, 1)
    return Sample(label, score, raw, method, 7 * (np.arange(len(label)) // rows_of_cluster))


def one_by_one(sample: Sample) -> dict[str, float]:
    """The metrics by the functions for one each."""
    label, score, raw = sample.label, sample.score, sample.raw
    at_rates = {
        f"tpr_at_fpr_{rate:g}": ranking.tpr_at_fpr(label, score, rate)
        for rate in (0.001, 0.01, 0.05)
    }
    return {
        "auc": ranking.auc(label, score),
        "ap": ranking.average_precision(label, score),
        "eer": ranking.eer(label, score),
        **at_rates,
        "log_loss": calibration.log_loss(label, raw),
        "brier": calibration.brier(label, raw),
        "ece": calibration.ece(label, raw),
        "log_loss_calibrated": calibration.log_loss(label, score),
        "brier_calibrated": calibration.brier(label, score),
        "ece_calibrated": calibration.ece(label, score),
        **thresholds.threshold_metrics(label, score, THRESHOLD),
    }


@pytest.mark.parametrize("kind", samples.KINDS)
def test_all_metrics_are_those_of_one_each(kind):
    sample = make_sample(*samples.KINDS[kind])
    found = measures.measure(sample, THRESHOLD)
    assert tuple(found.metrics) == measures.NAMES
    assert found.metrics == pytest.approx(one_by_one(sample), abs=1e-12, nan_ok=True)
    expected = thresholds.threshold_metrics(sample.label, sample.score, 0.5)
    assert found.at_half == pytest.approx(expected, abs=1e-12, nan_ok=True)


def _drawn(sample: Sample, draws: int) -> list[np.ndarray]:
    """The rows of each resample, cluster by cluster."""
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(sample.cluster == cluster) for cluster in np.unique(sample.cluster)]
    drawn = (rng.integers(len(rows), size=len(rows), dtype=np.int32) for _ in range(draws))
    return [np.concatenate([rows[cluster] for cluster in each]) for each in drawn]


@pytest.mark.parametrize("kind", ["random", "tied", "apart"])
def test_a_resample_has_the_metrics_of_its_rows(kind, monkeypatch):
    monkeypatch.setattr(bootstrap, "_BLOCK", 1_500)  # several blocks
    sample = make_sample(*samples.KINDS[kind])
    found = measures.resample(sample, THRESHOLD, draws=6)
    assert set(found) == {EVERYTHING, "swap", "splice"}
    for number, rows in enumerate(_drawn(sample, 6)):
        resampled = sample.rows(rows)
        parts = {EVERYTHING: resampled} | {m: resampled.of_method(m) for m in ("swap", "splice")}
        for name, part in parts.items():
            values = {metric: each[number] for metric, each in found[name].metrics.items()}
            if part.has_both_classes:
                assert values == pytest.approx(one_by_one(part), abs=1e-9, nan_ok=True)
                ranked = ranking.Ranked.of(part.label, part.score)
                np.testing.assert_allclose(found[name].roc[:, number], curves.roc(ranked))
            else:
                assert np.isnan(list(values.values())).all()


def test_many_scores_are_ranked_by_quantiles_that_keep_every_metric():
    label, score = samples.random_scores(0, 60_000)
    sample = make_sample(label, score, rows_of_cluster=60)
    exact = measures.resample(dataclasses.replace(sample, score=score.round(3)), 0.4, 40)
    found = measures.resample(sample, 0.4, 40)
    for name in ranking.NAMES:
        shift = np.abs(found[EVERYTHING].metrics[name] - exact[EVERYTHING].metrics[name])
        spread = found[EVERYTHING].metrics[name].std()
        assert shift.max() < max(1e-3, spread), name


def _auc_interval(
    label: np.ndarray, score: np.ndarray, clip: np.ndarray, seed: int
) -> tuple[float, float]:
    rank = np.argsort(np.argsort(-score))
    places = label * len(label) + rank, clip
    table = sparse.coo_array((np.ones(len(label)), places), (2 * len(label), clip.max() + 1))
    (sums,) = bootstrap.sums(table.tocsr(), draws=300, seed=seed)
    return bootstrap.interval(ranking.Ranked(*np.split(sums, 2)).auc())


def test_intervals_of_an_auc_cover_the_truth():
    """Of 2,000 sets of 60 clips of each class, two frames each, whose scores share an effect."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 120)
    clip = np.arange(len(label)) // 2
    # Effect and noise are normal, with a variance of 1/2 each; so is the difference of two scores.
    truth = statistics.NormalDist().cdf(1 / np.sqrt(2))
    covered = 0
    for seed in range(2_000):
        effect, noise = rng.normal(0, np.sqrt(0.5), (2, len(label)))
        low, high = _auc_interval(label, label + effect[clip] + noise, clip, seed)
        covered += low <= truth <= high
    assert 0.93 <= covered / 2_000 <= 0.97
