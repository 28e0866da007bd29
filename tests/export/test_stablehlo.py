"""StableHLO artefacts: for every platform and batch size, with the model's own heat maps."""

import dataclasses

import jax
import numpy as np
import pytest

from dfjax.export import export, parity
from dfjax.inference import runtimes
from dfjax.run import Run

pytestmark = pytest.mark.usefixtures("quick_compilation")


def test_it_is_for_every_platform_and_its_heat_maps_are_the_models(run, crops, tmp_path):
    card, model, variables = Run.open(run).evaluated()
    card = dataclasses.replace(card, image_size=64)  # or a heat map would be a single value
    export.write(tmp_path, card, model, variables, ["stablehlo"])
    for name in ("score.stablehlo", "explain.stablehlo"):
        exported = jax.export.deserialize(bytearray((tmp_path / name).read_bytes()))
        assert exported.platforms == ("cpu", "cuda", "tpu")
        assert not isinstance(exported.in_avals[0].shape[0], int)
        assert exported.nr_devices == 1
    deviations = parity.compare(tmp_path, card, model, variables, crops[:16])
    assert deviations["score.stablehlo"]["stablehlo"]["score"] <= 1e-5
    assert deviations["explain.stablehlo"]["stablehlo"]["heat_map"] <= 1e-3
    heat_maps = runtimes.open_heat_maps(tmp_path / "explain.stablehlo")(crops)
    assert heat_maps.shape == (33, 2, 2)
    assert np.ptp(heat_maps) > 0.1
