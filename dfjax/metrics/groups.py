"""How much better or worse a detector judges one group of clips than another.

`measure` returns plain JSON:

    groups      a row for each group: its name as `group`, its numbers of `real` and `fake` clips,
                `small` (under `FEW` clips of a class: too few to say anything), and each of `RATES`
                as {"value", "low", "high"}; null where a class that it needs is missing
    unlabelled  the numbers of `real` and `fake` clips that are in no group
    compared    the names of the groups that are not small: the figures are about these
    figures     each of `FIGURES` as {"value", "low", "high", "chance"}; null if fewer than two
                groups are compared. 95 % of random groupings of equal sizes stay below `chance`:
                the largest of noisy gaps is never 0, and a figure below it shows no difference

Figures and their names are those of AI-Face (Lin et al., CVPR 2025), as shares where it has
percent, and at a frozen threshold where it has 0.5. Over the groups that are compared, F_FPR is the
largest less the smallest false positive rate (a positive is a clip called fake), F_OAE that of the
accuracy, F_DP that of the share called fake, F_MEO the larger of those of the false positive and of
the false negative rate; F_EO is the sum of |FPR of the group - FPR of all| + |TPR of the group -
TPR of all|. The accuracy and the share called fake of a group depend on its share of fakes: F_OAE
and F_DP mean little where that differs.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from dfjax.metrics import bootstrap, ranking

FEW = 30
RATES = ("fpr", "fnr", "accuracy", "auc")
FIGURES = ("f_fpr", "f_oae", "f_dp", "f_meo", "f_eo")


def measure(
    label: np.ndarray,
    score: np.ndarray,
    member: np.ndarray,
    names: Sequence[str],
    threshold: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Returns what the module describes; intervals are by the bootstrap over clips.

    Args:
      label: int [N] of N clips, 0 real, 1 fake.
      score: float [N], P(fake).
      member: int [N], the number of its group, or -1: it is in none. No group is empty.
      names: those of the groups, of which there is one at least.
      threshold: a clip of at least this score is called fake.
      rng: draws the random groupings.
    """
    unlabelled = _by_class(np.bincount(label[member < 0], minlength=2))
    label, score, member = (each[member >= 0] for each in (label, score, member))
    called = (score >= threshold).astype(int)
    counts = _resampled_counts(member, label, called, len(names))
    rates = {**_rates(counts), "auc": _resampled_aucs(member, label, score)}
    by_class = counts[0].sum(2)
    large = np.flatnonzero(by_class.min(1) >= FEW)
    figures = None
    if len(large) > 1:
        counts = counts[:, large]
        figures = _compare(counts, _dealt_counts(counts[0].astype(int), rng))
    return {
        "groups": [
            {
                "group": name,
                **_by_class(by_class[row]),
                "small": row not in large,
                **{rate: _interval(rates[rate][:, row]) for rate in RATES},
            }
            for row, name in enumerate(names)
        ],
        "unlabelled": unlabelled,
        "compared": [names[row] for row in large],
        "figures": figures,
    }


def _place(member: np.ndarray, label: np.ndarray, called: np.ndarray) -> np.ndarray:
    """The number of each clip's group, label and call among all there are, int [N]."""
    return 4 * member + 2 * label + called


def _resampled_counts(
    member: np.ndarray, label: np.ndarray, called: np.ndarray, num_groups: int
) -> np.ndarray:
    """Numbers of clips by group, label, and whether they are called fake: [1 + draws, G, 2, 2].

    The first are those of the clips themselves.
    """
    sums = _sums(_place(member, label, called), 4 * num_groups)
    return np.concatenate(list(sums), axis=1).T.reshape(-1, num_groups, 2, 2)


