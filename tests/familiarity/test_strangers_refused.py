"""A gate learnt from 120 drawn faces refuses strangers of kinds that it was not fitted to.

`scripts/gate.py` counts the same at full size, of a trained model.
"""

import functools

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util

from dfjax import models
from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.familiarity import features, fit, gate, strangers
from dfjax.weights import shipped
from scripts import gate as counting

NAME, SIZE = "efficientnet_lite0", 112
LEARNT, HELD_OUT, PEOPLE, FRAMES = 120, 40, 100, 2


@pytest.fixture(scope="module")
def faces():
    """Two frames of each of 100 drawn people, uint8 [200, 112, 112, 3]."""
    settings = synthetic.Settings(frames=FRAMES)
    takes = [synthetic.film(settings, person, 0) for person in range(PEOPLE)]
    return np.stack([frame[36:148, 56:168] for take in takes for frame in take.frames])


@pytest.fixture(scope="module")
def strangeness(faces):
    """From crops to their strangeness, by the network that comes with dfjax."""
    tensors = safetensors.numpy.load_file(shipped.path(NAME))
    variables = traverse_util.unflatten_dict(tensors, sep="/")
    head = {"kernel": np.zeros((1280, 1), np.float32), "bias": np.zeros(1, np.float32)}
    variables["params"]["head"] = {"logit": head}  # the gate does not look at it
    model = models.for_backend(models.build(name=NAME))
    maps = features.choose_maps(model, variables, SIZE)
    look = jax.jit(functools.partial(gate.look, model=model, image_size=SIZE, maps=maps))

    def look_at(crops: np.ndarray) -> np.ndarray:
        parts = np.split(crops, range(25, len(crops), 25))
        return np.concatenate([look(variables, part)[1] for part in parts])

    learnt = faces[:LEARNT]
    strange = strangers.make(learnt, np.random.default_rng(0))
    statistics = fit.fit(look_at(learnt), look_at(strange), features.count_details(maps))
    return lambda crops: np.asarray(gate.strangeness(look_at(crops), statistics))


def test_strangers_are_refused_and_other_people_are_not(faces, strangeness):
    held_out, others = np.split(faces[LEARNT:], [HELD_OUT])
    limit = fit.limit(strangeness(held_out))
    assert (strangeness(others) > limit).mean() <= 0.15  # three of 20 people
    kinds = dict(counting.make_strangers(others, np.random.default_rng(1)))
    refused = {kind: (strangeness(crops) > limit).mean() for kind, crops in kinds.items()}
    assert len(refused) == 8
    assert min(refused.values()) >= 0.9, refused
