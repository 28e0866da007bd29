"""What an evaluation reports, and what it refuses."""

import csv
import json
import shutil

import numpy as np
import pytest
import sklearn.metrics

from dfjax import evaluate, model_card, prepare, train
from dfjax.corpora import folder
from dfjax.faces import align
from dfjax.media import image, video
from tests import tiny_run


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A prepared dataset of short clips, as-is: real, and two methods of fakes, in every split."""
    root = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    rows = ["path,label,split,method"]
    for split in ("train", "val", "test"):
        for number, method in enumerate(["", "", "swap", "splice"] * 2):
            frames = rng.integers(0, 200, (4, 32, 32, 3), np.uint8)
            frames[:, :16] += np.uint8(55 * bool(method))
            name = f"{split}{number}.mp4"
            video.write_video(root / name, frames, fps=25, crf=10)
            rows.append(f"{name},{int(bool(method))},{split},{method}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path_factory.mktemp("prepared_clips")
    spec = align.CropSpec(crops="as-is", detector="none", landmarks=0, size=32, encoding="png")
    prepare.prepare(folder.read_folder(root), out, spec=spec, num_frames=3, jobs=1)
    return out


@pytest.fixture(scope="module")
def trained(clips, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("trained")
    train.train(tiny_run.make_config(clips), workdir)
    return workdir


def test_report_agrees_with_scikit_learn_on_its_own_scores(clips, trained, capsys):
    evaluate.evaluate(tiny_run.make_config(clips), trained)
    folder_name = trained / "eval" / f"{clips.name}-test"
    found = json.loads((folder_name / "metrics.json").read_text())
    rows = list(csv.DictReader((folder_name / "scores.csv").open()))
    assert len(rows) == 8 * 3  # every frame once
    label = np.array([int(row["label"]) for row in rows])
    score = np.array([float(row["score"]) for row in rows])
    assert found["frame"]["auc"] == pytest.approx(
        sklearn.metrics.roc_auc_score(label, score), abs=1e-12
    )
    called = score >= found["protocol"]["thresholds"]["frame"]
    assert found["frame"]["f1"] == pytest.approx(
        sklearn.metrics.f1_score(label, called, zero_division=0), abs=1e-12
    )
    names = sorted({row["clip"] for row in rows})
    mean = {
        n: np.mean([s for s, r in zip(score, rows, strict=True) if r["clip"] == n]) for n in names
    }
    clip_label = [next(int(r["label"]) for r in rows if r["clip"] == n) for n in names]
    assert found["video"]["auc"] == pytest.approx(
        sklearn.metrics.roc_auc_score(clip_label, [mean[n] for n in names]), abs=1e-12
    )
    assert (found["video"]["real"], found["video"]["fake"]) == (4, 4)
    # Each method stands against all reals.
    rows_of_swap = [row["method"] in ("real", "swap") for row in rows]
    assert found["frame"]["methods"]["swap"]["auc"] == pytest.approx(
        sklearn.metrics.roc_auc_score(label[rows_of_swap], score[rows_of_swap]), abs=1e-12
    )
    assert set(found["frame"]["methods"]) == {"swap", "splice"}
    assert 0 <= found["trivial_cues_frame_auc"] <= 1
    assert image.read_image(folder_name / "curves.png").shape[2] == 3
    assert "swap" in capsys.readouterr().out


def test_card_s_band_holds_the_error_rate_and_the_threshold(clips, trained):
    config = tiny_run.make_config(clips, **{"eval.error_rate": 0.2, "eval.data": (f"{clips}:val",)})
    evaluate.evaluate(config, trained)
    decision = model_card.read(trained).decision("video")
    rows = csv.DictReader((trained / "eval" / f"{clips.name}-val" / "scores.csv").open())
    scores = {}
    for row in rows:
        scores.setdefault((row["clip"], int(row["label"])), []).append(float(row["score"]))
    verdicts = [(label, decision.decide(np.mean(found))) for (_, label), found in scores.items()]
    assert sum(verdict == "fake" for label, verdict in verdicts if label == 0) <= 0.2 * 4
    assert sum(verdict == "real" for label, verdict in verdicts if label == 1) <= 0.2 * 4
    assert decision.low >= decision.high or decision.low <= decision.threshold <= decision.high


def test_data_of_another_crop_spec_is_refused_unless_asked_for(prepared, clips, trained):
    target = f"{prepared}:test"
    with pytest.raises(ValueError, match="has other face crops: size 40 instead of 32"):
        evaluate.evaluate(tiny_run.make_config(clips, **{"eval.data": (target,)}), trained)
    changes = {"eval.data": (target,), "eval.allow_other_crops": True}
    found = evaluate.evaluate(tiny_run.make_config(clips, **changes), trained)
    # Pictures are clips of one frame: there is nothing to average.
    assert "video" not in found[target]
    assert found[target]["frame"]["real"] == 5


def test_split_without_a_class_is_an_error_in_words_and_keeps_its_scores(clips, trained, tmp_path):
    root = tmp_path / "only_real"
    root.mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    (root / "a.png").write_bytes(image.encode_image(picture, "png"))
    (root / "manifest.csv").write_text("path,label,split\na.png,real,test\n")
    spec = align.CropSpec(crops="as-is", detector="none", landmarks=0, size=32, encoding="png")
    out = tmp_path / "prepared_real"
    prepare.prepare(folder.read_folder(root), out, spec=spec, jobs=1)
    message = "prepared_real:test: metrics need both classes, got 1 real and 0 fake"
    with pytest.raises(ValueError, match=message):
        evaluate.evaluate(tiny_run.make_config(clips, **{"eval.data": (f"{out}:test",)}), trained)
    assert (trained / "eval" / "prepared_real-test" / "scores.csv").exists()


def test_evaluation_without_a_checkpoint_says_so(clips, trained, tmp_path):
    for name in ("config.json", "crop_spec.json"):
        shutil.copy(trained / name, tmp_path)
    with pytest.raises(ValueError, match="holds no checkpoint: train first"):
        evaluate.evaluate(tiny_run.make_config(clips), tmp_path)
