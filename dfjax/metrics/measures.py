"""All metrics of the scores of one level, of everything and of each method, with resamples of them.

A method's fakes are measured against all reals.
"""

import collections
import dataclasses
from collections.abc import Iterator

import numpy as np
from scipy import sparse

from dfjax.metrics import bootstrap, calibration, curves, ranking, thresholds
from dfjax.metrics.ranking import Ranked

EVERYTHING = None  # stands for all methods together

# Resamples see at most about so many different scores; what is measured once is exact.
_RANKS = 1 << 13


@dataclasses.dataclass(frozen=True)
class Sample:
    """The scores of one level: of crops, or of videos.

    Attributes:
      label: int [N], 0 real, 1 fake.
      score: float64 [N], P(fake), of which decisions are made.
      raw: float64 [N], P(fake) before the temperature.
      method: N texts, objects.
      cluster: int [N]; rows of one number are resampled together.
    """

    label: np.ndarray
    score: np.ndarray
    raw: np.ndarray
    method: np.ndarray
    cluster: np.ndarray

    def rows(self, chosen: np.ndarray) -> "Sample":
        """Returns the rows of a mask [N]."""
        return Sample(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))

    def with_score(self, score: np.ndarray) -> "Sample":
        """Returns the same rows with other scores [N]."""
        return dataclasses.replace(self, score=score)

    def joined(self, other: "Sample") -> "Sample":
        """Returns the rows of this one, then those of another."""
        names = [field.name for field in dataclasses.fields(self)]
        return Sample(
            *(np.concatenate([getattr(s, name) for s in (self, other)]) for name in names)
        )

    @property
    def has_both_classes(self) -> bool:
        return set(np.unique(self.label).tolist()) == {0, 1}

    @property
    def methods(self) -> list[str]:
        """The methods of the fakes, sorted."""
        return sorted(set(self.method[self.label == 1].tolist()))

    def of_method(self, method: str) -> "Sample":
        """Returns the fakes of a method and all reals."""
        return self.rows((self.label == 0) | (self.method == method))


@dataclasses.dataclass(frozen=True)
class Measured:
    """Values by name: floats, or arrays [B] of B resamples; NaN: it does not exist.

    Attributes:
      metrics: all of `NAMES`, those of `thresholds` at the frozen threshold.
      at_half: those of `thresholds`, at 0.5.
      roc, pr: the curves of `curves`, [POINTS] or [POINTS, B].
    """

    metrics: dict[str, np.ndarray]
    at_half: dict[str, np.ndarray]
    roc: np.ndarray
    pr: np.ndarray


NAMES = (
    *ranking.NAMES,
    *calibration.NAMES,
    *(f"{name}_calibrated" for name in calibration.NAMES),
    *thresholds.NAMES,
)


def measure(sample: Sample, threshold: float) -> Measured:
    """Returns every metric of a sample that holds both classes."""
    _, rank = np.unique(-sample.score, return_inverse=True)
    layout = _Layout(int(rank.max()) + 1)
    one_cluster = np.zeros(len(rank), int)
    table = layout.table(sample, rank, threshold, sample.label, one_cluster)
    return layout.read(*table.toarray().reshape(2, layout.width))


def resample(
    sample: Sample, threshold: float, draws: int = bootstrap.DRAWS
) -> dict[str | None, Measured]:
    """Returns the metrics of every resample: of `EVERYTHING`, and of each method.

    Samples with the same clusters are resampled alike, so that their metrics can be compared.

    A sample of more than 8,192 different scores is ranked by as many quantiles of its reals, denser
    towards high scores, and of its fakes.
    """
    methods, rank = sample.methods, _ranks(sample)
    layout = _Layout(int(rank.max()) + 1)
    clusters, cluster = np.unique(sample.cluster, return_inverse=True)
    table = layout.table(sample, rank, threshold, _parts(sample), cluster, len(clusters))
    found: dict[str | None, list[Measured]] = collections.defaultdict(list)
    for sums in bootstrap.sums(table, draws):
        real, *fakes = sums.reshape(len(methods) + 1, layout.width, -1)
        found[EVERYTHING].append(layout.read(real, sum(fakes)))
        if len(methods) > 1:
            for method, fake in zip(methods, fakes, strict=True):
                found[method].append(layout.read(real, fake))
    joined = {name: _join(blocks) for name, blocks in found.items()}
    return {**{method: joined[EVERYTHING] for method in methods}, **joined}


def _parts(sample: Sample) -> np.ndarray:
    """0 for a real, for a fake 1 + the place of its method in `Sample.methods`; int [N]."""
    number = {method: 1 + i for i, method in enumerate(sample.methods)}
    rows = zip(sample.method, sample.label, strict=True)
    parts = (number[method] if fake else 0 for method, fake in rows)
    return np.fromiter(parts, np.int32, len(sample.label))


