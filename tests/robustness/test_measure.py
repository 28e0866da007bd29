"""What a robustness run writes, of real models on real files, and that it can be interrupted."""

import csv
import json
import shutil

import numpy as np
import pytest
import sklearn.metrics

from dfjax import cli
from dfjax.corpora import folder
from dfjax.distortions import suite
from dfjax.errors import UserError
from dfjax.evaluators import score_table
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.evaluators.score_table import ScoreTable
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import scorer
from dfjax.media import image, video
from dfjax.preparation import crop_clip, crop_store, prepare
from dfjax.preparation.settings import Settings
from dfjax.robustness import measure, report, summary
from dfjax.robustness.full_frames import FullFrames
from dfjax.robustness.stored_crops import StoredCrops

SPEC = CropSpec(crops="as-is", detector="none", landmarks=0, size=40, encoding="png")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of 3 real and 3 fake films of 5 frames, 40 pixels wide, and of as many pictures."""
    root = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    for kind, bright in (("real", 0), ("fake", 55)):
        (root / "test" / kind).mkdir(parents=True)
        for number in range(3):
            frames = rng.integers(0, 200, (5, 40, 40, 3), np.uint8)
            frames[:, :12, :12] += np.uint8(bright)
            place = root / "test" / kind
            video.write_video(place / f"{number}.mp4", frames, fps=25, crf=8)
            (place / f"p{number}.png").write_bytes(image.encode_image(frames[0], "png"))
    return root


@pytest.fixture(scope="module")
def films(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared_films")
    prepare.prepare(folder.read_folder(root), out, Settings(SPEC, num_frames=4))
    return out


@pytest.fixture(scope="module")
def model(run):
    return scorer.load(run)


def measured(model, data, out, *, types, levels=(1, 5), root=None, seed=0):
    target = EvalTarget.open(f"{data}:test")
    source = StoredCrops(target)
    if root is not None:
        source = FullFrames(target, folder.read_folder(root), jobs=2)
    return measure.measure(
        model, target, source, out, distortions=suite.choose(types), levels=levels, seed=seed
    )


def scores(out, condition: str) -> ScoreTable:
    return score_table.read(out / "scores" / condition / score_table.PARQUET_FILE)


def test_numbers_follow_from_the_scores_that_are_kept(model, films, tmp_path, capsys):
    found = measured(model, films, tmp_path, types=["noise", "blocks", "text"])
    assert found == json.loads((tmp_path / report.JSON_FILE).read_text())
    assert (found["kind"], found["synthetic"], found["clips"]) == ("crops", False, 12)
    assert [each["name"] for each in found["types"]] == ["noise", "blocks", "text"]
    for each in found["types"]:
        values = [level["auc"]["value"] for level in each["levels"]]
        assert each["mean"] == pytest.approx(np.mean(values))
        assert each["worst"] == min(values)
        for level in each["levels"]:
            table = scores(tmp_path, f"{each['name']}-{level['level']}")
            clips = sorted(set(table.clip))
            rows = [table.clip == clip for clip in clips]
            label = [table.label[row][0] for row in rows]
            score = [table.score[row].mean() for row in rows]  # one face in each frame
            auc = sklearn.metrics.roc_auc_score(label, score)
            assert level["auc"]["value"] == pytest.approx(auc, abs=1e-12)
            assert level["auc"]["low"] <= auc <= level["auc"]["high"]
    assert found["mean"] == pytest.approx(np.mean([each["mean"] for each in found["types"]]))
    worst = found["worst_at"]
    assert found["worst"] == min(each["worst"] for each in found["types"])
    assert worst["type"] in ("noise", "blocks", "text")

    assert found["types"][1]["mean"] == found["clean"]["auc"]["value"]  # none fits in 40 pixels
    assert any("blocks leaves crops of 40 px as they are" in note for note in found["notes"])
    rows = list(csv.DictReader((tmp_path / report.CSV_FILE).read_text().splitlines()))
    assert [row["type"] for row in rows] == [
        "clean",
        *["noise"] * 2,
        *["blocks"] * 2,
        *["text"] * 2,
    ]
    assert float(rows[1]["auc"]) == found["types"][0]["levels"][0]["auc"]["value"]
    assert image.read_image(tmp_path / report.PLOT_FILE).std() > 0
    printed = capsys.readouterr().out
    assert "stored crops distorted" in printed
    assert f"{found['mean']:.4f}" in printed


def test_full_frames_undistorted_give_what_was_prepared(model, films, root, tmp_path):
    types = ["jpeg", "avif", "h265"]  # of both kinds of encoders that start threads
    stored = measured(model, films, tmp_path / "crops", types=types, levels=[3])
    frames = measured(model, films, tmp_path / "frames", types=types, levels=[3], root=root)
    assert (stored["kind"], frames["kind"]) == ("crops", "frames")
    # Faces are the whole picture here, at their size: distorting before or after is the same.
    for condition in ("clean-0", "jpeg-3", "avif-3", "h265-3"):
        tables = scores(tmp_path / "crops", condition), scores(tmp_path / "frames", condition)
        assert tables[0].clip.tolist() == tables[1].clip.tolist()
        assert tables[0].frame.tolist() == tables[1].frame.tolist()
        np.testing.assert_allclose(tables[0].logit, tables[1].logit, atol=1e-5)
    assert not (tmp_path / "frames" / "work").exists()


def test_what_is_finished_is_kept_and_the_rest_is_the_same_again(model, films, tmp_path):
    found = measured(model, films, tmp_path, types=["noise"], levels=[1, 2])
    places = [
        tmp_path / "scores" / name / score_table.PARQUET_FILE for name in ("noise-1", "noise-2")
    ]
    before = places[0].stat().st_mtime_ns
    shutil.rmtree(places[1].parent)
    assert measured(model, films, tmp_path, types=["noise"], levels=[1, 2]) == found
    assert places[0].stat().st_mtime_ns == before
    with pytest.raises(UserError, match="seed 0 instead of 1"):
        measured(model, films, tmp_path, types=["noise"], seed=1)
    other = measured(model, films, tmp_path / "other", types=["noise"], levels=[1], seed=1)
    logits = [scores(out, "noise-1").logit for out in (tmp_path, tmp_path / "other")]
    assert not np.array_equal(*logits)
    assert other["clean"] == found["clean"]


def test_full_frames_go_on_after_the_clips_that_are_finished(films, root, tmp_path):
    source = FullFrames(EvalTarget.open(f"{films}:test"), folder.read_folder(root), jobs=1)
    condition = suite.Condition("jpeg", 3)
    reading = source.read(condition, tmp_path)
    first = next(reading)
    reading.close()
    with crop_store.CropStore(tmp_path / "jpeg-3") as store:
        known = [store.outcome(clip) for clip in folder.read_folder(root)]
    assert 0 < sum(outcome is not None for outcome in known) < len(source)
    faces = {each.clip: each for each in source.read(condition, tmp_path)}
    assert len(faces) == len(source)
    np.testing.assert_array_equal(faces[first.clip].crops, first.crops)
    assert not (tmp_path / "jpeg-3").exists()


def test_a_clip_without_a_face_scores_half():
    def table(*rows) -> ScoreTable:
        clip, label, frame, score = (np.array(column) for column in zip(*rows, strict=True))
        zeros, text = np.zeros(len(rows), int), clip.astype(object)
        score = score.astype(float)
        return ScoreTable(
            text, text, text, frame, zeros * np.nan, zeros, zeros, label, score, score
        )

    # Reals .2 and .6; the fake's .5 is above the first only.
    found = summary.measure(
        table(("a", 0, 0, 0.1), ("a", 0, 1, 0.3), ("b", 0, 0, 0.6), ("c", 1, -1, np.nan))
    )
    assert (found["auc"]["value"], found["without_face"]) == (0.5, 1)
    nothing = summary.measure(table(("a", 0, -1, np.nan), ("c", 1, -1, np.nan)))
    assert (nothing["auc"]["value"], nothing["without_face"]) == (0.5, 2)


def test_faces_are_looked_for_in_the_distorted_frames(clip):
    from dfjax.corpora.clip import Clip

    spec = CropSpec(size=64)
    film = Clip("c/real/clip", str(clip), 0, "real", "test", ())
    found = crop_clip.crop_clip(film, spec, 3)
    assert len(found.crops) == 3

    def mirror_or_darken(frames):
        return [frames[0][:, ::-1].copy(), *(frame * 0 for frame in frames[1:])]

    changed = crop_clip.crop_clip(film, spec, 3, change=mirror_or_darken)
    (crop,) = changed.crops
    assert crop["frame"] == found.crops[0]["frame"]
    width = video.read_video(clip, 1).frames[0].shape[1]
    middle = [each["box"][[0, 2]].mean() for each in (found.crops[0], crop)]
    assert sum(middle) == pytest.approx(width, abs=0.1 * width)


def test_command_names_what_does_not_fit(exported, films, root, tmp_path, capsys):
    def fails(*options: str) -> str:
        base = ["robustness", "--model", str(exported), "--runtime", "stablehlo"]
        base += ["--data", f"{films}:test", "--out", str(tmp_path / "out")]
        assert cli.main([*base, *options]) == 2
        return capsys.readouterr().err

    assert "unknown type fog" in fails("--types", "fog")
    assert "unknown level 9" in fails("--levels", "9")
    assert "--root is for a corpus: add --corpus NAME" in fails("--root", str(root))
    assert "--jobs is for full frames: add --corpus NAME" in fails("--jobs", "2")
    copy = tmp_path / root.name
    shutil.copytree(root, copy)
    shutil.rmtree(copy / "test" / "fake")
    message = fails("--corpus", "folder", "--root", str(copy))
    assert "6 of 12 clips" in message
    assert "the --root that it was prepared from" in message
