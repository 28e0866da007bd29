"""`dfjax train`: a config file becomes a trained and evaluated run."""

import argparse

from dfjax import allocator, console
from dfjax.commands import compile_cache, config_file, options

_EXIT_STATUS = """\
exit status:
  0    done
  1    a fault of the program, with a traceback
  2    wrong usage or input, or a loss that is not finite; the message says what to change
  73   another run writes into the workdir
  75   asked to end (SIGTERM), and saved; the same command continues
  130  interrupted; the same command continues
"""


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "train",
        help="train what a config file describes, and evaluate it",
        description="Train what a config file describes, then evaluate the best checkpoint. The "
        "same command resumes a run that was interrupted.",
        run=run,
        epilog=_EXIT_STATUS,
    )
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a training run."""
    config_file.add_options(parser)
    parser.add_argument(
        "--distributed",
        choices=("auto", "off", "env"),
        default="auto",
        help="how processes find each other: auto does so on Slurm, Open MPI, GKE and TPU VMs, and "
        "elsewhere, as env does, by JAX_COORDINATOR_ADDRESS, DFJAX_NUM_PROCESSES and "
        "DFJAX_PROCESS_ID where these are set; off is one process (%(default)s)",
    )
    parser.add_argument(
        "--profile",
        metavar="FIRST:END",
        help="trace these updates, such as 100:110, into WORKDIR/profile",
    )


def run(arguments: argparse.Namespace, *, train_first: bool = True) -> int:
    """Trains, unless that is left out, and evaluates."""
    allocator.keep_freed_memory()
    from dfjax import evaluate, hosts, preemption, profiling, sharding, train
    from dfjax.buckets import workdir as bucket_workdir

    config = config_file.read(arguments.config, arguments.overrides)
    compile_cache.use(config.compile_cache)
    if joined := hosts.join(arguments.distributed):
        console.print_line(joined)
    profile = profiling.parse(arguments.profile) if arguments.profile else range(0)
    opened = bucket_workdir.opened(arguments.workdir, from_first=sharding.from_first)
    with preemption.ending(), opened as workdir:
        if train_first:
            evaluate.check(config)  # rather than after hours of training
            train.train(config, workdir.path, profile=profile)
        evaluate.evaluate(config, workdir.to_read())
    return 0
