"""What becomes of a run in which one batch is not finite."""

import re

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from dfjax import checkpoint, divergence, recipe, train, tree
from dfjax.data import builder
from dfjax.data.training import Training
from dfjax.errors import UserError
from tests import tiny_run

pytestmark = pytest.mark.usefixtures("quick_compilation")

BAD = 6  # the update whose batch is not finite


def _config(prepared, action: str) -> ml_collections.ConfigDict:
    config = tiny_run.make_config(prepared)
    config.num_steps, config.log_every, config.checkpoint_every = 12, 2, 4
    config.evals.val.every = 12
    config.on_divergence = action
    return config


@pytest.fixture
def poisoned(monkeypatch):
    """Labels of batch `BAD` - 1 of the data become nan, wherever it comes in a run."""
    make = recipe.make_augment

    def make_poisoned(config):
        augment, size = make(config), config.batch_size // 2

        def poison(batch, key):
            is_bad = (batch["index"] // size == BAD - 1).any()
            batch = augment(batch, key)
            return {**batch, "label": jnp.where(is_bad, jnp.nan, batch["label"])}

        return poison

    monkeypatch.setattr(recipe, "make_augment", make_poisoned)


def _records(config: ml_collections.ConfigDict) -> list[list[str]]:
    """The records of the bad batch, pair by pair."""
    training = Training.open(builder.open_dataset(config.data.dir), "train", ())
    pairs = training.pairs(recipe.make_sampling(config), seed=config.seed)
    size = config.batch_size // 2
    return [pairs.names(number) for number in range((BAD - 1) * size, BAD * size)]


def _weights(workdir) -> tuple[str, int]:
    weights, step = checkpoint.load_variables(workdir, select_by="val/auc")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(weights))
    return tree.digest(weights), step


def test_stop_names_step_and_records(prepared, tmp_path, poisoned, capsys):
    config = _config(prepared, "stop")
    message = rf"the loss became nan at step {BAD}, within .*, which divergence\.jsonl lists"
    with pytest.raises(divergence.DivergenceError, match=message):
        train.train(config, tmp_path)
    (row,) = divergence.read(tmp_path)
    assert (row["step"], row["what"], row["value"], row["action"]) == (BAD, "loss", "nan", "stop")
    assert row["records"] == _records(config)
    assert len({name for names in row["records"] for name in names}) > 1
    assert checkpoint.latest_step(tmp_path) == 4
    # What is to be done may change, and the run goes on.
    train.train(_config(prepared, "rollback"), tmp_path)
    assert _weights(tmp_path)[1] == 12


def test_skip_leaves_out_the_update_alone(prepared, tmp_path, poisoned):
    config = _config(prepared, "skip")
    train.train(config, tmp_path)
    (row,) = divergence.read(tmp_path)
    assert (row["step"], row["action"], row["records"]) == (BAD, "skip", _records(config))
    assert _weights(tmp_path)[1] == 12
    text = (tmp_path / "metrics.jsonl").read_text()
    assert not re.search("nan|inf", text, re.IGNORECASE)
    assert '"step": 6' in text


def test_rollback_goes_on_with_other_batches_and_so_does_a_resumed_run(
    prepared, tmp_path, poisoned, monkeypatch
):
    once, twice = tmp_path / "once", tmp_path / "twice"
    train.train(_config(prepared, "rollback"), once)
    (row,) = divergence.read(once)
    assert (row["step"], row["resumed"], row["action"]) == (BAD, 4, "rollback")
    assert divergence.batches_left_out(once) == BAD - 4

    def interrupted(self, step, *args, **kwargs):
        save(self, step, *args, **kwargs)
        if step == 8:
            raise KeyboardInterrupt

    save = checkpoint.Checkpoints.save
    monkeypatch.setattr(checkpoint.Checkpoints, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.train(_config(prepared, "rollback"), twice)
    monkeypatch.setattr(checkpoint.Checkpoints, "save", save)
    train.train(_config(prepared, "rollback"), twice)
    assert _weights(twice) == _weights(once)


def test_what_diverges_again_and_again_stops(prepared, tmp_path):
    config = _config(prepared, "rollback")
    config.optimizer.lr, config.optimizer.clip_norm = 1e30, 0.0
    with pytest.raises(divergence.DivergenceError):
        train.train(config, tmp_path)
    actions = [row["action"] for row in divergence.read(tmp_path)]
    assert actions == [*["rollback"] * divergence.MAX_ROLLBACKS, "stop"]


def test_an_unknown_action_is_refused(prepared, tmp_path):
    with pytest.raises(UserError, match="on_divergence is 'ignore': use one of stop, skip"):
        train.train(_config(prepared, "ignore"), tmp_path)
    assert list(tmp_path.iterdir()) == []
