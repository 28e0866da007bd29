"""`dfjax train`: a config file becomes a trained and evaluated run."""

import argparse
import os
import pathlib

from dfjax import allocator
from dfjax.commands import compile_cache, config_file, options
from dfjax.errors import UserError


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "train",
        help="train what a config file describes, and evaluate it",
        description="Train what a config file describes, then evaluate the best checkpoint. The "
        "same command resumes a run that was interrupted.",
        run=run,
    )
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a training run."""
    config_file.add_options(parser)
    parser.add_argument(
        "--distributed",
        action="store_true",
        help="join other processes: without more on Slurm, Open MPI, GKE and TPU VMs, elsewhere by "
        "JAX_COORDINATOR_ADDRESS, DFJAX_NUM_PROCESSES and DFJAX_PROCESS_ID",
    )


def run(arguments: argparse.Namespace, *, train_first: bool = True) -> int:
    """Trains, unless that is left out, and evaluates."""
    allocator.keep_freed_memory()
    from dfjax import evaluate, train

    config = config_file.read(arguments.config, arguments.overrides)
    compile_cache.use(config.compile_cache)
    if arguments.distributed:
        _join_processes()
    workdir = pathlib.Path(arguments.workdir)
    if train_first:
        evaluate.check(config)  # rather than after hours of training
        train.train(config, workdir)
    evaluate.evaluate(config, workdir)
    return 0


def _join_processes() -> None:
    import jax

    count, index = (os.environ.get(f"DFJAX_{name}") for name in ("NUM_PROCESSES", "PROCESS_ID"))
    if (count is None) != (index is None):
        raise UserError("set both DFJAX_NUM_PROCESSES and DFJAX_PROCESS_ID, or neither")
    if count is None:
        jax.distributed.initialize()
    else:
        jax.distributed.initialize(num_processes=int(count), process_id=int(index))
    if jax.default_backend() == "cpu":
        # Kept programs that several processes read wait for one another for ever: jaxlib 0.10.2.
        jax.config.update("jax_enable_compilation_cache", False)
