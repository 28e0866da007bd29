"""A head trained on embeddings that are computed once is the head of the whole network."""

import functools
import json
import shutil

import jax
import numpy as np
import pytest

from dfjax import (
    checkpoint,
    feature_cache,
    head_training,
    losses,
    optim,
    recipe,
    sharding,
    steps,
    train,
)
from dfjax.errors import UserError
from tests import tiny_run
from tests.models import small

pytestmark = pytest.mark.usefixtures("quick_compilation")
HEAD_ALONE = ((r"head/.*", 1.0), (r".*", 0.0))


def test_a_step_on_embeddings_is_the_step_of_the_whole_network():
    """Of one without BatchNorm, which a step of the whole network would move."""
    model = small.build("convnext_tiny")
    tx, _ = optim.make_optimizer(
        name="adamw",
        lr=0.1,
        num_steps=10,
        warmup_steps=0,
        momentum=0.9,
        weight_decay=0.1,
        weight_decay_rule=".*/kernel",
        clip_norm=0.01,
        lr_rules=HEAD_ALONE,
    )
    init = functools.partial(steps.init, model=model, tx=tx, image_size=small.SIZE, ema=True)
    state = jax.jit(init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (8, small.SIZE, small.SIZE, 3), np.uint8)
    label = np.float32([0, 1, 0, 0.3, 0, 1, 0, 0.8])
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    embed = functools.partial(steps.embed, model=model, image_size=small.SIZE)
    embedding = jax.jit(embed)(variables, image)
    after = [
        jax.jit(
            functools.partial(
                steps.train_step,
                model=network,
                tx=tx,
                loss=losses.build("bce", label_smoothing=0.0),
                ema_decay=0.5,
                grad_accum_steps=2,
            )
        )(state, {"image": seen, "label": label}, jax.random.key(1))
        for network, seen in ((model, image), (head_training.HeadOnly(), embedding))
    ]
    (whole, whole_metrics), (head, head_metrics) = after
    assert jax.tree.structure(whole) == jax.tree.structure(head)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), whole, head)
    for name in ("loss", "accuracy"):  # the norm is of all gradients, also of frozen parameters
        found = [float(metrics.compute()[name]) for metrics in (whole_metrics, head_metrics)]
        assert found[0] == pytest.approx(found[1], rel=1e-4)
    moved = head.params["head"]["logit"]["kernel"] - state.params["head"]["logit"]["kernel"]
    assert np.abs(moved).max() > 0.01


def make_config(prepared, **changes):
    settings = {"cache_views": 2, "optimizer.lr_rules": HEAD_ALONE, "num_steps": 8, **changes}
    return tiny_run.make_config(prepared, **settings)


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("head")
    train.train(make_config(prepared), workdir)
    return workdir


def features(workdir):
    return [np.load(workdir / "features" / f"{name}.npy") for name in ("features", "labels")]


def restore(workdir, config, step):
    like = recipe.abstract_state(recipe.build(config)[-1], sharding.make_mesh())
    checkpoints = checkpoint.Checkpoints(workdir, select_by="val/auc", keep=2)
    state = jax.device_get(checkpoints.restore(step, like))
    checkpoints.close()
    return state


def test_a_run_embeds_every_view_once_and_moves_the_head_alone(prepared, run):
    embedding, label = features(run)
    assert embedding.shape == (2 * 2 * 12, embedding.shape[1])  # views, rows of a pair, pairs
    assert np.isfinite(embedding).all()
    assert label.tolist() == [0, 1] * 24
    assert len(np.unique(embedding[::2], axis=0)) == 24  # a second view is another draw
    config = make_config(prepared)
    start = jax.jit(recipe.build(config)[-1])(recipe.make_keys(config.seed)[0])
    state = restore(run, config, 8)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), start.params, state.params)
    head = moved.pop("head")
    assert all(jax.tree.leaves(head))
    assert not any(jax.tree.leaves(moved))
    jax.tree.map(np.testing.assert_array_equal, start.batch_stats, state.batch_stats)
    assert (run / "first_batch.png").exists()


def test_killed_while_embedding_and_while_training_it_ends_bit_identically(prepared, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    workdir = tmp_path / "run"
    for step in ("4", "8"):
        shutil.rmtree(workdir / "checkpoints" / step, ignore_errors=True)
    note = json.loads((workdir / "features" / "progress.json").read_text())
    (workdir / "features" / "progress.json").write_text(json.dumps({**note, "rows": 16}))
    for name in ("features", "labels"):
        stored = np.load(workdir / "features" / f"{name}.npy", mmap_mode="r+")
        stored[16:] = np.nan
        stored.flush()
    train.train(make_config(prepared), workdir)
    for found, expected in zip(features(workdir), features(run), strict=True):
        np.testing.assert_array_equal(found, expected)
    states = [restore(each, make_config(prepared), 8) for each in (workdir, run)]
    jax.tree.map(np.testing.assert_array_equal, *states)


def test_embeddings_of_other_weights_are_computed_anew(tmp_path):
    cache = feature_cache.FeatureCache(tmp_path, rows=8, channels=2, backbone="a")
    cache.append(np.ones((4, 2)), np.array([0, 1, 0, 1]))
    assert feature_cache.FeatureCache(tmp_path, rows=8, channels=2, backbone="a").done == 4
    for changes in ({"backbone": "b"}, {"rows": 12}, {"channels": 3}):
        settings = {"rows": 8, "channels": 2, "backbone": "a", **changes}
        assert feature_cache.FeatureCache(tmp_path / "x", **settings).done == 0
        cache = feature_cache.FeatureCache(tmp_path, **settings)
        assert cache.done == 0
        cache.append(np.ones((4, settings["channels"])), np.zeros(4))


def test_batches_are_pairs_in_a_shuffled_order(tmp_path):
    cache = feature_cache.FeatureCache(tmp_path, rows=24, channels=1, backbone="a")
    cache.append(np.arange(24)[:, None], np.arange(24) % 2)
    stream = cache.batches(batch_size=8, seed=1, start=0)
    batches = [next(stream) for _ in range(6)]
    for epoch in (batches[:3], batches[3:]):
        rows = np.concatenate([batch["image"][:, 0] for batch in epoch])
        assert sorted(rows) == list(range(24))
        assert (rows[1::2] == rows[::2] + 1).all()
        assert rows.tolist() != sorted(rows)
    later = next(cache.batches(batch_size=8, seed=1, start=4))
    np.testing.assert_array_equal(later["image"], batches[4]["image"])


def test_a_backbone_that_is_trained_is_refused(prepared, tmp_path):
    with pytest.raises(
        UserError, match=r"cache_views needs a frozen backbone, and .* would be tra"
    ):
        train.train(tiny_run.make_config(prepared, cache_views=1), tmp_path)
    assert list(tmp_path.iterdir()) == []
