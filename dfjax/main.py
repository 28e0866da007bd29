"""Trains or evaluates what a config file describes: flags and the set-up of JAX, nothing else.

python -m dfjax.main --config configs/resnet.py --workdir runs/resnet
python -m dfjax.main --config configs/resnet.py --config.optimizer.lr=3e-4 --workdir runs/slow
python -m dfjax.main --mode=evaluate --config configs/resnet.py --workdir runs/resnet
"""

import os
import pathlib
import sys
from typing import NoReturn

import jax
from absl import app, flags, logging
from ml_collections import config_flags

from dfjax import evaluate, train
from dfjax.errors import UserError
from dfjax.media.errors import MediaError

_CONFIG = config_flags.DEFINE_config_file("config", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Where checkpoints, metrics and reports go.")
_MODE = flags.DEFINE_enum(
    "mode",
    "train",
    ["train", "evaluate"],
    "train: trains, or resumes, and then evaluates. evaluate: scores the best checkpoint of "
    "--workdir; the model and its data come from the run, only config.eval is read.",
)
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed",
    False,
    "Join other processes: found by itself on Slurm, Open MPI, GKE and TPU VMs, elsewhere by "
    "JAX_COORDINATOR_ADDRESS, DFJAX_NUM_PROCESSES and DFJAX_PROCESS_ID.",
)


def _parse_flags(argv: list[str]) -> list[str]:
    try:
        return app.parse_flags_with_usage(argv)
    except (KeyError, AttributeError) as error:  # a field that the config does not have
        reason = error.args[0].args[0] if isinstance(error, AttributeError) else error.args[0]
        _exit(f"--config has no {' '.join(reason.split())}")


def _exit(message: object) -> NoReturn:
    print(f"dfjax: error: {message}", file=sys.stderr)
    sys.exit(2)


def _join_processes() -> None:
    count, index = (os.environ.get(f"DFJAX_{name}") for name in ("NUM_PROCESSES", "PROCESS_ID"))
    if (count is None) != (index is None):
        raise UserError("set both DFJAX_NUM_PROCESSES and DFJAX_PROCESS_ID, or neither")
    if count is None:
        jax.distributed.initialize()
    else:
        jax.distributed.initialize(num_processes=int(count), process_id=int(index))


def main(argv: list[str]) -> None:
    """Runs the mode; a known error ends the process with one line and status 2."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    config, workdir = _CONFIG.value, pathlib.Path(_WORKDIR.value)
    logging.set_verbosity(logging.WARNING)
    # CLU's writers load TensorFlow, which would greet.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    if config.compile_cache:
        jax.config.update("jax_compilation_cache_dir", os.path.expanduser(config.compile_cache))
    try:
        if _DISTRIBUTED.value:
            _join_processes()
        if _MODE.value == "train":
            train.train(config, workdir)
        evaluate.evaluate(config, workdir)
    except (UserError, MediaError, OSError) as error:
        _exit(error)


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(main, flags_parser=_parse_flags)
