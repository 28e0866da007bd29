"""The evaluator of trainings gives the AUCs of crops that were distorted one by one."""

import functools

import jax
import numpy as np
import pytest
import sklearn.metrics

from dfjax import config as dfjax_config
from dfjax import evaluators, models, recipe, sharding
from dfjax.data import builder
from dfjax.distortions.suite import Condition
from dfjax.errors import UserError
from dfjax.evaluators import frame
from dfjax.familiarity import gate
from dfjax.inference import scorer
from dfjax.media import image
from dfjax.run import Run


def test_aucs_are_those_of_distorted_crops(run, prepared):
    records = builder.open_dataset(prepared).records("test")
    opened = Run.open(run)
    model = models.for_backend(opened.model)
    size = opened.config.data.image_size
    predict = jax.jit(functools.partial(gate.predict, model=model, image_size=size))
    reading = recipe.make_reading(dfjax_config.base())
    frames = frame.FrameScorer(predict, sharding.make_mesh(), 8, reading)
    evaluator = evaluators.build(
        "robustness",
        records=records,
        scorer=frames,
        types=("contrast", "screenshot"),
        levels=(2, 5),
    )
    variables, _ = opened.variables()
    found = dict(evaluator.run(variables))
    assert list(found) == list(evaluator.metrics())

    alone = scorer.load(run)
    crops = {n: image.decode_image(records[n]["image"]) for n in range(len(records))}
    aucs = {}
    for name in ("contrast", "screenshot"):
        for level in (2, 5):
            worse = [Condition(name, level).distort_crops([crop], "")[0] for crop in crops.values()]
            logits = alone.logits(np.stack(worse))
            aucs[name, level] = sklearn.metrics.roc_auc_score(records.labels, logits)
    for name in ("contrast", "screenshot"):
        assert found[f"auc_{name}"] == pytest.approx((aucs[name, 2] + aucs[name, 5]) / 2)
    assert found["auc_mean"] == pytest.approx(np.mean(list(aucs.values())))
    assert found["auc_worst"] == pytest.approx(min(aucs.values()))


def test_an_unknown_type_is_refused_before_training():
    with pytest.raises(UserError, match="unknown type fog"):
        evaluators.build("robustness", records=None, scorer=None, types=("fog",))
