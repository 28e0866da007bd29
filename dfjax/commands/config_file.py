"""The option --config FILE and the overrides --config.field=value of the commands that train."""

import argparse
import os
from collections.abc import Sequence

import ml_collections
from absl import flags, logging
from ml_collections import config_flags

from dfjax.commands import options
from dfjax.errors import UserError


def add_config(parser: argparse.ArgumentParser) -> None:
    """Adds --config; everything else that begins with --config. is an override."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        required=True,
        help="Python file whose get_config() returns dfjax.config.base() and what differs from it; "
        "--config.field=value changes one more field",
    )
    parser.set_defaults(takes_overrides=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds --config and --workdir."""
    add_config(parser)
    parser.add_argument(
        "--workdir",
        metavar="DIR",
        type=options.utf8_path,
        required=True,
        help="for checkpoints, metrics and results",
    )


def read(file: str, overrides: Sequence[str]) -> ml_collections.ConfigDict:
    """Returns the config of a file, with overrides such as "--config.optimizer.lr=3e-4".

    Raises:
      UserError: no such file, an override of a field that the config does not have, or a value of
        another type.
    """
    path = file.partition(":")[0]  # what follows is an argument of get_config
    if not os.path.isfile(path):
        raise UserError(f"--config {path} is not a file: give one such as configs/resnet.py")
    argv = ["dfjax", f"--config={file}", *overrides]
    values = flags.FlagValues()
    flag = config_flags.DEFINE_config_file(
        "config", lock_config=True, flag_values=values, sys_argv=argv
    )
    try:
        rest = values(argv)[1:]
    except (KeyError, AttributeError) as error:  # a field that the config does not have
        reason = error.args[0].args[0] if isinstance(error, AttributeError) else error.args[0]
        reason = " ".join(str(reason).split()).replace(" Did you mean", ": did you mean")
        raise UserError(f"--config has no {reason}") from error
    except flags.Error as error:
        raise UserError(str(error)) from error
    if rest:
        raise UserError(f"{' '.join(rest)}: overrides look like --config.field=value")
    logging.set_verbosity(logging.WARNING)
    return flag.value
