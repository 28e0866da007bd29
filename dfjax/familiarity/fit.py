"""Fits a gate to features of training crops and of strangers. Runs in NumPy, in float64."""

from collections.abc import Sequence

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.special

from dfjax.familiarity.gate import Statistics

AXES = 256  # of 64 to 320: the most strangers refused, and the fewest faces of other cameras
SLACK = 0.03  # of held-out faces lie beyond the limit, so that of others less than 5 % do
_PENALTY = 0.01  # of the squared weights
_FLOOR = 0.01  # of the mean spread of features: one that never varied would count without bounds


def fit(training: np.ndarray, strangers: np.ndarray, alone: int = 0) -> Statistics:
    """Returns the statistics of training features [N, D]; strangers' are [M, D].

    There are at most `AXES` principal axes, and so few that training features still vary beside
    them. The last `alone` features do not take part in them: each is an axis itself.
    """
    training, strangers = np.float64(training), np.float64(strangers)
    mean, spread = training.mean(0), training.std(0)
    scale = spread + _FLOOR * training.std() + 1e-6
    standard = (training - mean) / scale
    axes = _axes(standard, alone)
    count = axes.shape[1]
    unweighted = Statistics(
        mean=mean,
        scale=scale,
        axes=axes,
        spread=(standard @ axes).std(0),
        linear=np.zeros(count),
        square=np.zeros(count),
        beside=np.zeros(()),
        offset=np.zeros(()),
    )
    weights = _weigh(_terms(training, unweighted), _terms(strangers, unweighted))
    linear, square, (beside, offset) = np.split(weights, [count, 2 * count])
    weighted = unweighted._replace(linear=linear, square=square, beside=beside, offset=offset)
    return Statistics(*map(np.float32, weighted))


def limit(held_out: np.ndarray, further: Sequence[tuple[np.ndarray, float]] = ()) -> float:
    """Returns the strangeness that `SLACK` of held-out faces, [N], are beyond.

    `further` are (strangeness [M], weight) of other datasets' faces, where the first weigh 1.
    """
    parts = [(held_out, 1.0), *further]
    strangeness = np.concatenate([part for part, _ in parts])
    weights = np.concatenate([np.full(len(part), weight / len(part)) for part, weight in parts])
    order = np.argsort(strangeness)
    below = np.cumsum(weights[order]) - weights[order]  # of equal weights, this is np.quantile
    return float(np.interp((1 - SLACK) * below[-1], below, strangeness[order]))


def _axes(standard: np.ndarray, alone: int) -> np.ndarray:
    """The principal axes of all but the last features, and then those, [D, d]."""
    rest = standard.shape[1] - alone
    axes = np.linalg.svd(standard[:, :rest], full_matrices=False)[2]
    count = min(AXES, len(standard) // 4, rest // 2)
    return scipy.linalg.block_diag(axes[:count].T, np.eye(alone))


def _terms(found: np.ndarray, statistics: Statistics) -> np.ndarray:
    """What strangeness is a weighted sum of, [N, 2 d + 1] (`gate.strangeness`)."""
    standard = (found - statistics.mean) / statistics.scale
    along = standard @ statistics.axes
    beside = np.maximum((standard**2).sum(1) - (along**2).sum(1), 1e-6)
    along = along / statistics.spread
    return np.concatenate([along, along**2, np.log(beside)[:, None]], axis=1)


def _weigh(training: np.ndarray, strangers: np.ndarray) -> np.ndarray:
    """The weights of terms, and last the offset, of a logistic regression between two classes.

    The classes count the same. Terms are scaled by their spread among the training data.
    """
    terms = np.concatenate([training, strangers])
    spread = training.std(0) + 1e-6
    terms = np.concatenate([terms / spread, np.ones((len(terms), 1))], axis=1)
    sign = np.repeat([-1.0, 1.0], [len(training), len(strangers)])
    share = np.repeat([0.5 / len(training), 0.5 / len(strangers)], [len(training), len(strangers)])
    penalty = np.append(np.full(len(spread), _PENALTY), 0.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (terms @ weights)
        slope = -sign * share * scipy.special.expit(-margin)
        value = -(share * scipy.special.log_expit(margin)).sum() + penalty @ weights**2
        return value, terms.T @ slope + 2 * penalty * weights

    count = (len(spread) - 1) // 2
    free, bounded = (None, None), (0.0, None)
    bounds = [free] * count + [bounded] * (count + 1) + [free]
    start = np.zeros(terms.shape[1])
    found = scipy.optimize.minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B")
    return found.x / np.append(spread, 1.0)
