"""One model, one score: whatever it was saved as and whatever runs it."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import os
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from dfjax import logistic, model_card, steps, tree
from dfjax.export import export
from dfjax.inference import explain, runtimes, scorer
from dfjax.run import Run

pytestmark = pytest.mark.usefixtures("quick_compilation")

MODELS = ["run", *runtimes.RUNTIMES]


@pytest.fixture(scope="module")
def loaded(run, exported):
    """Scorers of one model: of its run, and of its export by the name of the runtime."""
    by_name = {name: scorer.load(exported, name) for name in runtimes.RUNTIMES}
    return {"run": scorer.load(run), **by_name}


@pytest.fixture(scope="module")
def larger(run, tmp_path_factory):
    """The workdir of the same weights at 128 px, where heat maps have 4 x 4 cells."""
    workdir = tmp_path_factory.mktemp("larger") / "run"
    shutil.copytree(run, workdir)
    dataclasses.replace(model_card.read(workdir), image_size=128).write(workdir)
    return workdir


@pytest.fixture(scope="module")
def expected(run, crops):
    """Logits of the network itself, without the package's batching."""
    card, model, variables = Run.open(run).evaluated()
    predict = functools.partial(steps.predict, model=model, image_size=card.image_size)
    return np.asarray(jax.jit(predict)(variables, crops))


@pytest.mark.parametrize("name", MODELS)
def test_every_runtime_gives_the_scores_of_the_checkpoint(loaded, expected, crops, name):
    model = loaded[name]
    assert model.runtime == ("flax" if name == "run" else name)
    for count in (33, 1):
        logits, scores = model.logits(crops[:count]), model.scores(crops[:count])
        assert (scores.shape, scores.dtype) == ((count,), np.float64)
        np.testing.assert_allclose(logits, expected[:count], atol=1e-5)
        calibrated = logits / model.card.temperature
        np.testing.assert_allclose(scores, 1 / (1 + np.exp(-calibrated)), atol=1e-12)
    assert model.scores(crops[:0]).shape == (0,)
    assert np.ptp(expected) > 0.01  # scores that do not move would prove nothing


