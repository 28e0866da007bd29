"""Trains or evaluates what a config file describes: the module form of `dfjax train`.

python -m dfjax.main --config configs/resnet.py --workdir runs/resnet
python -m dfjax.main --config configs/resnet.py --config.optimizer.lr=3e-4 --workdir runs/slow
python -m dfjax.main --mode=evaluate --config configs/resnet.py --workdir runs/resnet
"""

import argparse
import sys
from collections.abc import Sequence

from dfjax.commands import process, train


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` (None: the process's own); returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m dfjax.main",
        description="Train, or resume, and evaluate what a config file describes.",
    )
    train.add_options(parser)
    parser.add_argument(
        "--mode",
        choices=("train", "evaluate"),
        default="train",
        help="evaluate: score the best checkpoint of --workdir; the model and its data come from "
        "the run, and only config.eval is read (%(default)s)",
    )
    parser.set_defaults(
        run=lambda arguments: train.run(arguments, train_first=arguments.mode == "train")
    )
    return process.run(parser, argv)


if __name__ == "__main__":
    sys.exit(main())
