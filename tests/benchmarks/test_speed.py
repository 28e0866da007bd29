"""The benchmarks against PyTorch, as they are run; and what stands in their tables."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import pytest

from benchmarks import networks, speed, train_step
from benchmarks.networks import Network
from benchmarks.turns import Measurement
from dfjax import models, registry
from dfjax.errors import UserError

ROOT = pathlib.Path(__file__).parents[2]


def _run(module: str, *arguments: str) -> tuple[list[list[str]], str]:
    """(the cells of every row of Markdown, stderr)."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments, "--rounds", "1"]
    cache = {"JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir}
    done = subprocess.run(
        [*command, "--turn", "0"],
        cwd=ROOT,
        env={**os.environ, **cache},
        check=True,
        capture_output=True,
        text=True,
    )
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    return [row.strip("| ").split(" | ") for row in rows], done.stderr


def test_a_training_step_without_a_peer_is_measured_and_says_so(tmp_path):
    json_file = tmp_path / "found.json"
    rows, errors = _run(
        "train_step", "dfcnn@32x2", "--programs", "dfjax", "PyTorch", "--json", f"{json_file}"
    )
    (found,) = json.loads(json_file.read_text())
    assert (found["name"], found["side"], found["batch"]) == ("dfcnn", 32, 2)
    ours, peer = found["programs"]["dfjax"], found["programs"]["PyTorch"]
    assert rows[0][3:6] == ["images/s: dfjax", "PyTorch", "dfjax / PyTorch"]
    speeds = [speed.show(2 / ours["seconds"]), "failed", "–"]
    work = [speed.show(1e3 * ours["cpu_seconds"] / 2), "failed", "–"]
    assert rows[1] == ["dfcnn", "32", "2", *speeds, *work]
    assert ours["turns"] == 1
    assert ours["compile_seconds"] > 0
    assert f"dfcnn@32x2, PyTorch: {peer['error']}" in errors


def test_inference_is_measured_against_pytorch():
    pytest.importorskip("benchmarks.pytorch")
    pytest.importorskip("timm")
    rows, errors = _run("inference", "resnet18@32x2", "--programs", "dfjax", "PyTorch")
    assert errors == ""
    ours, peers, ratio = map(float, rows[1][3:6])
    assert ratio == pytest.approx(ours / peers, rel=0.02)


def test_ratios_say_how_much_more_dfjax_does_for_its_time():
    measured = {
        "plain": Measurement(seconds=4.0, cpu_seconds=6.0, compile_seconds=3.0, peak_bytes=2e9),
        "dfjax": Measurement(seconds=1.0, cpu_seconds=2.0, compile_seconds=6.0, peak_bytes=1e9),
        "PyTorch": Measurement(seconds=2.0, cpu_seconds=1.0, compile_seconds=0.0, peak_bytes=5e8),
    }
    cells = [q.cells(measured, batch=8) for q in (*speed.SPEEDS, *speed.COSTS)]
    assert cells == [
        ["2", "8", "4", "4.00", "2.00"],
        ["750", "250", "125", "3.00", "0.50"],
        ["3", "6", "–", "2.00", "–"],
        ["2,000", "1,000", "500", "0.50", "2.00"],
    ]


def test_networks_are_named_with_or_without_a_size():
    assert networks.parse("resnet101@224x4") == [Network("resnet101", 224, 4)]
    assert [str(found) for found in networks.parse("resnet50")] == [
        "resnet50@128x16",
        "resnet50@224x8",
    ]
    for text in ("resnet101", "resnet101@224", "resnet101@0x4"):
        with pytest.raises(UserError, match=f"{text}: give NAME@SIDExBATCH"):
            networks.parse(text)
