"""Drawn faces are strangers, framed as the training data, unless these are drawn themselves."""

import dataclasses

import numpy as np
import pytest

from dfjax.evaluators import run_gate
from dfjax.faces import align
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import FaceDetector
from dfjax.familiarity import drawn
from dfjax.run import Run

WIDE = CropSpec(size=200, scale=2.0)  # dlib finds the face in such a crop once more


def test_eyes_and_nose_lie_where_the_spec_puts_them():
    crops = drawn.make(4, dataclasses.replace(WIDE, faces="all"), np.random.default_rng(0))
    assert (crops.shape, crops.dtype) == ((4, 200, 200, 3), np.uint8)
    assert len(np.unique(crops.reshape(4, -1), axis=0)) == 4
    for crop in crops:
        (face,) = FaceDetector(WIDE).detect(crop)
        np.testing.assert_allclose(align.anchors(face.landmarks), align.template(WIDE), atol=8)


def test_pictures_that_are_crops_already_are_framed_as_by_default():
    as_is = CropSpec(crops="as-is", detector="none", landmarks=0, size=64)
    ours = drawn.make(2, as_is, np.random.default_rng(0))
    np.testing.assert_array_equal(ours, drawn.make(2, CropSpec(size=64), np.random.default_rng(0)))


@pytest.mark.parametrize("synthetic", [False, True])
def test_a_model_of_drawn_faces_does_not_learn_to_refuse_them(gated_run, monkeypatch, synthetic):
    run = Run.open(gated_run)
    monkeypatch.setitem(run.dataset.metadata, "synthetic", synthetic)
    variables, _ = run.variables()
    found = run_gate.find_or_fit(run, variables, None, run.training, num_crops=120)
    assert found.embedding.fitted_on["strangers"] == (120 if synthetic else 160)
