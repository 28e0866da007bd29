"""What an evaluation reports, and what it refuses."""

import csv
import json
import shutil

import numpy as np
import pytest
import sklearn.metrics

from dfjax import evaluate, model_card, train, walk
from dfjax.corpora import folder
from dfjax.errors import UserError
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import detector
from dfjax.media import image, video
from dfjax.preparation import prepare
from dfjax.preparation.settings import Settings
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
    spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=32, encoding="png")
    prepare.prepare(folder.read_folder(root), out, Settings(spec, num_frames=3))
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
    rows = list(csv.DictReader((folder_name / "scores.csv").read_text().splitlines()))
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
    # Scores are calibrated logits.
    logit = np.array([float(row["logit"]) for row in rows])
    expected = 1 / (1 + np.exp(-logit / found["protocol"]["temperature"]))
    np.testing.assert_allclose(score, expected, atol=1e-12)
    # Each method stands against all reals.
    rows_of_swap = [row["method"] in ("real", "swap") for row in rows]
    assert found["frame"]["methods"]["swap"]["auc"] == pytest.approx(
        sklearn.metrics.roc_auc_score(label[rows_of_swap], score[rows_of_swap]), abs=1e-12
    )
    assert set(found["frame"]["methods"]) == {"swap", "splice"}
    cues = found["trivial_cues"]
    assert (cues["crops"], cues["of"]) == (8 * 3, 8 * 3)
    assert cues["auc"]["model"]["frame"] == pytest.approx(found["frame"]["auc"], abs=1e-12)
    assert set(cues["auc"]) == {"linear", "boosted", "model"}
    assert cues["auc"]["linear"] == {"frame": 1, "video": 1}  # the upper half of fakes is brighter
    assert "swap" in capsys.readouterr().out


def test_card_s_decisions_hold_the_error_rate_on_the_files_they_were_fitted_to(clips, trained):
    config = tiny_run.make_config(
        clips, **{"eval.abstain_error_rate": 0.2, "eval.data": (f"{clips}:val",)}
    )
    found = evaluate.evaluate(config, trained)[f"{clips}:val"]["verdicts"]["video"]
    decision = model_card.read(trained).decision("video")
    assert decision.error_rate == 0.2
    assert decision.fitted_on == {"real": 4, "fake": 4, "frames": 3}
    assert found["reals_called_fake"] <= 0.2
    assert found["fakes_called_real"] <= 0.2
    low, high = decision.bounds(3)
    assert low <= decision.threshold <= high
    # The written rows tell the same: scores of a clip, its mean, its verdict.
    rows = csv.DictReader(
        (trained / "eval" / f"{clips.name}-val" / "scores.csv").read_text().splitlines()
    )
    rows = sorted(rows, key=lambda row: int(row["frame"]))  # sums depend on the order
    scores: dict[tuple[str, int], list[float]] = {}
    for row in rows:
        assert (row["track"], row["quality"]) == ("0", "")
        scores.setdefault((row["clip"], int(row["label"])), []).append(float(row["score"]))
    verdicts = [(label, decision.decide(np.mean(each), 3)) for (_, label), each in scores.items()]
    for name, label in (("real", 0), ("fake", 1)):
        counts = {word: verdicts.count((label, word)) for word in found["counts"][name]}
        assert counts == found["counts"][name]


def test_evaluating_again_keeps_the_error_rate_and_says_what_changes(clips, trained, capsys):
    evaluate.evaluate(tiny_run.make_config(clips, **{"eval.abstain_error_rate": 0.3}), trained)
    before = model_card.read(trained)
    capsys.readouterr()
    evaluate.evaluate(tiny_run.make_config(clips, **{"eval.data": (f"{clips}:val",)}), trained)
    assert model_card.read(trained) == before
    assert "model card changed" not in capsys.readouterr().out
    evaluate.evaluate(tiny_run.make_config(clips, **{"eval.abstain_error_rate": 0.2}), trained)
    assert "changed in decisions (error rate 0.3 before, 0.2 now)" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"eval.abstain_error_rate 0.0: use one between"):
        evaluate.evaluate(tiny_run.make_config(clips, **{"eval.abstain_error_rate": 0.0}), trained)
    with pytest.raises(ValueError, match=r"eval.gate_crops is 10: use 100 or more .*, or 0 for no"):
        evaluate.check(tiny_run.make_config(clips, **{"eval.gate_crops": 10}))
    assert model_card.read(trained).decision("frame").error_rate == 0.2