def _join(blocks: list[Measured]) -> Measured:
    """The resamples of all blocks."""

    def join(values: list) -> dict | np.ndarray:
        if isinstance(values[0], dict):
            return {name: join([each[name] for each in values]) for name in values[0]}
        return np.concatenate(values, axis=-1)

    names = [field.name for field in dataclasses.fields(Measured)]
    return Measured(*(join([getattr(block, name) for block in blocks]) for name in names))


def _ranks(sample: Sample) -> np.ndarray:
    """The rank of each score, int [N], 0 the highest; near ones share one if there are many."""
    different, rank = np.unique(-sample.score, return_inverse=True)
    if len(different) <= _RANKS:
        return rank
    levels = np.linspace(0, 1, _RANKS // 2)
    real, fake = (sample.score[sample.label == value] for value in (0, 1))
    edges = np.unique([np.quantile(real, 1 - levels**2), np.quantile(fake, levels)])
    _, rank = np.unique(-np.digitize(sample.score, edges), return_inverse=True)
    return rank


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Which sums over rows the metrics are computed from, in this order.

    The number of rows at each of `ranks` ranks; log losses and squared errors of raw scores, then
    of scores; label - score in each bin, of raw scores, then of scores; rows that reach the
    threshold, and 0.5.
    """

    ranks: int

    @property
    def width(self) -> int:
        return self.ranks + 4 + 2 * calibration.BINS + 2

    def table(
        self,
        sample: Sample,
        rank: np.ndarray,
        threshold: float,
        part: np.ndarray,
        cluster: np.ndarray,
        num_clusters: int = 1,
    ) -> sparse.csr_array:
        """The sums of each part and cluster, [parts * width, num_clusters]."""
        cells, values, rows = [], [], []
        for cell, value in self._entries(sample, rank, threshold):
            counted = np.flatnonzero(value)
            cells.append((part * self.width + cell)[counted].astype(np.int32))
            values.append(value[counted].astype(np.float64))
            rows.append(cluster[counted].astype(np.int32))
        shape = (int(part.max()) + 1) * self.width, num_clusters
        places = np.concatenate(cells), np.concatenate(rows)
        return sparse.coo_array((np.concatenate(values), places), shape).tocsr()

    def _entries(
        self, sample: Sample, rank: np.ndarray, threshold: float
    ) -> Iterator[tuple[np.ndarray | int, np.ndarray]]:
        """(in which sum a row counts, how much it adds), of each kind of sum."""
        yield rank, np.ones(len(rank))
        at = self.ranks
        for score in (sample.raw, sample.score):
            yield at, calibration.log_losses(sample.label, score)
            yield at + 1, np.square(sample.label - score)
            at += 2
        for score in (sample.raw, sample.score):
            yield at + calibration.bin_of(score), sample.label - score
            at += calibration.BINS
        for limit in (threshold, 0.5):
            yield at, sample.score >= limit
            at += 1

    def read(self, real: np.ndarray, fake: np.ndarray) -> Measured:
        """The metrics of the sums of reals and of fakes, [width] or [width, B] each."""
        ranked = Ranked(real[: self.ranks], fake[: self.ranks])
        num_real, num_fake = real[: self.ranks].sum(axis=0), fake[: self.ranks].sum(axis=0)
        exists = np.where((num_real > 0) & (num_fake > 0), 1.0, np.nan)
        losses, raw_bins, bins, _ = np.split(
            real[self.ranks :] + fake[self.ranks :],
            np.cumsum([4, calibration.BINS, calibration.BINS]),
        )
        log_loss, brier, log_loss_calibrated, brier_calibrated = losses
        sums = {
            "log_loss": log_loss,
            "brier": brier,
            "ece": np.abs(raw_bins).sum(axis=0),
            "log_loss_calibrated": log_loss_calibrated,
            "brier_calibrated": brier_calibrated,
            "ece_calibrated": np.abs(bins).sum(axis=0),
        }
        at_threshold, at_half = (
            thresholds.metrics_of_confusion([[num_real - fp, fp], [num_fake - tp, tp]])
            for fp, tp in zip(real[-2:], fake[-2:], strict=True)
        )
        count = np.maximum(num_real + num_fake, 1)
        means = {name: total / count for name, total in sums.items()}
        metrics = {**ranked.metrics(), **means, **at_threshold}
        return Measured(
            metrics={name: exists * value for name, value in metrics.items()},
            at_half={name: exists * value for name, value in at_half.items()},
            roc=exists * curves.roc(ranked),
            pr=exists * curves.precision_recall(ranked),
        )
