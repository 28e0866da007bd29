"""How the processes of one run, on one machine or many, find each other."""

import os
from collections.abc import Mapping

import jax
from jax._src import clusters

from dfjax.errors import UserError

MODES = ("auto", "off", "env")
HEARTBEAT_SECONDS = 30  # a process that is silent for so long is dead, and the others end
VARIABLES = ("JAX_COORDINATOR_ADDRESS", "DFJAX_NUM_PROCESSES", "DFJAX_PROCESS_ID")


def join(mode: str = "auto") -> str:
    """Joins the other processes of this run, if there are any; says which, "" for none.

    `env` reads `VARIABLES`: where process 0 listens (host:port), how many processes there are, and
    which of them this is, from 0. `auto` does so where one of them is set; else JAX looks for
    Slurm, Open MPI, Kubernetes Jobs and JobSets, and TPU VMs. `off` is one process. Must be called
    before JAX is used.

    Raises:
      UserError: the variables are not all set, or one has no such value.
    """
    if mode not in MODES:
        raise UserError(f"--distributed={mode}: use one of {', '.join(MODES)}")
    if mode == "off":
        return ""
    if mode == "env" or any(name in os.environ for name in VARIABLES):
        address, count, index = read_variables(os.environ)
        _initialize(coordinator_address=address, num_processes=count, process_id=index)
        return f"process {index} of {count}, by {', '.join(VARIABLES)}"
    found = find_cluster()
    if found is None:
        return ""
    _initialize()
    return f"process {jax.process_index()} of {jax.process_count()}, by {found.name}"


def find_cluster() -> type[clusters.ClusterEnv] | None:
    """Returns what JAX would learn of other processes from, None: there is nothing."""
    kinds = clusters.ClusterEnv._cluster_types  # JAX tells by a log line alone
    usual = [kind for kind in kinds if not kind.opt_in_only_method]
    return next((kind for kind in usual if kind.is_env_present()), None)


def read_variables(environment: Mapping[str, str]) -> tuple[str, int, int]:
    """Returns (address of process 0, number of processes, number of this process).

    Raises:
      UserError: one of `VARIABLES` is missing, or has no such value.
    """
    if missing := [name for name in VARIABLES if not environment.get(name)]:
        raise UserError(
            f"{', '.join(missing)} not set: {', '.join(VARIABLES)} go together, host:port of "
            "process 0, their number, and 0 for the first; or --distributed=off"
        )
    address, *numbers = (environment[name] for name in VARIABLES)
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"{VARIABLES[0]}={address}: give host:port, such as 10.0.0.1:1234")
    if not all(number.isdecimal() for number in numbers):
        given = " and ".join(f"{name}={environment[name]}" for name in VARIABLES[1:])
        raise UserError(f"{given}: give whole numbers")
    count, index = map(int, numbers)
    if index >= count:
        raise UserError(f"{VARIABLES[2]}={index} of {count}: give 0 to {count - 1}")
    return address, count, index


def _initialize(**known: str | int) -> None:
    jax.distributed.initialize(**known, heartbeat_timeout_seconds=HEARTBEAT_SECONDS)
    if jax.default_backend() == "cpu":
        # Kept programs that several processes read wait for one another for ever: jaxlib 0.10.2.
        jax.config.update("jax_enable_compilation_cache", False)