def test_data_that_the_model_was_trained_on_are_marked(clips, trained, capsys):
    config = tiny_run.make_config(clips, **{"eval.data": (f"{clips}:train", f"{clips}:test")})
    found = evaluate.evaluate(config, trained)
    own, held_out = found[f"{clips}:train"], found[f"{clips}:test"]
    assert own["shared_with_training"]["clip"] == 8
    assert own["shared_with_training"]["identical"] == 8
    assert not any(held_out["shared_with_training"].values())
    (note,) = held_out["notes"]
    assert note.startswith("verdicts on videos rest on 4 real and 4 fake validation files")
    printed = capsys.readouterr().out
    assert f"{clips}:train: shares 8 clips" in printed
    assert f"{clips}:test: shares" not in printed


def test_datasets_of_one_name_keep_their_own_results(clips, trained, tmp_path):
    others = []
    for parent in ("one", "two"):
        others.append(tmp_path / parent / clips.name)
        shutil.copytree(clips, others[-1])
    targets = tuple(f"{each}:test" for each in others)
    evaluate.evaluate(tiny_run.make_config(clips, **{"eval.data": targets}), trained)
    results = {}
    for path in sorted((trained / "eval").glob(f"*{clips.name}-test/metrics.json")):
        results[path.parent.name] = json.loads(path.read_text())["path"]
        assert (path.parent / "scores.csv").exists()
    # Curves are no pictures for predict to judge.
    assert [folder for folder, _, _ in walk.walk(trained / "eval")] == [str(trained / "eval")]
    assert {str(each) for each in others} <= set(results.values())
    assert len(set(results.values())) == len(results)
    # Again into the same folders, also in another order and one by one.
    for target in targets[::-1]:
        evaluate.evaluate(tiny_run.make_config(clips, **{"eval.data": (target,)}), trained)
    again = {
        path.parent.name: json.loads(path.read_text())["path"]
        for path in sorted((trained / "eval").glob(f"*{clips.name}-test/metrics.json"))
    }
    assert again == results


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A prepared dataset of pictures of 12 px and, in all splits but train, short clips.

    Half of the test pictures are black: too dark to be judged.
    """
    root = tmp_path_factory.mktemp("mixed")
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    for split in ("train", "val", "test"):
        for number in range(12):
            label = number % 2
            picture = rng.integers(0, 200, (12, 12, 3), np.uint8)
            picture[:6] += np.uint8(55 * label)
            if split == "test" and number >= 6:
                picture //= 40
            name = f"{split}{number}.png"
            (root / name).write_bytes(image.encode_image(picture, "png"))
            rows.append(f"{name},{label},{split}")
        for label in (0, 1) if split != "train" else ():
            frames = rng.integers(0, 200, (4, 32, 32, 3), np.uint8)
            video.write_video(root / f"{split}{label}.mp4", frames, fps=25, crf=10)
            rows.append(f"{split}{label}.mp4,{label},{split}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path_factory.mktemp("prepared_mixed")
    spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=48, encoding="png")
    prepare.prepare(folder.read_folder(root), out, Settings(spec, num_frames=3))
    return root, out


def test_pictures_and_videos_are_levels_of_their_own_and_small_pictures_are_judged(mixed, tmp_path):
    root, out = mixed
    config = tiny_run.make_config(out, **{"eval.abstain_error_rate": 0.4})
    train.train(config, tmp_path)
    found = evaluate.evaluate(config, tmp_path)[f"{out}:test"]
    assert (found["pictures"], found["videos"]) == (12, 2)
    assert (found["frame"]["real"], found["frame"]["fake"]) == (6 + 3, 6 + 3)
    assert (found["video"]["real"], found["video"]["fake"]) == (1, 1)
    card = model_card.read(tmp_path)
    assert {k: d.fitted_on["real"] for k, d in card.decisions.items()} == {
        "frame": 6 + 3,
        "image": 6,
        "video": 1,
    }
    # Enlarged four times, as all that the model was trained on.
    assert card.quality.max_enlargement == pytest.approx(4.0)
    pictures = found["verdicts"]["image"]
    assert pictures["reasons"].get("too_small") is None
    assert pictures["reasons"]["too_dark"] == 6
    assert pictures["verdicts"] <= 6
    judged = detector.Detector.load(tmp_path).file(root / "test0.png")
    assert judged.faces[0].quality is None
    assert judged.verdict.reason in (None, "undecided")


def test_model_of_pictures_says_so_when_it_judges_a_video(prepared, run, clips):
    card = model_card.read(run)
    assert set(card.decisions) == {"frame", "image"}
    model = detector.Detector.load(run)
    noise = np.random.default_rng(0).integers(0, 200, (4, 40, 40, 3), np.uint8)
    video.write_video(prepared.parent / "judged.mp4", noise, fps=25, crf=10)
    warnings = model.file(prepared.parent / "judged.mp4").warnings
    assert "not fitted to videos" in warnings[-1]
    assert not any("not fitted" in each for each in model.image(noise[0]).warnings)


def test_data_of_another_crop_spec_is_refused_unless_asked_for(prepared, clips, trained):
    target = f"{prepared}:test"
    with pytest.raises(ValueError, match="has other face crops: size 40 instead of 32"):
        evaluate.evaluate(tiny_run.make_config(clips, **{"eval.data": (target,)}), trained)
    changes = {"eval.data": (target,), "eval.allow_other_crops": True}
    found = evaluate.evaluate(tiny_run.make_config(clips, **changes), trained)
    # Pictures are clips of one frame: there is nothing to average.
    assert "video" not in found[target]
    assert found[target]["frame"]["real"] == 5


def test_a_split_without_a_class_is_refused_before_anything_is_scored(
    clips, trained, one_class, tmp_path
):
    targets = (f"{clips}:test", f"{one_class}:test")
    message = rf"{one_class}:test \(eval\.data\) has 2 real and 0 fake crops, and both classes"
    config = tiny_run.make_config(clips, **{"eval.data": targets})
    with pytest.raises(UserError, match=message):
        evaluate.evaluate(config, trained, tmp_path / "out")
    with pytest.raises(UserError, match=message.replace(r"eval\.data", "--data")):
        evaluate.evaluate_export("nowhere", targets, tmp_path / "out")
    with pytest.raises(UserError, match=message):
        evaluate.check(config)
    assert not (tmp_path / "out").exists()


def test_what_would_end_an_evaluation_late_is_refused_first(clips, trained, tmp_path):
    (tmp_path / "file").touch()
    config = tiny_run.make_config(clips)
    with pytest.raises(UserError, match=r"file is a file: give a folder"):
        evaluate.evaluate(config, trained, tmp_path / "file")
    with pytest.raises(UserError, match=r"out cannot be written to \(Not a directory\)"):
        evaluate.evaluate(config, trained, tmp_path / "file" / "out")
    for changes, message in [
        ({"eval.abstain_error_rate": 0.5}, "eval.abstain_error_rate 0.5: use one between"),
        ({"data.test_split": "dev"}, "has no split 'dev': use one of train, val, test"),
        ({"eval.data": (f"{clips}:dev",)}, "has no split 'dev'"),
        ({"eval.data": ("test",)}, "'test' is not a split: give DIR:SPLIT"),
    ]:
        with pytest.raises(UserError, match=message):
            evaluate.check(tiny_run.make_config(clips, **changes))
    with pytest.raises(FileNotFoundError, match="nowhere holds no prepared dataset"):
        evaluate.check(tiny_run.make_config(clips, **{"eval.data": ("nowhere:test",)}))


def test_evaluation_without_a_checkpoint_says_so(clips, trained, tmp_path):
    for name in ("config.json", "crop_spec.json", "dataset.json"):
        shutil.copy(trained / name, tmp_path)
    with pytest.raises(ValueError, match="holds no checkpoint: train first"):
        evaluate.evaluate(tiny_run.make_config(clips), tmp_path)


@pytest.mark.usefixtures("quick_compilation")
def test_a_run_on_reals_of_two_datasets_is_trained_and_evaluated(one_class, tmp_path):
    changes = {
        "data.train_split": "test",  # two reals; only train, here for validation, has fakes
        "data.val_split": "train",
        "data.more": ((f"{one_class}:val", 2.0),),
        "blend.share": 1.0,
        "eval.data": (f"{one_class}:train",),
    }
    config = tiny_run.make_config(one_class, **changes)
    train.train(config, tmp_path)
    evaluate.evaluate(config, tmp_path)
    report = json.loads((tmp_path / "eval" / "report.json").read_text())
    assert report["datasets"][0]["trivial_cues"] is None
    card = model_card.read(tmp_path)
    assert card.protocol["trained_on"] == f"{one_class}:test, {one_class}:val"