def _dealt_counts(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Counts [G, 2, 2] if the clips of each class are dealt out to the groups anew, [draws, ...].

    Groups keep their sizes; which of the clips are called fake falls as it may.
    """
    dealt = np.empty((bootstrap.DRAWS, *counts.shape))
    for label in (0, 1):
        sizes = counts[:, label].sum(1)
        num_called = counts[:, label, 1].sum()
        dealt[:, :, label, 1] = rng.multivariate_hypergeometric(sizes, num_called, len(dealt))
        dealt[:, :, label, 0] = sizes - dealt[:, :, label, 1]
    return dealt


def _resampled_aucs(member: np.ndarray, label: np.ndarray, score: np.ndarray) -> np.ndarray:
    """The AUC of each group, [1 + draws, G]; the first is that of the clips themselves."""
    order = np.lexsort((-score, member))
    member, label, score = member[order], label[order], score[order]
    changes = (np.diff(member) != 0) | (np.diff(score) != 0)
    cell = np.concatenate([[0], changes.cumsum()])  # one for each score in a group
    num_cells = cell[-1] + 1
    ends = np.cumsum(np.bincount(member[np.concatenate([[True], changes])]))
    aucs = []
    for sums in _sums(num_cells * label + cell, 2 * num_cells):
        real, fake = (np.split(each, ends[:-1]) for each in np.split(sums, 2))
        aucs.append([ranking.Ranked(*each).auc() for each in zip(real, fake, strict=True)])
    return np.concatenate(aucs, axis=1).T


def _sums(place: np.ndarray, num_places: int) -> Iterator[np.ndarray]:
    """Yields how many clips are in each place, [places, b]: first of all clips, of b = 1.

    Then of resamples, b at a time.
    """
    entries = np.ones(len(place)), (place, np.arange(len(place)))
    table = sparse.csr_array(entries, shape=(num_places, len(place)))
    yield table.sum(axis=1)[:, None]
    yield from bootstrap.sums(table)


def _rates(counts: np.ndarray) -> dict[str, np.ndarray]:
    """The rates of groups, [..., G], of their counts [..., G, 2, 2]; NaN where there are none."""
    with np.errstate(invalid="ignore"):
        of_class = counts / counts.sum(-1, keepdims=True)
        of_all = counts / counts.sum((-1, -2), keepdims=True)
    return {
        "fpr": of_class[..., 0, 1],
        "fnr": of_class[..., 1, 0],
        "accuracy": of_all[..., 0, 0] + of_all[..., 1, 1],
        "called_fake": of_all[..., 0, 1] + of_all[..., 1, 1],
    }


def _figures(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Each of `FIGURES`, [...], of counts [..., G, 2, 2]."""
    rates, of_all = _rates(counts), _rates(counts.sum(-3, keepdims=True))
    fpr, fnr, accuracy, called_fake = (np.ptp(each, axis=-1) for each in rates.values())
    from_all = (np.abs(rates[name] - of_all[name]).sum(-1) for name in ("fpr", "fnr"))
    values = fpr, accuracy, called_fake, np.maximum(fpr, fnr), sum(from_all)
    return dict(zip(FIGURES, values, strict=True))


def _compare(counts: np.ndarray, dealt: np.ndarray) -> dict[str, dict[str, float]]:
    """The figures of counts [1 + draws, G, 2, 2], and what chance makes of `_dealt_counts`."""
    values, by_chance = _figures(counts), _figures(dealt)
    return {
        name: {
            **_interval(values[name]),
            "chance": float(np.quantile(by_chance[name], bootstrap.LEVEL)),
        }
        for name in FIGURES
    }


def _interval(values: np.ndarray) -> dict[str, float] | None:
    """The first of the values, [1 + draws], and the interval of the others; None: it is NaN."""
    if np.isnan(values[0]):
        return None
    low, high = bootstrap.interval(values[1:])
    return {"value": float(values[0]), "low": low, "high": high}


def _by_class(counts: np.ndarray) -> dict[str, int]:
    return {"real": int(counts[0]), "fake": int(counts[1])}
