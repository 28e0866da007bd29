"""Defects that make published numbers wrong, planted one by one: caught, or without any effect."""

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dfjax import cli, evaluate, model_card
from dfjax.corpora import folder
from dfjax.corpora.clip import Clip
from dfjax.data import builder
from dfjax.evaluators import protocol, score_table
from dfjax.evaluators.levels import Thresholds
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image
from dfjax.preparation import crop_clip, prepare
from dfjax.preparation.settings import Settings
from tests import tiny_run

AS_IS = CropSpec(crops="as-is", detector="none", landmarks=0, size=32, encoding="png")

pytestmark = pytest.mark.usefixtures("quick_compilation")


def write_scores(path: pathlib.Path, rows, columns: str = "clip,frame,label,score") -> pathlib.Path:
    lines = [columns, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def random_rows(num_clips: int = 40, frames: int = 4):
    """Clips of a detector with an AUC of about 0.8."""
    rng = np.random.default_rng(0)
    for number in range(num_clips):
        label = number % 2
        for frame in range(frames):
            score = 1 / (1 + np.exp(-rng.normal(1.2 * label - 0.6, 1.0)))
            yield f"c/{'swap' if label else 'real'}/{number // 2}", frame, label, score


def leaves(value: Any) -> Iterator[Any]:
    """The keys and values of nested JSON, in order."""
    if isinstance(value, dict | list | tuple):
        for each in value.items() if isinstance(value, dict) else value:
            yield from leaves(each)
    else:
        yield value


def report(path: pathlib.Path) -> dict:
    return protocol.dataset("scores", score_table.read(path), Thresholds(), by=["method"])


def test_videos_of_one_name_in_two_methods_stay_apart(tmp_path):
    # Merged into one video, 000 would score 0.5 in either class.
    rows = [
        ("c/real/000", 0, 0, 0.4),
        ("c/real/000", 1, 0, 0.4),
        ("c/swap/000", 0, 1, 0.3),
        ("c/swap/000", 1, 1, 0.3),
        ("c/splice/000", 0, 1, 0.8),
        ("c/splice/000", 1, 1, 0.8),
    ]
    video = report(write_scores(tmp_path / "scores.csv", rows))["levels"]["video"]
    assert (video["real"], video["fake"], video["metrics"]["auc"]["value"]) == (1, 2, 0.5)
    # Other tools name the folder alone: two methods, or labels, under one name are refused.
    bare = [("000", *row[1:], row[0].split("/")[1]) for row in rows[2:]]
    path = write_scores(tmp_path / "bare.csv", bare, "clip,frame,label,score,method")
    with pytest.raises(ValueError, match=r"clip '000' has the methods .* whole keys"):
        score_table.read(path)


def test_frames_in_any_order_give_the_same_report(tmp_path):
    rows = list(random_rows())
    mixed = [rows[row] for row in np.random.default_rng(1).permutation(len(rows))]
    found, again = (report(write_scores(tmp_path / "scores.csv", each)) for each in (rows, mixed))
    # Sums of floats in another order differ in their last bits.
    assert list(leaves(again)) == [
        pytest.approx(leaf, rel=1e-9) if isinstance(leaf, float) else leaf for leaf in leaves(found)
    ]


def test_frames_of_a_folder_are_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 2, 1, 11):
        pixels = np.full((32, 32, 3), 10 * number, np.uint8)
        (tmp_path / f"frame{number}.png").write_bytes(image.encode_image(pixels, "png"))
    clip = Clip("c/real/v", str(tmp_path), 0, "real", "test", ())
    crops = crop_clip.crop_clip(clip, AS_IS, 3).crops
    shades = [int(image.decode_image(crop["image"]).mean()) for crop in crops]
    assert shades == [10, 90, 110]  # evenly spread: not the first three


def test_a_clip_in_two_splits_is_refused(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.png").write_bytes(name.replace("c", "a").encode())
    rows = ["path,label,split", "a.png,0,train", "b.png,1,train", "c.png,0,test"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(ValueError, match=r"same file content .* is in train .* and in test"):
        folder.read_folder(tmp_path)


@pytest.fixture(scope="module")
def flipped(tmp_path_factory) -> pathlib.Path:
    """A dataset like `prepared`, of which test has its labels the wrong way round."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    rows = ["path,label,split"]
    for number in range(40):
        picture = rng.integers(0, 200, (40, 40, 3), np.uint8)
        picture[:12, :12] += np.uint8(55 * (number % 2))
        (root / f"{number}.png").write_bytes(image.encode_image(picture, "png"))
        rows.append(f"{number}.png,{1 - number % 2},test")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path_factory.mktemp("flipped")
    prepare.prepare(folder.read_folder(root), out, Settings(dataclasses.replace(AS_IS, size=40)))
    return out


def test_no_label_or_score_of_what_is_scored_decides_anything(prepared, run, flipped, tmp_path):
    before = model_card.read(run)
    targets = f"{prepared}:test", f"{flipped}:test"
    found = [
        evaluate.evaluate(tiny_run.make_config(prepared, **{"eval.data": (name,)}), run, tmp_path)
        for name in targets
    ]
    assert model_card.read(run) == before
    one, other = (each[name]["protocol"] for each, name in zip(found, targets, strict=True))
    assert one == other
    assert one["thresholds"]["frame"] == before.decision("frame").threshold
    assert one["decisions"] == f"fitted on {prepared}:val, then frozen"


def test_a_split_that_trained_or_chose_the_model_is_named(
    prepared, run, exported, tmp_path, capsys
):
    targets = tuple(f"{prepared}:{split}" for split in ("train", "val", "test"))
    config = tiny_run.make_config(prepared, **{"eval.data": targets})
    of_run = evaluate.evaluate(config, run, tmp_path / "run")
    printed = capsys.readouterr().out
    of_export = evaluate.evaluate_export(exported, targets, tmp_path, runtime="onnx")
    for found in (of_run, of_export):
        train, val, test = (found[target]["notes"] for target in targets)
        assert train[0].startswith(f"{targets[0]} is what the model was trained on")
        assert val[0].startswith(f"{targets[1]} is what chose the checkpoint")
        assert not any(" is what " in note for note in test)
    assert f"{targets[0]} is what the model was trained on" in " ".join(printed.split())
    # A copy elsewhere is the same data.
    shutil.copytree(prepared, tmp_path / "copy")
    target = f"{tmp_path / 'copy'}:train"
    (note, *_) = evaluate.evaluate_export(exported, [target], tmp_path)[target]["notes"]
    assert "this score shows what it remembers" in note
    assert builder.open_dataset(tmp_path / "copy").digest == builder.open_dataset(prepared).digest


def test_flipped_labels_are_suspected_and_chance_is_not(tmp_path, capsys):
    rows = list(random_rows())
    flipped = [(clip, frame, 1 - label, score) for clip, frame, label, score in rows]
    path = write_scores(tmp_path / "flipped.csv", flipped)
    assert cli.main(["report", str(path), "--out", str(tmp_path / "out")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    notes = json.loads((tmp_path / "out" / "report.json").read_text())["datasets"][0]["notes"]
    assert [note[: note.index(" 0.")] for note in notes] == ["AUC of crops", "AUC of videos"]
    for note in notes:
        assert "is below chance: fakes score lower than reals. Check that label 1 is fake" in note
        assert note in printed
    rng = np.random.default_rng(5)
    chance = [(clip, frame, label, rng.random()) for clip, frame, label, _ in rows]
    for each in (rows, chance):
        assert report(write_scores(tmp_path / "scores.csv", each))["notes"] == []
