"""Every config file describes a run that can be built."""

import importlib
import pathlib

import jax
import pytest

from configs import common
from dfjax import registry, train

FILES = sorted(path.stem for path in pathlib.Path(common.__file__).parent.glob("[a-z]*.py"))
NAMES = [name for name in FILES if name != "common"]


def _config(name: str):
    return importlib.import_module(f"configs.{name}").get_config()


@pytest.mark.parametrize("name", NAMES)
def test_run_can_be_built_and_every_field_is_a_common_one(name):
    config = _config(name)
    _, _, _, init = train.build(config)
    state = jax.eval_shape(init, jax.random.key(0))  # rules of the optimiser are checked here
    assert state.params["head"]
    assert set(config.to_dict()) == set(common.base().to_dict())
    assert config.batch_size % 2 == 0
    assert config.num_steps % config.log_every == config.eval_every % config.log_every == 0


def test_there_is_one_for_every_family_of_models():
    modules = {type(registry.build("model", name)).__module__ for name in registry.names("model")}
    covered = {type(train.build(_config(name))[0]).__module__ for name in NAMES}
    assert covered == modules
