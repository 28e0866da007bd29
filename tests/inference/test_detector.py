import collections
import csv
import json
import os
import pathlib
import shutil

import cv2
import numpy as np
import pytest

from dfjax import model_card
from dfjax.corpora.clip import Clip
from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.faces import align
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import live, predict, scorer
from dfjax.inference.detector import Detector
from dfjax.media import image as media_image
from dfjax.media import limits, stream, video
from dfjax.preparation.crop_clip import crop_clip
from tests import cards

SPEC = CropSpec(size=64, detection_border=0.0, encoding="jpeg")


def brightness_logits(crops):
    """A model whose scores a test can compute by hand."""
    return (crops.astype(np.float64).mean((1, 2, 3)) - 110) / 20


def make_detector(spec=SPEC, *, reidentify=False, **card):
    fields = {
        "model": "brightness",
        "arguments": {},
        "image_size": 64,
        "crop_spec": spec,
        "decisions": {"frame": cards.make_threshold()},
        "weights": "0" * 64,
        "step": 1,
        "synthetic": False,
        "protocol": {},
        **card,
    }
    model = scorer.Scorer(model_card.ModelCard(**fields), "flax", brightness_logits, None)
    return Detector(model, reidentify=reidentify)


@pytest.fixture(scope="module")
def take():
    return synthetic.film(synthetic.Settings(frames=24), 3, 0)


