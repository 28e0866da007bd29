"""Every config file describes a run that can be built."""

import importlib
import pathlib

import jax
import pytest

from dfjax import config, registry, train

NAMES = sorted(path.stem for path in pathlib.Path("configs").glob("[a-z]*.py"))


def _config(name: str):
    return importlib.import_module(f"configs.{name}").get_config()


@pytest.mark.parametrize("name", NAMES)
def test_run_can_be_built_and_every_field_is_a_common_one(name):
    run = _config(name)
    _, _, _, init = train.build(run)
    state = jax.eval_shape(init, jax.random.key(0))  # rules of the optimiser are checked here
    assert state.params["head"]
    assert set(run.to_dict()) == set(config.base().to_dict())
    assert run.batch_size % 2 == 0
    assert run.num_steps % run.log_every == run.evals.val.every % run.log_every == 0


def test_there_is_one_for_every_family_of_models():
    modules = {type(registry.build("model", name)).__module__ for name in registry.names("model")}
    covered = {type(train.build(_config(name))[0]).__module__ for name in NAMES}
    assert covered == modules
