"""Runs without fakes choose their checkpoint and their thresholds on blends of reals."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from dfjax import config as dfjax_config
from dfjax import evaluate, evaluators, model_card, recipe, sharding, train
from dfjax.corpora import folder
from dfjax.data import builder
from dfjax.errors import UserError
from dfjax.evaluators import frame
from dfjax.evaluators.self_blends import SelfBlends
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image as media_image
from dfjax.preparation import prepare
from dfjax.preparation.settings import Settings
from tests import tiny_run


@pytest.fixture(scope="module")
def reals(tmp_path_factory) -> pathlib.Path:
    """A dataset like `prepared` without its fakes: 12 train, 19 val and 4 test pictures."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    for split, count in (("train", 12), ("val", 19), ("test", 4)):
        for number in range(count):
            picture = rng.integers(0, 200, (40, 40, 3), np.uint8)
            (root / f"{split}{number}.png").write_bytes(media_image.encode_image(picture, "png"))
            rows.append(f"{split}{number}.png,real,{split}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=40, encoding="png")
    out = tmp_path_factory.mktemp("prepared_reals")
    prepare.prepare(folder.read_folder(root, seed=0), out, Settings(spec))
    return out


@pytest.fixture(scope="module")
def blends(reals, quick_compilation) -> SelfBlends:
    return SelfBlends(builder.open_dataset(reals).records("val"))


def _images(blends: SelfBlends) -> np.ndarray:
    images = [media_image.decode_image(blends[i]["image"]) for i in range(len(blends))]
    return np.stack(images).astype(int)


def test_a_blend_is_its_real_but_for_the_face(reals, blends):
    assert blends.labels.tolist() == [0, 1] * 19
    images = _images(blends)
    difference = np.abs(images[::2] - images[1::2])
    assert (difference.max((1, 2, 3)) > 4).all()
    corners = difference[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert not corners.any()
    records = builder.open_dataset(reals).records("val")
    for number in range(19):
        real, blend = blends[2 * number], blends[2 * number + 1]
        assert (real["clip"], real["label"]) == (records[number]["clip"], 0)
        assert (blend["clip"], blend["label"]) == (f"self_blend/{real['clip']}", 1)
        assert blend["frame"] == real["frame"]


def test_blends_are_a_function_of_the_record(prepared, reals, blends):
    again = SelfBlends(builder.open_dataset(reals).records("val"))
    assert [again[i]["image"] for i in range(38)] == [blends[i]["image"] for i in range(38)]
    mixed = builder.open_dataset(prepared).records("val")
    assert len(SelfBlends(mixed)) == 2 * (mixed.labels == 0).sum()  # its fakes are left out


def test_metrics_are_those_of_the_blends(reals, blends):
    def predict(variables: float, image: jax.Array) -> dict[str, jax.Array]:
        return {"logit": variables * image[:, 10:30, 10:30].astype(jnp.float32).std((1, 2, 3))}

    scorer = frame.FrameScorer(
        jax.jit(predict), sharding.make_mesh(), 8, recipe.make_reading(dfjax_config.base())
    )
    records = builder.open_dataset(reals).records("val")
    evaluator = evaluators.build("self_blended", records=records, scorer=scorer)
    found = dict(evaluator.run(-0.01))
    assert list(found) == list(evaluator.metrics())
    logits = -_images(blends)[:, 10:30, 10:30].std((1, 2, 3))
    assert found["auc"] == pytest.approx(sklearn.metrics.roc_auc_score(blends.labels, logits))
    assert found["ap"] == pytest.approx(
        sklearn.metrics.average_precision_score(blends.labels, logits)
    )


def test_a_run_on_reals_alone_trains_and_decides(reals, tmp_path, capsys):
    settings = {"blend.share": 1.0, "evals.val.type": "self_blended", "select_by": "val/auc"}
    config = tiny_run.make_config(reals, **settings)
    evaluate.check(config)
    train.train(config, tmp_path)
    assert evaluate.evaluate(config, tmp_path) == {}
    assert "has no fakes" in capsys.readouterr().out
    card = model_card.read(tmp_path)
    assert card.decisions["frame"].fitted_on == {"real": 19, "fake": 19, "frames": 1}
    assert "self-blended faces" in card.protocol["threshold_rule"]
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert 0 <= rows[-1]["val/auc"] <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"evals.val.type": "self_blended"}, "none of 12 crops .* is fake"),
        ({"blend.share": 1.0}, r"data.val_split\) has 19 real and 0 fake crops"),
    ],
)
def test_fakes_are_missed_where_they_are_needed(reals, tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        train.train(tiny_run.make_config(reals, **settings), tmp_path)
