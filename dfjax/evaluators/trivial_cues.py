"""What a classifier reaches that looks at no face: a warning of corpora solved by accident.

File size, crop scale, brightness, sharpness and an 8x8 thumbnail tell fakes from reals wherever one
class was recorded, scaled or compressed unlike the other. A logistic regression on them shows how
much of a detector's score could come from there.
"""

import cv2
import numpy as np
from sklearn import linear_model, metrics, pipeline, preprocessing

THUMBNAIL_SIZE = 8
NUM_FEATURES = 5 + 3 * THUMBNAIL_SIZE**2


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


def probe_auc(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    eval_features: np.ndarray,
    eval_labels: np.ndarray,
) -> float:
    """Returns the ROC AUC of "fake" that the cues reach on clips they were not fitted to, 0..1.

    Features are [N, NUM_FEATURES], labels [N] of 0 real and 1 fake. Standardised, then logistic
    regression with an L2 penalty (C = 0.1): deterministic. A corpus without such a shortcut stays
    near 0.5; keep the identities of the two sets apart, or a thumbnail recognises people.

    Raises:
      ValueError: one of the label arrays lacks a class.
    """
    for name, labels in (("train_labels", train_labels), ("eval_labels", eval_labels)):
        if set(np.unique(labels)) != {0, 1}:
            found = np.unique(labels).tolist()
            raise ValueError(f"{name} holds {found}: give both 0 (real) and 1 (fake)")
    probe = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression(C=0.1, max_iter=2000)
    )
    probe.fit(train_features, train_labels)
    return float(metrics.roc_auc_score(eval_labels, probe.decision_function(eval_features)))
