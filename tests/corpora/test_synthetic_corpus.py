import collections
import csv
import hashlib
import itertools

import cv2
import numpy as np
import pytest

from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.corpora.synthetic import forgery, portrait, scene
from dfjax.faces import detect
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import video

SETTINGS = synthetic.Settings(seed=3, identities=18, frames=2)
SIDES = (scene.SIZE, scene.SIZE)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus")
    synthetic.write_corpus(root, SETTINGS)
    return root


def read_rows(root):
    with open(root / "manifest.csv", newline="") as file:
        return list(csv.DictReader(file))


def hash_files(root):
    files = sorted(path for path in root.rglob("[!.]*") if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_bytes_depend_on_the_seed_and_not_on_processes_or_interruptions(root, tmp_path):
    first, second, *others = sorted((root / "clips").iterdir())
    (tmp_path / "clips").mkdir()
    # All but two clips are done, and a third process died in the middle of one of them.
    for path in others:
        (tmp_path / "clips" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "clips" / f".1.{first.name}").write_bytes(b"half a clip")
    kept = (tmp_path / "clips" / others[0].name).stat().st_mtime_ns
    synthetic.write_corpus(tmp_path, SETTINGS, jobs=2)
    assert hash_files(tmp_path) == hash_files(root)
    assert (tmp_path / "clips" / second.name).read_bytes() == second.read_bytes()
    assert (tmp_path / "clips" / others[0].name).stat().st_mtime_ns == kept


def test_another_seed_shows_other_people():
    ours, theirs = (synthetic.film(synthetic.Settings(seed, 18, 1), 0, 0) for seed in (3, 4))
    difference = np.abs(ours.frames[0].astype(int) - theirs.frames[0])
    assert difference.mean() > 10


def test_splits_share_no_identity_and_no_pair(root):
    splits = collections.defaultdict(set)
    for row in read_rows(root):
        for name in [row["pair"], *row["group"].split(";")]:
            splits[name].add(row["split"])
    assert len(splits) == 18 + 18 * synthetic.TAKES
    assert {len(found) for found in splits.values()} == {1}


def test_every_original_has_one_fake_and_every_split_all_methods_alike(root):
    rows = read_rows(root)
    assert tuple(rows[0]) == synthetic.COLUMNS
    pairs = collections.defaultdict(list)
    for row in rows:
        pairs[row["pair"]].append(row)
    for real, fake in pairs.values():
        assert (real["label"], real["method"], fake["label"]) == ("real", "real", "fake")
        sitter = real["group"]
        assert sitter in fake["group"].split(";")
        assert (fake["group"] == sitter) == (fake["method"] == "mouth")
    counts = collections.Counter((row["split"], row["method"]) for row in rows)
    for split, size in (("train", 24), ("val", 6), ("test", 6)):
        assert counts[split, "real"] == size
        assert {counts[split, method] for method in synthetic.METHODS} == {size // 3}


def test_clips_decode_to_what_the_manifest_promises(root):
    rows = read_rows(root)
    assert {row["path"] for row in rows} == {f"clips/{p.name}" for p in (root / "clips").iterdir()}
    clip = video.read_video(root / rows[0]["path"])
    assert (clip.num_decoded, clip.fps, clip.frames[0].shape) == (2, 25.0, (*SIDES, 3))
    original = synthetic.film(SETTINGS, 0, 0).frames[0]
    assert np.abs(clip.frames[0].astype(int) - original).mean() < 5


@pytest.mark.parametrize("block", [0, 1, 2])
def test_a_fake_differs_inside_the_face_and_nowhere_else(block):
    person = 6 * block
    original = synthetic.film(SETTINGS, person, 0)
    fake = synthetic.forge(SETTINGS, person, 0, original)
    for real_frame, fake_frame, pose in zip(original.frames, fake, original.poses, strict=True):
        points = original.sitter.landmarks(pose)
        # An open mouth moves the chin by less than these pixels.
        face = cv2.convexHull(points).reshape(-1, 2)
        face = face.mean(0) + 1.4 * (face - face.mean(0))
        inside = cv2.fillConvexPoly(np.zeros(SIDES, np.uint8), face.astype(np.int32), 1) > 0
        changed = (real_frame != fake_frame).any(-1)
        assert changed[inside].mean() > 0.05
        assert not changed[~inside].any()


def test_the_mask_of_a_part_ends_where_it_says():
    original = synthetic.film(SETTINGS, 0, 0)
    points = original.sitter.landmarks(original.poses[0])
    for part, (grow, seam) in itertools.product(portrait.PARTS, [(2, 4), (5, 8)]):
        mask = forgery.part_mask(SIDES, points, part, grow, seam)
        hull = cv2.convexHull(points[list(portrait.PARTS[part])])
        y, x = np.nonzero(mask)
        distance = [
            -cv2.pointPolygonTest(hull, (float(a), float(b)), True)
            for a, b in zip(x, y, strict=True)
        ]
        assert grow < max(distance) <= grow + seam * np.sqrt(2) + 1
        assert mask[tuple(np.rint(hull.mean((0, 1))).astype(int)[::-1])] == 1


def test_warp_brings_points_where_they_belong():
    rng = np.random.default_rng(0)
    points = np.float32([(20, 30), (70, 25), (45, 50), (30, 80), (65, 75), (48, 20)])
    new_points = points + rng.uniform(-4, 4, points.shape) + (10, 5)
    y, x = np.mgrid[:120, :120].astype(np.float32)
    window = np.s_[0:110, 0:110]
    bent = forgery.warp(np.dstack([x, y]), points, new_points, window)
    # A picture of its own coordinates: what lies at a new point is the old one.
    found = [cv2.getRectSubPix(bent[..., i], (1, 1), tuple(p)) for p in new_points for i in (0, 1)]
    np.testing.assert_allclose(np.reshape(found, (-1, 2)), points, atol=0.7)


def test_matched_colours_have_the_mean_of_their_surroundings():
    rng = np.random.default_rng(0)
    picture = rng.uniform(0.2, 0.4, (32, 32, 3)).astype(np.float32)
    around = rng.integers(120, 180, (32, 32, 3), np.uint8)
    mask = np.ones((32, 32), np.float32)
    none = np.zeros(3, np.float32)
    matched = forgery.match_colour(picture, around, mask, 1.0, none)
    np.testing.assert_allclose(matched.mean((0, 1)), around.mean((0, 1)), atol=2)
    unmatched = forgery.match_colour(picture, around, mask, 0.0, none)
    np.testing.assert_allclose(unmatched, 255 * picture, atol=0.5)


def test_dlib_finds_the_face_where_it_is_drawn():
    finder = detect.FaceDetector(CropSpec(detection_border=0.0))
    num_found = 0
    for person in range(40):
        take = synthetic.film(synthetic.Settings(frames=1), person, 0)
        faces = finder.detect(take.frames[0])
        points = take.sitter.landmarks(take.poses[0])
        middle = points[list(portrait.PARTS["face"])].mean(0)
        if len(faces) == 1:
            centre = faces[0].box.reshape(2, 2).mean(0)
            num_found += np.linalg.norm(centre - middle) < 20
    assert num_found >= 38


def test_too_few_identities_are_refused(tmp_path):
    with pytest.raises(ValueError, match="use 12 or more"):
        synthetic.write_corpus(tmp_path, synthetic.Settings(identities=11))