@pytest.fixture(scope="module")
def clip(take, tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    video.write_video(path, take.frames, fps=25, crf=12)
    return path


def test_scores_are_those_of_the_crops_that_preparing_makes(clip):
    result = make_detector().video(clip, num_frames=5)
    prepared = crop_clip(Clip("k", str(clip), 0, "real", "test", ()), SPEC, 5)
    assert [face.frame for face in result.faces] == [0, 5, 11, 17, 23]
    assert {face.track for face in result.faces} == {0}
    crops = np.stack([media_image.decode_image(crop["image"]) for crop in prepared.crops])
    np.testing.assert_array_equal(np.stack([face.crop.image for face in result.faces]), crops)
    expected = 1 / (1 + np.exp(-brightness_logits(crops)))
    np.testing.assert_allclose([face.score for face in result.faces], expected, atol=1e-12)
    assert result.verdict.score == pytest.approx(expected.mean(), abs=1e-12)
    assert [face.time for face in result.faces] == [0, 5 / 25, 11 / 25, 17 / 25, 23 / 25]


def test_a_sound_video_above_the_frame_limit_is_not_called_damaged(clip, monkeypatch):
    assert not any("damaged" in warning for warning in make_detector().video(clip).warnings)
    monkeypatch.setattr(limits, "MAX_VIDEO_FRAMES", 11)
    result = make_detector().video(clip, num_frames=3)
    assert [face.frame for face in result.faces] == [0, 5, 10]
    assert not any("damaged" in warning for warning in result.warnings)


def test_everybody_is_judged_also_where_training_looked_at_one(take):
    both = np.concatenate([take.frames[0], take.frames[0][:, ::-1] // 2], axis=1)
    result = make_detector().image(both)
    assert sorted(face.track for face in result.faces) == [0, 1]
    scores = {face.crop.box[0] > 320: face.score for face in result.faces}
    assert scores[False] > scores[True]
    assert result.verdict.score == scores[False]


@pytest.mark.skipif("DFJAX_TEST_DATA" not in os.environ, reason="needs real faces")
@pytest.mark.parametrize(("reidentify", "expected"), [(False, [0, 1, 2]), (True, [0, 1, 0])])
def test_who_comes_back_after_a_cut_is_known_if_that_is_asked_for(tmp_path, reidentify, expected):
    folder = pathlib.Path(os.environ["DFJAX_TEST_DATA"], "studio")
    pictures = collections.defaultdict(list)
    for row in csv.DictReader((folder / "manifest.csv").read_text().splitlines()):
        pictures[row["identity"]].append(folder / row["path"])
    (first, again, *_), (other, *_), *_ = (each for each in pictures.values() if len(each) > 1)
    side = 400
    wide = np.zeros((3, side, 3 * side, 3), np.uint8)  # of each scene the face elsewhere
    for place, path in enumerate((first, other, again)):
        picture = cv2.resize(media_image.read_image(path), (side, side))
        wide[place, :, place * side : (place + 1) * side] = picture
    video.write_video(tmp_path / "cuts.mp4", [*np.repeat(wide, 4, axis=0)], fps=25, crf=12)
    result = make_detector(reidentify=reidentify).video(tmp_path / "cuts.mp4", num_frames=12)
    assert [face.track for face in result.faces] == np.repeat(expected, 4).tolist()


def test_temperature_flattens_scores(take):
    plain = make_detector().image(take.frames[0]).faces[0].score
    flat = make_detector(temperature=2.0).image(take.frames[0]).faces[0].score
    assert np.log(flat / (1 - flat)) == pytest.approx(np.log(plain / (1 - plain)) / 2)


def test_no_face_is_no_score():
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    result = make_detector().image(noise)
    assert (result.verdict.label, result.verdict.score) == ("inconclusive", None)
    assert result.verdict.reason == "no_face"


def test_model_of_pictures_as_they_are_takes_whole_pictures_unless_told_to_align(take):
    as_is = CropSpec(crops="as-is", detector="none", landmarks=0, size=64, encoding="png")
    whole = make_detector(as_is).image(take.frames[0]).faces[0]
    np.testing.assert_array_equal(whole.crop.image, align.resize_crop(take.frames[0], as_is).image)
    card = make_detector(as_is).scorer
    aligned = Detector(card, always_align=True)
    assert "shown aligned faces" in aligned.warnings[0]
    assert aligned.image(take.frames[0]).faces[0].crop.scale != whole.crop.scale


def test_synthetic_models_say_so(take):
    result = make_detector(synthetic=True).image(take.frames[0])
    assert "synthetic" in result.warnings[0]


def test_folder_with_broken_files_gives_every_file_a_row(take, clip, tmp_path):
    folder = tmp_path / "mixed"
    (folder / "below").mkdir(parents=True)
    shutil.copy(clip, folder / "clip.mp4")
    data = media_image.encode_image(take.frames[0], "png")
    (folder / "below" / "<b>face.png").write_bytes(data)
    (folder / "cut.png").write_bytes(data[: len(data) // 2])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "notes.doc").write_text("no picture")
    (folder / "text.mp4").write_text("no video")
    (folder / ".hidden.png").write_bytes(data)
    detector = make_detector()
    rows = predict.predict(
        [str(folder)], detector, tmp_path / "out", num_frames=4, outputs=predict.Outputs()
    )
    found = {row["source"].removeprefix(f"{folder}/"): row for row in rows}
    assert {name: row["reason"] for name, row in found.items()} == {
        "below/<b>face.png": None,
        "clip.mp4": None,
        "cut.png": "corrupt",
        "empty.mp4": "empty",
        "notes.doc": "unsupported",
        "text.mp4": "corrupt",
    }
    for row in rows:
        path = tmp_path / "out" / row["report"]
        assert path.exists()
        told = json.loads(path.with_suffix(".json").read_text())
        assert (told["verdict"]["label"], told["verdict"]["score"]) == (
            row["verdict"],
            row["score"],
        )
        assert "<b>face" not in path.read_text()

    # The same call judges only what changed: rows that are there stay, to the byte.
    before = (tmp_path / "out" / "results.csv").read_bytes()
    shutil.copy(clip, folder / "text.mp4")
    judged = []
    counting = make_detector()
    counting.file = lambda path, **kwargs: judged.append(path) or detector.file(path, **kwargs)
    again = predict.predict(
        [str(folder)], counting, tmp_path / "out", num_frames=4, outputs=predict.Outputs()
    )
    assert judged == [f"{folder}/text.mp4"]
    changed = str(folder / "text.mp4")
    assert [r for r in again if r["source"] != changed] == [
        r for r in rows if r["source"] != changed
    ]
    assert (tmp_path / "out" / "results.csv").read_bytes() != before

    # Other limits are another model, whatever its weights.
    stricter = make_detector(decisions={"frame": cards.make_threshold(1.0)})
    rows = predict.predict(
        [str(folder)], stricter, tmp_path / "out", num_frames=4, outputs=predict.Outputs()
    )
    assert {row["verdict"] for row in rows} == {"real", "inconclusive"}


def test_a_fault_in_the_code_costs_one_row(clip, tmp_path):
    detector = make_detector()
    judge = detector.file

    def fail_once(path, **options):
        if path.endswith("bad.mp4"):
            raise KeyError("surprise")
        return judge(path, **options)

    detector.file = fail_once
    sources = [str(tmp_path / name) for name in ("bad.mp4", "good.mp4")]
    for source in sources:
        shutil.copy(clip, source)
    rows = predict.predict(
        sources, detector, tmp_path / "out", num_frames=3, outputs=predict.Outputs()
    )
    assert [row["reason"] for row in rows] == ["internal", None]
    assert "KeyError: 'surprise'" in rows[0]["text"]


def test_sources_are_expanded(tmp_path, monkeypatch):
    for name in ("a.png", "b.png", "c.mp4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "list.txt").write_text("# two of them\nc.mp4\n\na.png # the first\nmissing.png\n")
    monkeypatch.chdir(tmp_path)
    assert predict.expand(["*.png"]) == ["a.png", "b.png"]
    assert predict.expand(["list.txt", "a.png"]) == ["c.mp4", "a.png", "missing.png"]
    assert predict.expand(["nowhere.mp4"]) == ["nowhere.mp4"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="give pictures or videos"):
        predict.expand(["nothing"])


def test_live_results_are_near_those_of_a_full_search(clip):
    detector = make_detector()
    following = live.LiveDetector(detector, search_every=6)
    with stream.LiveSource(str(clip), keep_all=True) as source:
        results = list(following.run(source))
    assert [result.frame.number for result in results] == list(range(24))
    assert {face.track for result in results for face in result.faces} == {0}
    assert all(len(result.faces) == 1 for result in results)
    reference = detector.video(clip, num_frames=24)
    for result, face in zip(results, reference.faces, strict=True):
        followed = result.faces[0]
        offset = np.linalg.norm(followed.crop.box - face.crop.box) / np.ptp(face.crop.box)
        assert offset < 0.35
        assert abs(followed.score - face.score) < 0.05
    # Five scores of neighbouring frames count as one of the three faces that a verdict needs.
    labels = [result.tracks[0].label for result in results]
    assert labels[:14] == [None] * 14
    assert set(labels[14:]) == {reference.verdict.label}
    scores = [face.score for result in results for face in result.faces]
    assert results[-1].tracks[0].score == pytest.approx(np.mean(scores))
    event = json.loads(json.dumps(live.event(results[-1]), allow_nan=False))
    assert event["faces"][0]["verdict"] == reference.verdict.label
    assert event["passed_over"] == 0


def test_a_face_that_left_is_not_scored_until_the_next_search(take):
    following = live.LiveDetector(make_detector(), search_every=6)
    empty = np.full_like(take.frames[0], 90)
    shown = [take.frames[0], take.frames[1], empty, empty, empty]
    results = [
        following.look(stream.LiveFrame(number, 0.0, lambda image=image: image))
        for number, image in enumerate(shown)
    ]
    assert [len(result.faces) for result in results] == [1, 1, 0, 0, 0]


def test_live_needs_a_model_with_a_finder():
    as_is = CropSpec(crops="as-is", detector="none", landmarks=0, size=64, encoding="png")
    with pytest.raises(ValueError, match="--align"):
        live.LiveDetector(make_detector(as_is))


def test_api_streams_a_file(clip):
    numbers = [result.frame.number for result in make_detector().stream(str(clip))]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 23
