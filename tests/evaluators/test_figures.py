import numpy as np

from dfjax.evaluators import figures
from dfjax.media import image


def test_curves_are_those_of_a_case_computed_by_hand(tmp_path):
    label, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9])
    levels = {"frame": (label, score, 0.5)}
    matrix, roc, pr = figures.draw_curves("by hand", levels).axes
    # One real and one fake lie on the wrong side of the threshold.
    assert [text.get_text() for text in matrix.texts] == ["1", "1", "1", "1"]
    fpr, tpr = roc.lines[0].get_data()
    # From the highest score down: a fake, a real, a fake, a real.
    np.testing.assert_allclose(np.c_[fpr, tpr], [[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 1], [1, 1]])
    assert roc.lines[0].get_label() == "frame (AUC 0.750)"
    recall, precision = pr.lines[0].get_data()
    np.testing.assert_allclose(recall, [1, 1, 0.5, 0.5, 0])
    np.testing.assert_allclose(precision, [1 / 2, 2 / 3, 1 / 2, 1, 1])
    assert pr.lines[0].get_label() == "frame (AP 0.833)"
    figures.save_curves(tmp_path / "curves.png", "by hand", levels)
    assert image.read_image(tmp_path / "curves.png").std() > 1
