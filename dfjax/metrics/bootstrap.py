"""Intervals by the bootstrap over clusters: clips, or the identities that clips show.

The frames of a clip are alike, so resampling them one by one would promise too much. A metric is
computed from sums over rows; a resample needs but the sums of each cluster, times how often the
cluster was drawn. All resamples of a cell of sums are one row of a product of matrices.
"""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

LEVEL = 0.95
DRAWS = 1000

_BLOCK = 1 << 23  # numbers at a time


def sums(table: sparse.csr_array, draws: int = DRAWS, seed: int = 0) -> Iterator[np.ndarray]:
    """Yields the sums of all resamples of C clusters, [cells, b] of b resamples at a time.

    `table`, [cells, C], holds the sums of each cluster. Clusters are drawn with replacement; equal
    numbers of clusters, draws and equal seeds draw the same.
    """
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // max(table.shape))
    for start in range(0, draws, block):
        yield table @ _times_drawn(table.shape[1], min(block, draws - start), rng)


def _times_drawn(num_clusters: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each resample has each cluster, float64 [num_clusters, draws]."""
    drawn = rng.integers(num_clusters, size=(draws, num_clusters), dtype=np.int32)
    place = drawn + num_clusters * np.arange(draws)[:, None]
    times = np.bincount(place.ravel(), minlength=draws * num_clusters)
    return times.reshape(draws, num_clusters).T.astype(np.float64, order="C")


def interval(values: np.ndarray) -> tuple[float, float]:
    """Returns (low, high) of `LEVEL` of the values [B] of resamples: the percentile interval.

    Resamples that lack a class, NaN, do not count; both are NaN where all do.
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return np.nan, np.nan
    low, high = np.quantile(values, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def p_value(differences: np.ndarray) -> float | None:
    """Returns the two-sided p of no difference, from the differences [B] of paired resamples.

    Twice the share of resamples on the less likely side of 0 (Efron & Tibshirani, 1993, ch. 15),
    at least 2 / (B + 1); None where no resample has both classes.
    """
    differences = differences[~np.isnan(differences)]
    if not len(differences):
        return None
    beyond = min((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(1.0, 2 * (beyond + 1) / (len(differences) + 1)))
