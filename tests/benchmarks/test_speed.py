"""The benchmarks against PyTorch, as they are run; and what stands in their tables."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from benchmarks import networks, tables
from benchmarks.networks import Network
from benchmarks.turns import Measurement
from dfjax import models

ROOT = pathlib.Path(__file__).parents[2]


def _run(module: str, *arguments: str) -> list[list[str]]:
    """Runs a benchmark as briefly as it can; returns the cells of every row of Markdown."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments, "--rounds", "1"]
    done = subprocess.run(
        [*command, "--turn", "0"],
        cwd=ROOT,
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    return [row.strip("| ").split(" | ") for row in rows]


def test_a_training_step_is_measured(tmp_path):
    path = tmp_path / "found.json"
    head, speeds, _, costs = _run(
        "train_step", "dfcnn@32x2", "--programs", "dfjax", "--json", f"{path}"
    )
    (found,) = json.loads(path.read_text())
    assert (found["name"], found["side"], found["batch"]) == ("dfcnn", 32, 2)
    ours = found["programs"]["dfjax"]
    assert head == ["network", "px", "batch", "images/s: dfjax", "CPU ms an image: dfjax"]
    numbers = [tables.show(2 / ours["seconds"]), tables.show(1e3 * ours["cpu_seconds"] / 2)]
    assert speeds == ["dfcnn", "32", "2", *numbers]
    numbers = [tables.show(ours["compile_seconds"]), tables.show(ours["peak_bytes"] / 1e6)]
    assert costs == ["dfcnn", "32", "2", *numbers]
    assert ours["turns"] == 1


@pytest.mark.parametrize("module", ["train_step", "inference"])
def test_pytorch_is_measured(module):
    pytest.importorskip("benchmarks.pytorch")
    pytest.importorskip("timm")
    _, speeds, _, costs = _run(module, "resnet18@32x2", "--programs", "PyTorch")
    assert speeds[:3] == ["resnet18", "32", "2"]
    assert all(float(cell.replace(",", "")) > 0 for cell in speeds[3:])
    assert costs[3] == "–"  # compiles nothing


@pytest.mark.parametrize("name", sorted({network.name for network in networks.TABLE}))
def test_peers_are_as_large_as_the_networks(name):
    torch = pytest.importorskip("benchmarks.pytorch").torch
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        peer = timm.create_model(Network(name, 224, 1).peer, num_classes=1)
    model = models.build(name)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 224, 224, 3)))
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
    assert count == sum(parameter.numel() for parameter in peer.parameters())


def test_ratios_say_how_much_more_dfjax_does_for_its_time():
    measured = {
        "plain": Measurement(seconds=4.0, cpu_seconds=6.0, compile_seconds=3.0, peak_bytes=2e9),
        "dfjax": Measurement(seconds=1.0, cpu_seconds=2.0, compile_seconds=6.0, peak_bytes=1e9),
        "PyTorch": Measurement(seconds=2.0, cpu_seconds=1.0, compile_seconds=0.0, peak_bytes=5e8),
        "PyTorch compiled": Measurement(error="none here"),
    }
    titles = [title for quantity in tables.SPEEDS for title in quantity.titles(measured)]
    ratios = ["dfjax / plain", "dfjax / PyTorch", "dfjax / PyTorch compiled"]
    assert titles[4:7] == ratios
    assert titles[11:] == [" / ".join(reversed(ratio.split(" / "))) for ratio in ratios]
    cells = [q.cells(measured, batch=8) for q in (*tables.SPEEDS, *tables.COSTS)]
    assert cells == [
        ["2", "8", "4", "failed", "4.00", "2.00", "–"],
        ["750", "250", "125", "failed", "3.00", "0.50", "–"],
        ["3", "6", "–", "failed", "2.00", "–", "–"],
        ["2,000", "1,000", "500", "failed", "0.50", "2.00", "–"],
    ]


def test_networks_are_named_with_or_without_a_size():
    assert networks.parse("resnet101@224x4") == [Network("resnet101", 224, 4)]
    found = [str(network) for network in networks.parse("resnet50")]
    assert found == ["resnet50@128x16", "resnet50@224x8"]
    for text in ("resnet101", "resnet101@224", "resnet101@0x4"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"{text}: give NAME@SIDExBATCH"):
            networks.parse(text)
