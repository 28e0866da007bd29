"""The crop is the one that the spec describes, wherever and however large the face is."""

import dataclasses
import subprocess
import sys

import cv2
import numpy as np
import pytest

from dfjax.faces import align
from dfjax.faces.crop_spec import CropSpec

# The table for a crop of side 1 at scale 1.3: eyes, nose tip, mouth corners.
TABLE = [(0.3784, 0.4704), (0.6204, 0.4691), (0.5002, 0.6081), (0.4007, 0.7498), (0.6012, 0.7487)]
AS_IS = CropSpec(crops="as-is", detector="none", landmarks=0)


def five_landmarks(spec: CropSpec) -> np.ndarray:
    """A face that already is in place: eye corners 20 pixels left and right of the eye centers."""
    left, right, nose = align.template(spec)
    outwards = np.array([20.0, 0.0])
    return np.stack([right + outwards, right - outwards, left - outwards, left + outwards, nose])


def moved(points: np.ndarray, scale: float, degrees: float, shift) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return scale * points @ np.array([[c, -s], [s, c]]).T + np.asarray(shift)


def texture(height: int, width: int) -> np.ndarray:
    """A smooth picture, so that resampling it twice changes little."""
    noise = (
        np.random.default_rng(0).uniform(0, 255, (height // 8, width // 8, 3)).astype(np.float32)
    )
    return (
        cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        .clip(0, 255)
        .astype(np.uint8)
    )


BOX = np.zeros(4)


def test_the_template_is_the_tables():
    spec = CropSpec(landmarks=68)
    np.testing.assert_allclose(align.template(spec), 256 * np.array(TABLE), atol=256 * 6e-5)
    np.testing.assert_allclose(
        align.template(CropSpec(size=100))[:2], np.array(TABLE[:2]) * 100, atol=6e-3
    )
    # Twice the scale: everything half as far from the centre.
    wide = align.template(dataclasses.replace(spec, scale=2.6))
    np.testing.assert_allclose(wide - 128, (align.template(spec) - 128) / 2)


@pytest.mark.parametrize(
    ("scale", "degrees"), [(1.0, 0.0), (0.4, 25.0), (2.5, -70.0), (1.3, 180.0)]
)
def test_a_moved_face_lands_on_the_template(scale, degrees):
    spec = CropSpec()
    landmarks = moved(five_landmarks(spec), scale, degrees, (310, 290))
    crop = align.align_face(np.zeros((900, 900, 3), np.uint8), landmarks, BOX, spec)
    np.testing.assert_allclose(crop.landmarks, five_landmarks(spec), atol=1e-3)
    assert crop.scale == pytest.approx(1 / scale)
    assert (crop.image.shape, crop.image.dtype) == ((256, 256, 3), np.uint8)
    assert crop.landmarks.dtype == crop.box.dtype == np.float32


def test_the_fit_is_the_least_squares_one():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(2, 5, 2))
    # x' = a x - b y + c and y' = b x + a y + d, as a linear system in (a, b, c, d).
    x, y = source.T
    zero, one = np.zeros(5), np.ones(5)
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(rows, target.T.reshape(-1), rcond=None)[0]
    np.testing.assert_allclose(align.similarity(source, target), [[a, -b, c], [b, a, d]])


def test_68_landmarks_are_aligned_by_five_of_them():
    spec = CropSpec(landmarks=68)
    landmarks = np.full((68, 2), 1e4)
    landmarks[[37, 44, 30, 49, 55]] = moved(align.template(spec), 0.5, 10, (200, 200))
    crop = align.align_face(np.zeros((600, 600, 3), np.uint8), landmarks, BOX, spec)
    np.testing.assert_allclose(
        crop.landmarks[[37, 44, 30, 49, 55]], 256 * np.array(TABLE), atol=0.02
    )


@pytest.mark.parametrize(("scale", "degrees"), [(1.0, 30.0), (2.0, 0.0), (3.3, -20.0)])
def test_the_crop_does_not_depend_on_where_the_face_is(scale, degrees):
    spec = CropSpec()
    face = texture(256, 256)
    want = align.align_face(face, five_landmarks(spec), BOX, spec).image
    np.testing.assert_array_equal(want, face)
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    matrix = np.array([[c, -s, 400.0], [s, c, 400.0]])
    frame = cv2.warpAffine(face, matrix, (1400, 1400), flags=cv2.INTER_CUBIC)
    landmarks = five_landmarks(spec) @ matrix[:, :2].T + matrix[:, 2]
    got = align.align_face(frame, landmarks, BOX, spec).image
    inner = np.s_[8:-8, 8:-8]
    assert np.abs(got[inner].astype(int) - want[inner]).mean() < 2.0


def test_shrinking_averages_instead_of_skipping():
    spec = CropSpec(size=64)
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 200  # far too fine for the crop: all that is left is their mean
    landmarks = 10 * five_landmarks(spec)
    crop = align.align_face(stripes, landmarks, BOX, spec)
    assert crop.scale == pytest.approx(0.1)
    np.testing.assert_allclose(crop.image.astype(int), 100, atol=3)


def test_outside_the_frame_the_crop_is_reflected_and_counted():
    spec = CropSpec(size=100)
    frame = texture(200, 200)
    shift = np.array([-30, -20])  # crop pixel (x, y) shows frame pixel (x - 30, y - 20)
    crop = align.align_face(frame, five_landmarks(spec) + shift, BOX, spec)
    rows, columns = np.abs(np.arange(100) - 20), np.abs(np.arange(100) - 30)
    np.testing.assert_array_equal(crop.image, frame[rows][:, columns])
    assert crop.padded == pytest.approx(1 - 0.7 * 0.8)
    inside = align.align_face(frame, five_landmarks(spec) + 40, BOX, spec)
    assert inside.padded == 0.0


def test_as_is_resizes_the_whole_picture():
    image = np.repeat(np.repeat(texture(256, 256), 2, axis=0), 4, axis=1)
    crop = align.resize_crop(image, AS_IS)
    np.testing.assert_array_equal(crop.image, texture(256, 256))
    assert crop.landmarks.shape == (0, 2)
    assert crop.box.tolist() == [0, 0, 1024, 512]
    assert (crop.scale, crop.padded) == (pytest.approx(0.125**0.5), 0.0)


def test_a_spec_survives_json_and_can_be_a_key():
    for spec in (CropSpec(), AS_IS, CropSpec(landmarks=68, faces="all", detector="mmod")):
        assert CropSpec.from_json(spec.to_json()) == spec
        assert {spec: 1}[CropSpec.from_json(spec.to_json())] == 1
    assert CropSpec(scale=1).to_json() == CropSpec(scale=1.0).to_json()


def test_two_specs_are_told_apart_by_field():
    message = r"the checkpoint has .* scale 1\.65 instead of 1\.3, size 128 instead of 256:"
    with pytest.raises(ValueError, match=message):
        CropSpec().require_equal(CropSpec(scale=1.65, size=128), "the checkpoint")
    CropSpec().require_equal(CropSpec(), "the checkpoint")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detector": "yunet"}, "detector 'yunet' is unknown: use one of"),
        ({"landmarks": 81}, "landmarks 81 is unknown"),
        ({"size": 256.0}, "size is 256.0: use int"),
        ({"scale": float("nan")}, "scale is nan: use 0.5 to 4.0"),
        ({"upsample": True}, "upsample is True: use int"),
        ({"crops": "as-is"}, "'as-is' goes with 'none' and 0"),
        ({"landmarks": 0}, "'align' with a detector"),
    ],
)
def test_a_wrong_spec_says_what_is_right(change, message):
    with pytest.raises(ValueError, match=message):
        CropSpec(**change)
    fields = CropSpec().to_json() | change
    with pytest.raises(ValueError, match=message):
        CropSpec.from_json(fields)


def test_a_spec_with_other_fields_is_refused():
    fields = CropSpec().to_json()
    del fields["scale"]
    with pytest.raises(ValueError, match=r"\['margin', 'scale'\]"):
        CropSpec.from_json(fields | {"margin": 1.3})


def test_reading_a_spec_needs_no_dlib():
    script = "import sys, dfjax.faces.align; assert 'dlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
