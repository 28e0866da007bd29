"""Clip scores computed by hand."""

import numpy as np
import pytest

from dfjax import metrics
from dfjax.evaluators import frame, video


def _scores(rows) -> frame.Scores:
    clip, frames, faces, label, score = (np.array(column) for column in zip(*rows, strict=True))
    method = np.where(label == 1, "swap", "real")
    logit = np.log(score) - np.log1p(-score)
    zeros = np.zeros(len(rows))
    boxes = np.zeros((len(rows), 4))
    names = np.arange(len(rows)), clip, frames, faces, method, label, logit
    return frame.Scores(*names, boxes, zeros, zeros, zeros)


def test_clip_score_is_the_mean_over_frames_of_the_most_suspicious_face():
    scores = _scores(
        [
            ("c/swap/000", 4, 0, 1, 0.8),
            ("c/real/000", 0, 0, 0, 0.2),
            ("c/swap/000", 9, 0, 1, 0.1),  # two faces in frame 9
            ("c/swap/000", 9, 1, 1, 0.6),
            ("c/real/000", 5, 0, 0, 0.4),
        ]
    )
    clips = video.clip_scores(scores)
    assert clips.clip.tolist() == ["c/real/000", "c/swap/000"]
    np.testing.assert_allclose(clips.score, [0.3, 0.7])
    assert clips.label.tolist() == [0, 1]
    assert clips.method.tolist() == ["real", "swap"]
    assert clips.frames.tolist() == [2, 2]
    assert metrics.auc(clips.label, clips.score) == 1.0


def test_clip_with_two_labels_is_an_error():
    scores = _scores([("c/swap/000", 0, 0, 1, 0.8), ("c/swap/000", 1, 0, 0, 0.2)])
    with pytest.raises(ValueError, match="clip 'c/swap/000' has crops of both labels"):
        video.clip_scores(scores)