def test_heat_maps_are_those_of_the_checkpoint(larger, crops):
    """By an export for every runtime that may run programs, and for the fastest."""
    card, model, variables = Run.open(larger).evaluated()
    grad_cam = functools.partial(explain.grad_cam, model=model, image_size=card.image_size)
    expected = np.asarray(jax.jit(grad_cam)(variables, crops))
    assert (expected.shape, expected.dtype) == ((33, 4, 4), np.float32)
    # Maps are scaled by their largest value: if all cells were 0 or 1, little would be compared.
    assert np.mean((expected > 0.05) & (expected < 0.95)) > 0.05
    assert np.mean(np.ptp(expected, axis=(1, 2)) > 0.5) > 0.8
    export.export(larger, larger / "exported")
    np.testing.assert_allclose(scorer.load(larger).heat_maps(crops), expected, atol=1e-5)
    for name in runtimes.RUNTIMES:
        heat_maps = scorer.load(larger / "exported", name).heat_maps(crops)
        if name in ("onnx", "openvino"):  # nothing but model.onnx is opened
            assert heat_maps is None
        else:
            np.testing.assert_allclose(heat_maps, expected, atol=1e-3)
    heat_maps = scorer.load(larger / "exported").heat_maps(crops)
    np.testing.assert_allclose(heat_maps, expected, atol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_threads_do_not_disturb_each_other(loaded, expected, crops, name):
    def score(row: int) -> float:
        return loaded[name].logits(crops[row : row + 1])[0]

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        logits = list(threads.map(score, range(33)))
    np.testing.assert_allclose(logits, expected, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_other_arrays_than_crops_are_refused(loaded, name):
    for shape, dtype in (((2, 32, 32, 3), np.uint8), ((2, 40, 40, 3), np.float32)):
        with pytest.raises(ValueError, match=r"give uint8 \[N, 40, 40, 3\]"):
            loaded[name].scores(np.zeros(shape, dtype))
    with pytest.raises(ValueError, match=r"crops are uint8 \[40, 40, 3\]: give"):
        loaded[name].scores(np.zeros((40, 40, 3), np.uint8))


def test_one_card_travels_with_all(run, loaded):
    card = model_card.read(run)
    assert all(model.card == card for model in loaded.values())


def test_temperature_softens_the_scores(run, tmp_path, crops, expected):
    warm = tmp_path / "warm"
    shutil.copytree(run, warm)
    card = json.loads((warm / model_card.FILE).read_text())
    (warm / model_card.FILE).write_text(json.dumps({**card, "temperature": 2.5}))
    scores = scorer.load(warm).scores(crops)
    np.testing.assert_allclose(scores, logistic.to_score(expected, 2.5), atol=1e-6)


def test_fastest_runtime_that_is_there_is_taken(exported, tmp_path):
    assert scorer.load(exported).runtime == next(iter(runtimes.RUNTIMES))
    part = tmp_path / "part"
    shutil.copytree(exported, part)
    (part / "model.onnx").unlink()
    (part / runtimes.HEAT_MAPS).unlink()
    model = scorer.load(part)
    assert model.runtime == "savedmodel"
    assert scorer.load(part / "score.stablehlo").runtime == "stablehlo"
    assert model.heat_maps(np.zeros((1, 40, 40, 3), np.uint8)) is None


def test_what_cannot_be_loaded_is_an_error(run, exported, tmp_path):
    with pytest.raises(ValueError, match=r"cannot be run by 'tensorrt': here it can by \['on"):
        scorer.load(exported, "tensorrt")
    with pytest.raises(ValueError, match=r"is a run, for runtime flax: export it to use onnx"):
        scorer.load(run, "onnx")
    with pytest.raises(ValueError, match=r"holds neither a run .* nor an export"):
        scorer.load(tmp_path)
    shutil.copy(exported / "export.json", tmp_path)
    with pytest.raises(ValueError, match=r"model_card.json: its SHA-256 is none, and"):
        scorer.load(tmp_path)
    shutil.copy(exported / model_card.FILE, tmp_path)
    with pytest.raises(ValueError, match="lacks what runs the model; copy it again, or export"):
        scorer.load(tmp_path)


def test_card_of_another_checkpoint_is_refused(run, tmp_path):
    later = tmp_path / "later"
    shutil.copytree(run, later)
    card = json.loads((later / model_card.FILE).read_text())
    (later / model_card.FILE).write_text(json.dumps({**card, "step": 2}))
    with pytest.raises(ValueError, match=r"has a better checkpoint \(4\) than .* \(2\): evaluate"):
        scorer.load(later)


def test_openvino_neither_forks_nor_phones_home(exported, tmp_path):
    program = """
import os, sys
os.fork = None
import numpy as np
from dfjax.inference import scorer
(score,) = scorer.load(sys.argv[1], "openvino").scores(np.zeros((1, 40, 40, 3), np.uint8))
assert 0 < score < 1
"""
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [sys.executable, "-c", program, exported],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "intel").exists()  # where it keeps its client id


def test_a_flipped_bit_is_not_another_model(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    largest = max(folder.rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    sound = largest.read_bytes()
    expected = tree.digest(Run.open(run).evaluated()[2])
    refused = []
    for place in np.linspace(0, len(sound) - 1, 12, dtype=int):
        flipped = bytearray(sound)
        flipped[place] ^= 1
        largest.write_bytes(flipped)
        try:
            Run.open(tmp_path / "run").evaluated()
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) == 12
    # Where nothing says what the files were, the values tell, unless the bit meant nothing.
    for file in folder.rglob("checksums.json"):
        file.unlink()
    for place in np.linspace(0, len(sound) - 1, 12, dtype=int):
        flipped = bytearray(sound)
        flipped[place] ^= 1
        largest.write_bytes(flipped)
        with contextlib.suppress(ValueError):
            assert tree.digest(Run.open(tmp_path / "run").evaluated()[2]) == expected
    # A flip that the storage does not notice is rare, so one is made of the other side.
    largest.write_bytes(sound)
    for file in folder.rglob("_CHECKPOINT_METADATA"):
        file.write_text(file.read_text().replace(expected, expected[::-1]))
    with pytest.raises(ValueError, match="holds other weights than were saved"):
        Run.open(tmp_path / "run").evaluated()
