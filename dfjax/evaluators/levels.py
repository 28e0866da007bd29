"""The metrics of a score table as JSON: of crops ("frame") and of videos ("video")."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from dfjax import logistic
from dfjax.corpora.clip import LABELS
from dfjax.evaluators import score_table, video
from dfjax.evaluators.score_table import ScoreTable
from dfjax.metrics import bootstrap, calibration, curves, measures, ranking, thresholds
from dfjax.metrics.measures import EVERYTHING, Measured, Sample

NAMES = ("frame", "video")
WITHOUT_CARD = "0.5 (no card)"
CLIPS = "clips"  # what is resampled where no identity is known
MISSING_SCORE = 0.5  # of a clip without a face, where it is not dropped

_HISTOGRAM_BINS = 40
_IDENTITIES = ("identity", "source")  # columns that say whom or what a clip shows


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """The thresholds of the levels, chosen before these scores were seen.

    Attributes:
      frame, video: P(fake) from which on something is called fake.
      source: where they come from.
    """

    frame: float = 0.5
    video: float = 0.5
    source: str = WITHOUT_CARD


def measure(
    table: ScoreTable, limits: Thresholds, draws: int = bootstrap.DRAWS
) -> dict[str, dict[str, Any]]:
    """Returns the metrics of either level as JSON, with intervals of `draws` resamples.

    A level that lacks a class has its counts and a note. Numbers that do not exist are None.
    """
    resampled, cluster = clusters(table)
    interval = {"level": bootstrap.LEVEL, "resampled": resampled, "draws": draws}
    sample = samples(table, cluster)
    found = {
        name: _level(sample[name], getattr(limits, name), limits.source, interval) for name in NAMES
    }
    if sample["video"].has_both_classes:
        found["video"] |= _other_rules(table, sample["video"], interval)
        missing = _with_missing(sample["video"], table, cluster)
        dropped = found["video"]["metrics"]
        half = _metrics(missing, limits.video, interval) if missing else dropped
        found["video"]["missing_faces"] = {"dropped": dropped, "half": half}
    if resampled != CLIPS:
        for name, each in samples(table, score_table.factorize(table.clip)[1]).items():
            if each.has_both_classes:
                found[name]["over_clips"] = _metrics(each, getattr(limits, name), interval)
    return found


def samples(table: ScoreTable, cluster: np.ndarray | None = None) -> dict[str, Sample]:
    """Returns the scores of the crops, "frame", and of the videos, "video".

    `cluster` is the number of each row's cluster, int [N]; None: that of `clusters`.
    """
    faces = table.faces
    cluster = clusters(table)[1] if cluster is None else cluster
    cluster = cluster[table.frame != score_table.NO_FACE]
    clips = video.Clips.of(faces).videos
    crops = Sample(faces.label, faces.score, logistic.to_score(faces.logit), faces.method, cluster)
    videos = Sample(
        clips.label, clips.scores(), clips.raw_scores(), clips.method, cluster[clips.row]
    )
    return {"frame": crops, "video": videos}


def clusters(table: ScoreTable) -> tuple[str, np.ndarray]:
    """Returns (what is resampled, the number of each row's cluster, int [N]).

    An identity is whom or what a clip shows: its fakes and itself are no independent cases.
    """
    clips, clip = score_table.factorize(table.clip)
    for name in (name for name in _IDENTITIES if name in table.extra):
        identities, identity = score_table.factorize(table.extra[name].astype(str).astype(object))
        unknown = np.isin(identities, ("", "nan"))[identity]
        cluster = np.where(unknown, len(identities) + clip, identity)
        if len(np.unique(cluster)) < len(clips):
            return "identities", cluster
    return CLIPS, clip


def _other_rules(table: ScoreTable, videos: Sample, interval: dict[str, Any]) -> dict[str, Any]:
    """How each rule ranks the videos."""
    clips = video.Clips.of(table.faces).videos
    rules = {
        rule: _ranking(videos.with_score(score), interval) for rule, score in clips.by_rule.items()
    }
    return {"rule": video.rule_of(clips.weight), "rules": rules}


def _level(
    sample: Sample, threshold: float, source: str, interval: dict[str, Any]
) -> dict[str, Any]:
    """The metrics of a level, or its counts where it lacks a class."""
    real, fake = (int((sample.label == value).sum()) for value in (0, 1))
    if not sample.has_both_classes:
        return {"real": real, "fake": fake, "note": f"{real} real and {fake} fake: no metrics"}
    resamples = measures.resample(sample, threshold, interval["draws"])
    everything = measures.measure(sample, threshold)
    return {
        "real": real,
        "fake": fake,
        "threshold": threshold,
        "threshold_from": source,
        **_with_intervals(everything, resamples[EVERYTHING]),
        "confusion": thresholds.confusion(sample.label, sample.score, threshold).tolist(),
        "methods": {
            method: {
                "fake": int((sample.method == method).sum()),
                **_with_intervals(
                    measures.measure(sample.of_method(method), threshold), resamples[method]
                ),
            }
            for method in sample.methods
        },
        "interval": interval,
        "curves": _curves(everything, resamples[EVERYTHING]),
        "reliability": {
            "raw": calibration.reliability(sample.label, sample.raw),
            "calibrated": calibration.reliability(sample.label, sample.score),
        },
        "histogram": _histogram(sample),
    }


def _with_intervals(measured: Measured, resampled: Measured) -> dict[str, Any]:
    return {
        name: values_with_intervals(getattr(measured, name), getattr(resampled, name))
        for name in ("metrics", "at_half")
    }


def values_with_intervals(
    values: Mapping[str, float], resampled: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float | None]]:
    """Returns {"value", "low", "high"} of each metric, None where a number does not exist.

    `resampled` has an array [B] for each.
    """
    found = {}
    for name, value in values.items():
        numbers = float(value), *bootstrap.interval(resampled[name])
        numbers = (None if np.isnan(number) else number for number in numbers)
        found[name] = dict(zip(("value", "low", "high"), numbers, strict=True))
    return found


def _metrics(sample: Sample, threshold: float, interval: dict[str, Any]) -> dict[str, Any]:
    """The metrics of everything in a sample."""
    resampled = measures.resample(sample, threshold, interval["draws"])[EVERYTHING]
    return values_with_intervals(measures.measure(sample, threshold).metrics, resampled.metrics)


def _ranking(sample: Sample, interval: dict[str, Any]) -> dict[str, Any]:
    """The metrics without a threshold: no card has thresholds for other rules."""
    found = _metrics(sample, 0.5, interval)
    return {name: found[name] for name in ranking.NAMES}


def _with_missing(videos: Sample, table: ScoreTable, cluster: np.ndarray) -> Sample | None:
    """The videos, and with score 0.5 the clips that gave no face; None: there are none."""
    missing = table.missing
    if not len(missing):
        return None
    half = np.full(len(missing), MISSING_SCORE)
    cluster = cluster[table.frame == score_table.NO_FACE]
    return videos.joined(Sample(missing.label, half, half, missing.method, cluster))


def _curves(measured: Measured, resampled: Measured) -> dict[str, Any]:
    places = {"roc": curves.FALSE_POSITIVE_RATES, "pr": curves.RECALLS}
    return {
        name: {
            "x": x.tolist(),
            "y": _without_nan(getattr(measured, name)),
            **_band(getattr(resampled, name)),
        }
        for name, x in places.items()
    }


def _band(resampled: np.ndarray) -> dict[str, list[float | None]]:
    low, high = np.transpose([bootstrap.interval(values) for values in resampled])
    return {"low": _without_nan(low), "high": _without_nan(high)}


def _without_nan(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]


def _histogram(sample: Sample) -> dict[str, list]:
    edges = np.linspace(0, 1, _HISTOGRAM_BINS + 1)
    counts = {
        name: np.histogram(sample.score[sample.label == label], edges)[0].tolist()
        for label, name in enumerate(LABELS)
    }
    return {"edges": edges.tolist(), **counts}
