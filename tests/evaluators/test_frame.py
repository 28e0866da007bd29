"""Every record is scored once, whatever the devices and the batches are."""

import functools

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh

from dfjax import models, recipe, sharding
from dfjax.data import builder
from dfjax.evaluators import frame
from dfjax.familiarity import gate
from dfjax.run import Run


@pytest.fixture(scope="module")
def score(run, quick_compilation):
    """A function from (devices, batch size) to the scores of the 24 training crops of `run`."""
    opened = Run.open(run)
    variables, _ = opened.variables()
    model, size = models.for_backend(opened.model), opened.config.data.image_size
    predict = jax.jit(functools.partial(gate.predict, model=model, image_size=size))
    records = builder.open_dataset(opened.config.data.dir).records("train")

    def score(num_devices: int, batch_size: int) -> frame.Scores:
        devices = np.array(jax.devices()[:num_devices])
        mesh = Mesh(devices, ("data",), axis_types=(AxisType.Auto,))
        scorer = frame.FrameScorer(predict, mesh, batch_size, recipe.make_reading(opened.config))
        return scorer.scores(jax.device_put(variables, sharding.replicated(mesh)), records)

    return score


@pytest.mark.parametrize(("num_devices", "batch_size"), [(1, 7), (1, 64), (4, 8), (4, 64)])
def test_scores_are_equal_and_each_record_is_there_once(score, num_devices, batch_size):
    expected, found = score(1, 24), score(num_devices, batch_size)
    assert found.index.tolist() == list(range(24))
    assert found.clip.tolist() == expected.clip.tolist()
    np.testing.assert_allclose(found.score, expected.score, rtol=0, atol=1e-6)
