"""AUC of a classifier that never sees the face; a high value means the corpus has shortcuts.

File size, crop scale, brightness, sharpness and an 8x8 thumbnail tell fakes from reals wherever one
class was recorded, scaled or compressed unlike the other. Two probes on them show how much of a
detector's score could come from there: a logistic regression, and boosted trees for what only cues
together give away. Either is a lower bound of the shortcut, the higher one the better.

    train, test = (trivial_cues.read(dataset.records(split), 4_000) for split in ("train", "test"))
    scores = trivial_cues.fit(train.features, train.label).scores(test.features)
    aucs = {name: test.aucs(score) for name, score in scores.items()}

`test.row` says which crops these are, so that a model's AUC on the same ones may stand next to it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import threadpoolctl
from sklearn import base, ensemble, linear_model, metrics, pipeline, preprocessing

from dfjax.errors import UserError
from dfjax.media import image as media_image

THUMBNAIL_SIZE = 8
NUM_FEATURES = 5 + 3 * THUMBNAIL_SIZE**2
PROBES = ("linear", "boosted")


def features(image: np.ndarray, num_bytes: int, scale: float) -> np.ndarray:
    """Returns the trivial cues of one face crop, float32 [NUM_FEATURES].

    In order: log of `num_bytes`, the size of the stored crop; log of `scale`, the crop's pixels per
    pixel of the frame; mean and standard deviation of the brightness, 0..1; log of the variance of
    its Laplacian; the thumbnail, row by row, RGB in 0..1. `image` is RGB uint8 [H, W, 3].
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    sharpness = cv2.Laplacian(grey, cv2.CV_64F).var()
    size = (THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    thumbnail = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    brightness = grey.mean() / 255, grey.std() / 255
    cues = [np.log1p(num_bytes), np.log(scale), *brightness, np.log1p(sharpness)]
    return np.concatenate([cues, thumbnail.ravel() / 255]).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Crops:
    """Some crops of a split.

    Attributes:
      row: int [N]; which records of the split they are.
      features: float32 [N, NUM_FEATURES].
      label: int [N], 0 real, 1 fake.
      clip: N texts.
    """

    row: np.ndarray
    features: np.ndarray
    label: np.ndarray
    clip: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def aucs(self, score: np.ndarray) -> dict[str, float | None]:
        """Returns the ROC AUC of a score [N] of these crops: of "frame", and of "video".

        A clip's score is the mean over its crops here; None where every clip has but one.

        Raises:
          UserError: there are only reals or only fakes.
        """
        _require_both_classes("the evaluated split", self.label)
        clips, first, member = np.unique(self.clip, return_index=True, return_inverse=True)
        mean = np.bincount(member, weights=score) / np.bincount(member)
        by_clip = metrics.roc_auc_score(self.label[first], mean) if len(clips) < len(self) else None
        return {
            "frame": float(metrics.roc_auc_score(self.label, score)),
            "video": None if by_clip is None else float(by_clip),
        }


def read(
    records: Sequence[Mapping[str, Any]], limit: int, labels: np.ndarray | None = None
) -> Crops:
    """Returns at most `limit` records of a split with their cues, evenly spread over its order.

    With `labels`, int [N], of all records there is one more of a class that would be missed.
    """
    row = np.linspace(0, len(records) - 1, min(limit, len(records)), dtype=int)
    if labels is not None:
        row = _with_both_classes(row, labels)
    cues, label, clip = [], [], []
    for index in row:
        record = records[int(index)]
        image = media_image.decode_image(record["image"])
        cues.append(features(image, len(record["image"]), float(record["scale"])))
        label.append(record["label"])
        clip.append(record["clip"])
    return Crops(row, np.stack(cues), np.array(label), np.array(clip))


def _with_both_classes(row: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The rows, and the first row of a class that they miss: that may be one of thousands."""
    missed = [np.flatnonzero(label == value)[:1] for value in {0, 1} - set(label[row].tolist())]
    return np.unique(np.concatenate([row, *missed]))


@dataclasses.dataclass(frozen=True)
class Probes:
    """Classifiers fitted to the trivial cues, by name."""

    classifiers: dict[str, base.ClassifierMixin]

    def scores(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """Returns P(fake) [N] by each probe; features are [N, NUM_FEATURES]."""
        with threadpoolctl.threadpool_limits(1):
            return {
                name: classifier.predict_proba(features)[:, 1]
                for name, classifier in self.classifiers.items()
            }


def fit(features: np.ndarray, label: np.ndarray, names: Sequence[str] = PROBES) -> Probes:
    """Returns the probes of these names, fitted to features [N, NUM_FEATURES] and labels [N].

    Labels are 0 real and 1 fake. "linear" is a logistic regression on standardised cues with an L2
    penalty (C = 0.1), "boosted" a gradient boosting of 100 trees of 8 leaves, which finds what
    cues tell together. Both are deterministic and take a second for 4,000 crops. Without a
    shortcut they stay near an AUC of 0.5 on other crops; keep the identities of the two sets apart,
    or a thumbnail recognises people.

    Raises:
      UserError: a class is missing.
    """
    _require_both_classes("the training split", label)
    # The trees are so small that threads wait for each other: where something else uses the cores
    # too, one is several times as fast as all, and nowhere slow.
    with threadpoolctl.threadpool_limits(1):
        return Probes({name: _new(name).fit(features, label) for name in names})


def _new(name: str) -> base.ClassifierMixin:
    if name == "linear":
        return pipeline.make_pipeline(
            preprocessing.StandardScaler(), linear_model.LogisticRegression(C=0.1, max_iter=2000)
        )
    return ensemble.HistGradientBoostingClassifier(
        max_iter=100, max_leaf_nodes=8, early_stopping=False, random_state=0
    )


def _require_both_classes(name: str, label: np.ndarray) -> None:
    if set(np.unique(label)) != {0, 1}:
        found = np.unique(label).tolist()
        raise UserError(f"labels of {name} are {found}: give both 0 (real) and 1 (fake)")


def probe_auc(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    eval_features: np.ndarray,
    eval_labels: np.ndarray,
) -> float:
    """Returns the ROC AUC per crop that the linear probe reaches on crops it was not fitted to.

    Features and labels are those of `fit`.

    Raises:
      UserError: one of the label arrays lacks a class.
    """
    _require_both_classes("the evaluated split", eval_labels)
    score = fit(train_features, train_labels, ("linear",)).scores(eval_features)["linear"]
    return float(metrics.roc_auc_score(eval_labels, score))
