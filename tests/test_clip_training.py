"""What is trained on whole clips is what judges them."""

import functools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dfjax import checkpoint, clip_training, evaluate, pooling, recipe, sharding, steps, train
from dfjax.corpora.clip import LABELS, Clip
from dfjax.data import builder
from dfjax.errors import UserError
from dfjax.evaluators import score_table
from dfjax.export import export
from dfjax.faces import crop_spec
from dfjax.familiarity import gate
from dfjax.inference import scorer
from dfjax.inference.detector import Detector
from dfjax.media import image
from dfjax.run import Run
from tests import preparing, tiny_run
from tests.models import small

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Prepared clips of five frames; of a fake, two frames carry a bright corner."""
    rng = np.random.default_rng(0)
    spec = crop_spec.CropSpec(size=40)

    def crops_of(clip: Clip) -> list[dict]:
        crops = []
        for frame in (0, 3, 5, 8, 9):
            picture = rng.integers(0, 200, (40, 40, 3), np.uint8)
            picture[:12, :12] += np.uint8(55 * (clip.label and frame in (3, 8)))
            place = {"frame": frame, "face": 0, "time": frame / 25, "scale": 1.0, "padded": 0.0}
            place |= {"landmarks": np.full((5, 2), 20, np.float32)}
            place |= {"box": np.array([10, 10, 30, 30], np.float32)}
            crops.append({"image": image.encode_image(picture, "png"), **place})
        return crops

    counts = {"train": 12, "val": 8, "test": 8}
    return builder.write_dataset(
        tmp_path_factory.mktemp("data"),
        clips=[
            Clip(f"c/{LABELS[n % 2]}/{split}{n}", "", n % 2, LABELS[n % 2], split, (f"{split}{n}",))
            for split, count in counts.items()
            for n in range(count)
        ],
        crops_of=crops_of,
        size=40,
        encoding="png",
        metadata={
            "crop_spec": spec.to_json(),
            "corpus": "c",
            "strict": None,
            "synthetic": True,
            "coverage": {split: {label: {"no_face": 0} for label in LABELS} for split in counts},
        },
    ).path


def make_config(clips, **changes):
    settings = {
        "model.clip_attention": 4,
        "model.dropout": 0.1,
        "pooling": "attention",
        "clip_frames": 3,
        "optimizer.lr_rules": ((r"head/.*", 1.0), (r".*", 0.0)),
        "optimizer.lr": 0.05,
        "num_steps": 8,
        "select_by": "val/video_auc",
        **changes,
    }
    return tiny_run.make_config(clips, **settings)


@pytest.fixture(scope="module")
def run(clips, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("clips")
    config = make_config(clips)
    train.train(config, workdir)
    evaluate.evaluate(config, workdir)
    return workdir


def test_the_head_of_a_clip_pools_what_the_network_says_of_its_frames():
    model = small.build("convnext_tiny", clip_attention=4)
    init = functools.partial(model.init, train=False)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (6, small.SIZE, small.SIZE, 3), np.uint8)
    params = jax.jit(init)(jax.random.key(0), frames)["params"]
    weigh = params["head"]["attention"]["weight"]
    weigh["kernel"] = jnp.linspace(-9.0, 9.0, 4)[:, None]
    variables = {"params": params}
    said = jax.jit(functools.partial(gate.predict, model=model, image_size=small.SIZE))(
        variables, frames
    )
    score = jax.nn.sigmoid(said["logit"])
    weights = pooling.weights("attention", np.asarray(score), np.asarray(said["attention"]))
    assert np.ptp(weights / weights.sum()) > 0.05
    expected = pooling.mean(np.reshape(score, (2, 3)), weights.reshape(2, 3))
    embed = functools.partial(steps.embed, model=model, image_size=small.SIZE)
    embedding = jax.jit(embed)(variables, frames).reshape(2, 3, -1)
    logit = clip_training.ClipHead(4).apply(variables, embedding)
    np.testing.assert_allclose(jax.nn.sigmoid(logit), expected, atol=1e-6)


def test_each_frame_counts_alike_before_training():
    model = small.build("convnext_tiny", clip_attention=4)
    frames = np.zeros((2, small.SIZE, small.SIZE, 3), np.uint8)
    variables = model.init(jax.random.key(0), frames)
    predict = jax.jit(functools.partial(gate.predict, model=model, image_size=small.SIZE))
    assert np.asarray(predict(variables, frames)["attention"]).tolist() == [0, 0]


def test_clips_are_drawn_whole_and_by_label(clips):
    dataset = builder.open_dataset(clips)
    config = make_config(clips)
    training = train.Training.open(dataset, "train", ())
    pairs = training.pairs(recipe.make_sampling(config), seed=0)
    labels = dataset.labels("train")
    for number in range(8):
        pair = pairs[number]
        for label, row in enumerate((pair.real, pair.others[0])):
            records = [pairs.records[int(each)] for each in pairs.frames_of(row)]
            assert {each["clip"] for each in records} == {pairs.records[row]["clip"]}
            assert {each["label"] for each in records} == {label} == {labels[row]}
            frames = [each["frame"] for each in records]
            assert frames == sorted(set(frames))


def test_the_backbone_stays_and_head_and_attention_move(clips, run):
    config = make_config(clips)
    start = jax.jit(recipe.build(config)[-1])(recipe.make_keys(config.seed)[0])
    like = recipe.abstract_state(recipe.build(config)[-1], sharding.make_mesh())
    checkpoints = checkpoint.Checkpoints(run, select_by="val/video_auc", keep=2)
    state = jax.device_get(checkpoints.restore(8, like))
    checkpoints.close()
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), start.params, state.params)
    assert all(jax.tree.leaves(moved.pop("head")))
    assert not any(jax.tree.leaves(moved))


def test_a_run_that_was_killed_ends_with_the_same_bits(clips, run, tmp_path):
    config = make_config(clips)
    train.train(make_config(clips, **{"num_steps": 8}), tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "resumed")
    shutil.rmtree(tmp_path / "resumed" / "checkpoints" / "8")
    train.train(config, tmp_path / "resumed")
    weights = [Run.open(tmp_path / name).variables(8)[0] for name in ("whole", "resumed")]
    jax.tree.map(np.testing.assert_array_equal, *weights)


def test_scores_of_clips_are_those_of_the_table_that_evaluation_writes(run):
    card = Run.open(run).card
    assert card.pooling == "attention"
    assert card.outputs == ("logit", "attention")
    assert card.protocol["video_score"] == "mean probability, weighted by attention"
    (path,) = (run / "eval").glob("*/scores.parquet")
    table = score_table.read(path)
    assert (table.weight > 0).all()
    assert np.ptp(table.weight) > 0
    report = json.loads((run / "eval" / "report.json").read_text())
    video = report["datasets"][0]["levels"]["video"]
    assert video["rule"] == "weighted mean probability"
    assert {"mean probability", "weighted mean probability"} < set(video["rules"])


def test_an_export_judges_a_clip_as_its_run_does(run, tmp_path):
    export.export(run, tmp_path / "export", formats=("onnx", "stablehlo", "safetensors"))
    preparing.write_videos(tmp_path, 1)
    clip = tmp_path / "real" / "0.mp4"
    by_run = Detector(scorer.load(run)).file(clip)
    weights = np.array([face.weight for face in by_run.faces])
    scores = np.array([face.score for face in by_run.faces])
    assert np.ptp(weights) > 0
    usable = np.array([face.quality is None for face in by_run.faces])
    assert by_run.track_scores[0] == pytest.approx(pooling.mean(scores[usable], weights[usable]))
    for runtime in ("onnx", "stablehlo", "flax"):
        found = Detector(scorer.load(tmp_path / "export", runtime)).file(clip)
        assert found.track_scores[0] == pytest.approx(by_run.track_scores[0], abs=1e-3)
        assert found.verdict.label == by_run.verdict.label


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.clip_attention": None}, "needs a head that learns it: set model.clip_attention"),
        ({"blend.share": 0.5}, "set blend.share=0"),
        ({"cache_views": 1}, "set cache_views=0"),
        ({"clip_frames": 1}, "clip_frames 1: use 2 or more"),
        ({"optimizer.lr_rules": ()}, "pooling needs a frozen backbone"),
        ({"pooling": "best"}, "pooling 'best': choose one of mean, confidence, attention"),
    ],
)
def test_settings_that_do_not_fit_are_named(clips, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train.train(make_config(clips, **changes), tmp_path)
