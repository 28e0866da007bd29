import cv2
import numpy as np
import pytest
import sklearn.metrics

from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.evaluators import trivial_cues
from dfjax.faces import crop, detect
from dfjax.faces.crop_spec import CropSpec
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


def reached(cues, label, count):
    """AUC of each probe, fitted to the first `count` crops, on the others."""
    scores = trivial_cues.fit(cues[:count], label[:count]).scores(cues[count:])
    assert tuple(scores) == trivial_cues.PROBES
    return {
        name: sklearn.metrics.roc_auc_score(label[count:], score) for name, score in scores.items()
    }


def test_the_probes_find_a_class_that_is_stored_larger():
    rng = np.random.default_rng(0)
    label = np.arange(600) % 2
    cues = make_records(rng, label, 5000 * (1 + label) + rng.integers(0, 500, 600))
    assert reached(cues, label, 400) == {"linear": 1.0, "boosted": 1.0}
    assert trivial_cues.probe_auc(cues[:400], label[:400], cues[400:], label[400:]) == 1.0
    assert trivial_cues.probe_auc(cues[:400], label[:400], cues[400:], 1 - label[400:]) == 0.0


def test_the_probes_find_nothing_where_nothing_is():
    rng = np.random.default_rng(0)
    label = np.arange(1200) % 2
    cues = make_records(rng, label, rng.integers(5000, 9000, 1200))
    for auc in reached(cues, label, 800).values():
        assert 0.4 < auc < 0.6


def test_what_only_two_cues_together_tell_is_found_by_the_boosted_probe():
    """Fakes are bright and sharp or dark and blurred, reals the other way round."""
    rng = np.random.default_rng(0)
    label = np.arange(900) % 2
    bright = rng.integers(0, 2, 900)
    images = rng.uniform(0, 100, (900, 32, 32, 3)).astype(np.float32)
    for image, is_sharp in zip(images, bright == label, strict=True):
        if not is_sharp:
            image[:] = cv2.GaussianBlur(image, (0, 0), 1.0)
    images += (40 * bright + rng.normal(30, 8, 900))[:, None, None, None]
    images = images.clip(0, 255).astype(np.uint8)
    cues = np.stack([trivial_cues.features(image, 5000, 1.0) for image in images])
    found = reached(cues, label, 600)
    assert found["boosted"] > 0.95
    assert 0.4 < found["linear"] < 0.6
    assert reached(cues, label, 600) == found


def test_crops_are_spread_over_the_split_and_their_clips_scored_by_the_mean():
    rng = np.random.default_rng(0)
    images = [
        image_file.encode_image(i, "png") for i in rng.integers(0, 99, (9, 16, 16, 3), np.uint8)
    ]
    records = [
        {"image": image, "scale": 2.0, "label": number % 2, "clip": f"{number % 4}"}
        for number, image in enumerate(images)
    ]
    crops = trivial_cues.read(records, 5)
    assert crops.row.tolist() == [0, 2, 4, 6, 8]
    crops = trivial_cues.read(records, 100)
    assert crops.row.tolist() == list(range(9))
    assert crops.label.tolist() == [0, 1] * 4 + [0]
    assert crops.clip.tolist() == [*"012301230"]
    own = trivial_cues.features(image_file.decode_image(images[3]), len(images[3]), 2.0)
    np.testing.assert_array_equal(crops.features[3], own)
    # Means of clips: 0 (real) 5, 1 (fake) 6, 2 (real) 2, 3 (fake) 3: three of four pairs in order.
    # Of 20 pairs of crops, fakes 9, 3, 3, 3 beat reals 2, 1, 2, 3, 11: 4 + 3 * 3.5 of them.
    score = np.array([2, 9, 1, 3, 2, 3, 3, 3, 11.0])
    assert crops.aucs(score) == {"frame": pytest.approx((4 + 3 * 3.5) / 20), "video": 0.75}
    single = trivial_cues.read(records[:4], 100)
    assert single.aucs(np.arange(4)) == {"frame": 0.75, "video": None}


def test_a_missing_class_is_named():
    cues = np.zeros((4, trivial_cues.NUM_FEATURES))
    both, one = np.array([0, 1, 0, 1]), np.ones(4, int)
    with pytest.raises(ValueError, match=r"labels of the evaluated split are \[1\]"):
        trivial_cues.probe_auc(cues, both, cues, one)
    with pytest.raises(ValueError, match=r"labels of the training split are \[1\]"):
        trivial_cues.fit(cues, one)
    with pytest.raises(ValueError, match=r"labels of the evaluated split are \[1\]"):
        trivial_cues.Crops(np.arange(4), cues, one, np.arange(4)).aucs(np.arange(4))


def test_the_synthetic_corpus_is_not_solved_by_trivial_cues():
    """Before encoding and on a few frames; the whole corpus is measured by `evaluate`."""
    spec = CropSpec(size=128, detection_border=0.0)
    finder = detect.FaceDetector(spec)
    settings = synthetic.Settings(frames=1)
    cues, label, split = [], [], []
    for person in range(settings.identities):
        original = synthetic.film(settings, person, 0)
        fake = synthetic.forge(settings, person, 0, original)
        for number, frames in enumerate((original.frames, fake)):
            for face in crop.cut_faces(frames[0], finder.detect(frames[0]), spec):
                stored = image_file.encode_image(face.image, "jpeg")
                cues.append(trivial_cues.features(face.image, len(stored), face.scale))
                label.append(number)
                split.append(person % 6 < 4)
    cues, label, train = np.array(cues), np.array(label), np.array(split)
    auc = trivial_cues.probe_auc(cues[train], label[train], cues[~train], label[~train])
    assert auc < 0.65
