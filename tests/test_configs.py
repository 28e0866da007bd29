"""Every config file describes a run that can be built, and whose step trains what it says."""

import functools
import importlib
import pathlib
import re

import jax
import numpy as np
import pytest

from dfjax import config, losses, optim, recipe, registry, steps, tree
from dfjax.data import builder, sampling
from tests.models import small

NAMES = sorted(path.stem for path in pathlib.Path("configs").glob("[a-z]*.py"))
LONG = {"both", "efficientnet"}  # their networks and augmentations are those of two others


def _config(name: str):
    return importlib.import_module(f"configs.{name}").get_config()


@pytest.mark.parametrize("name", NAMES)
def test_run_can_be_built_and_every_field_is_one_of_base(name):
    run = _config(name)
    _, _, _, init = recipe.build(run)
    state = jax.eval_shape(init, jax.random.key(0))  # rules of the optimizer are checked here
    assert state.params["head"]
    assert set(run.to_dict()) == set(config.base().to_dict())
    assert run.batch_size % 2 == 0
    recipe.check_periods(run)


@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] * (name in LONG)) for name in NAMES]
)
def test_a_step_of_the_shrunk_run_moves_what_its_rules_train(name, prepared):
    run = _config(name)
    run.batch_size = 8
    fields = {"name", "width", "native_size"}
    settings = {k: v for k, v in run.model.items() if k not in fields and v is not None}
    model = small.build(run.model.name, **settings)
    tx, _ = optim.make_optimizer(num_steps=run.num_steps, **run.optimizer)
    state = steps.init(
        jax.random.key(0), model=model, tx=tx, image_size=small.SIZE, ema=run.ema_decay > 0
    )
    dataset = builder.open_dataset(prepared)
    part = sampling.Part(dataset.records("train"), dataset.index("train"))
    run.data.image_size = small.SIZE
    pairs = sampling.Pairs([part], sampling.Sampling(), seed=run.seed)
    stream = recipe.make_stream(run, pairs)(start=0)
    step = functools.partial(
        steps.train_step,
        model=model,
        tx=tx,
        loss=losses.build(run.loss, label_smoothing=run.label_smoothing),
        ema_decay=run.ema_decay,
        grad_accum_steps=run.grad_accum_steps,
    )
    batch = jax.jit(recipe.make_augment(run))(next(stream), jax.random.key(2))
    after, metrics = jax.jit(step)(state, batch, jax.random.key(1))
    values = metrics.compute()
    assert np.isfinite(values["loss"])
    assert values["grad_norm"] > 0
    moved = {
        name
        for name, old, new in zip(
            tree.leaf_names(state.params),
            jax.tree.leaves(state.params),
            jax.tree.leaves(after.params),
            strict=True,
        )
        if not np.array_equal(old, new)
    }
    rules = [*run.optimizer.lr_rules, (".*", 1.0)]
    factor_of = {
        name: next(factor for rule, factor in rules if re.fullmatch(rule, name))
        for name in tree.leaf_names(state.params)
    }
    assert moved <= {name for name, factor in factor_of.items() if factor}
    assert any(name.startswith("head/") for name in moved)
    assert len(moved) > len([f for f in factor_of.values() if f]) / 2


def test_there_is_one_for_every_family_of_models():
    modules = {type(registry.build("model", name)).__module__ for name in registry.names("model")}
    covered = {type(recipe.build(_config(name))[0]).__module__ for name in NAMES}
    assert covered == modules
