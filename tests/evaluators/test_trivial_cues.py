import numpy as np
import pytest

from dfjax.data import synthetic
from dfjax.evaluators import trivial_cues
from dfjax.faces import align, crop, detect
from dfjax.media import image as image_file


def test_features_hold_what_they_say():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:, 0] = 200
    found = trivial_cues.features(image, num_bytes=1000, scale=2.0)
    assert found.shape == (trivial_cues.NUM_FEATURES,)
    assert found.dtype == np.float32
    grey = round(0.299 * 200) / 255
    # The Laplacian of a step of height h is h beside it and -h before it, elsewhere 0.
    sharpness = 2 * (255 * grey) ** 2 / 64
    expected = [np.log(1001), np.log(2), grey / 2, grey / 2, np.log1p(sharpness)]
    np.testing.assert_allclose(found[:5], expected, rtol=1e-5)
    thumbnail = found[5:].reshape(8, 8, 3)
    np.testing.assert_allclose(thumbnail[:, :4], 0)
    np.testing.assert_allclose(thumbnail[:, 4:], np.broadcast_to([200 / 255, 0, 0], (8, 4, 3)))


def make_records(rng, label, num_bytes):
    images = rng.integers(0, 256, (len(label), 16, 16, 3), np.uint8)
    return np.stack(
        [trivial_cues.features(i, int(n), 1.0) for i, n in zip(images, num_bytes, strict=True)]
    )


def test_the_probe_finds_a_class_that_is_stored_larger():
    rng = np.random.default_rng(0)
    label = np.arange(600) % 2
    cues = make_records(rng, label, 5000 * (1 + label) + rng.integers(0, 500, 600))
    assert trivial_cues.probe_auc(cues[:400], label[:400], cues[400:], label[400:]) == 1.0
    assert trivial_cues.probe_auc(cues[:400], label[:400], cues[400:], 1 - label[400:]) == 0.0


def test_the_probe_finds_nothing_where_nothing_is():
    rng = np.random.default_rng(0)
    label = np.arange(1200) % 2
    cues = make_records(rng, label, rng.integers(5000, 9000, 1200))
    assert 0.4 < trivial_cues.probe_auc(cues[:800], label[:800], cues[800:], label[800:]) < 0.6


def test_a_missing_class_is_named():
    cues = np.zeros((4, trivial_cues.NUM_FEATURES))
    both, one = np.array([0, 1, 0, 1]), np.ones(4, int)
    with pytest.raises(ValueError, match=r"eval_labels holds \[1\]"):
        trivial_cues.probe_auc(cues, both, cues, one)


def test_the_synthetic_corpus_is_not_solved_by_trivial_cues():
    """Before encoding and on a few frames; the whole corpus is measured by `evaluate`."""
    spec = align.CropSpec(size=128, detection_border=0.0)
    finder = detect.FaceFinder(spec)
    settings = synthetic.Settings(frames=1)
    cues, label, split = [], [], []
    for person in range(settings.identities):
        original = synthetic.record(settings, person, 0)
        fake = synthetic.forge(settings, person, 0, original)
        for number, frames in enumerate((original.frames, fake)):
            for face in crop.crop_faces(frames[0], finder, spec):
                stored = image_file.encode_image(face.image, "jpeg")
                cues.append(trivial_cues.features(face.image, len(stored), face.scale))
                label.append(number)
                split.append(person % 6 < 4)
    cues, label, train = np.array(cues), np.array(label), np.array(split)
    auc = trivial_cues.probe_auc(cues[train], label[train], cues[~train], label[~train])
    assert auc < 0.65
