"""Whole runs of the real command, in processes of their own, and what they left."""

import json
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence

import jax
import ml_collections
import numpy as np

from configs import resnet
from dfjax import checkpoint, hosts, recipe, sharding, tree

ROOT = pathlib.Path(__file__).parents[1]
STEPS = 12
ROUNDED = tuple(f"augment.{name}" for name in ("rotate", "zoom", "shift", "colour", "blur", "jpeg"))


def settings(prepared) -> dict[str, object]:
    return {
        "data.dir": str(prepared),
        "data.image_size": 32,
        "model.width": 8,
        "model.dropout": 0.1,
        "batch_size": 8,
        "num_steps": STEPS,
        "ema_decay": 0.9,
        "optimizer.warmup_steps": 2,
        "log_every": 2,
        "evals.val.every": 6,
        "checkpoint_every": 4,
        "eval.batch_size": 8,
        "eval.trivial_cues": 0,
        "writers": (),  # TensorBoard's takes as long to load as the rest
        "compile_cache": jax.config.jax_compilation_cache_dir,
    }


def command(prepared, workdir, *extra: str) -> list[str]:
    flags = [f"--config.{name}={value}" for name, value in settings(prepared).items()]
    config = f"--config={ROOT}/configs/resnet.py"
    return [sys.executable, "-m", "dfjax.main", config, f"--workdir={workdir}", *flags, *extra]


def start(command: list[str], devices: int = 1, **env: str) -> subprocess.Popen:
    platform = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    # A few steps each: compiling them is what costs.
    env = {**platform, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", **env}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen, status: int = 0, seconds: float = 300) -> str:
    output, _ = process.communicate(timeout=seconds)
    assert process.returncode == status, output
    return output


def run(prepared, workdir, *extra: str, devices: int = 1, status: int = 0) -> str:
    return finish(start(command(prepared, workdir, *extra), devices), status)


def config(prepared, **changes) -> ml_collections.ConfigDict:
    config = resnet.get_config()
    config.update_from_flattened_dict({**settings(prepared), **changes})
    return config


def state(workdir, config) -> dict[str, np.ndarray]:
    """The leaves of the last checkpoint by name, wherever they were trained."""
    *_, init = recipe.build(config)
    like = recipe.abstract_state(init, sharding.make_mesh())
    checkpoints = checkpoint.Checkpoints(workdir, select_by="val/auc", keep=2)
    state = jax.device_get(checkpoints.restore(config.num_steps, like))
    checkpoints.close()
    return dict(zip(tree.leaf_names(state), jax.tree.leaves(state), strict=True))


def metrics(workdir) -> list[dict]:
    """All rows without what measures time."""
    rows = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in row.items() if not k.startswith("perf/")} for row in rows]


def start_together(
    prepared,
    workdir: pathlib.Path | str,
    *extra: str,
    count: int,
    devices: int,
    each: Callable[[int], dict[str, str]] = lambda index: {},
) -> list[subprocess.Popen]:
    """Processes of one run, which find each other by environment variables.

    `each` gives further variables of a process, by its number.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    environments = [
        dict(zip(hosts.VARIABLES, (address, str(count), str(index)), strict=True)) | each(index)
        for index in range(count)
    ]
    arguments = command(prepared, workdir, *extra)
    return [start(arguments, devices, **environment) for environment in environments]


def kill(processes: Sequence[subprocess.Popen]) -> None:
    """Ends processes that may wait for each other."""
    for process in processes:
        process.kill()
        process.communicate()
