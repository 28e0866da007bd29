"""What a process gives up before it looks at untrusted bytes, in the only order that works.

Each layer holds where another has a hole or is missing: Docker's profile refuses user namespaces,
old kernels lack Landlock, macOS has the limits alone.
"""

import ctypes
import math
import os
import resource
import sys
from collections.abc import Sequence

from dfjax.sandbox import landlock, seccomp

REQUIRED = ("landlock", "seccomp")  # without one of these, a file could reach other files or hosts

_MAX_DESCRIPTORS = 64
_CPU_SPARE = 1  # seconds: the limit on wall time, which gives the better reason, should come first

# <linux/prctl.h>, <linux/sched.h> and <linux/capability.h>
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_CAPABILITY_VERSION_3 = 0x20080522
_MAX_CAPABILITIES = 64
_SIGKILL = 9


def hide_memory() -> None:
    """Keeps other processes of this user out of this one's memory, environment and descriptors."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def give_up_privileges(*, network: bool = False) -> tuple[str, ...]:
    """Gives up what a process that only forks workers does not need; they inherit it.

    Returns the names of the layers that hold from now on.
    """
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(kind, (0, 0))
    if sys.platform != "linux":
        return ()
    _be_killed_first()
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    layers = ()
    # A network without interfaces. Containers refuse it: seccomp then refuses every socket.
    if not network and libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        layers += ("no network",)
    _drop_capabilities(libc)  # the new namespace came with all of them
    hide_memory()
    return (*layers, "no capabilities")


def die_with(parent: int) -> None:
    """Ends this process when its `parent` ends, however that does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)


def confine(
    *,
    memory: int,
    seconds: float | None,
    readable: Sequence[str],
    network: bool = False,
    threads: bool = False,
) -> tuple[str, ...]:
    """Gives up everything that a task does not need; returns the names of the layers that hold.

    The process may have `memory` bytes of address space, compute for `seconds` (None: as long as it
    lives), and read libraries and what lies at the paths `readable`. `network` leaves it
    connections to others (see `one_host`), `threads` new threads.

    Raises:
      OSError: a layer that this system has could not be put on.
    """
    _limit(memory, seconds, threads=threads)
    layers = ()
    if abi := landlock.version():
        landlock.restrict([*landlock.libraries(), *readable], tcp=network)
        layers += (f"landlock {abi}",)
    if seccomp.available():
        seccomp.restrict(network=network, threads=threads)
        layers += ("seccomp",)
    return layers


def missing(layers: Sequence[str]) -> list[str]:
    """Returns which of `REQUIRED` are not among the layers that hold."""
    names = {layer.partition(" ")[0] for layer in layers}
    return [layer for layer in REQUIRED if layer not in names]


def _limit(memory: int, seconds: float | None, *, threads: bool) -> None:
    limits = {resource.RLIMIT_NOFILE: _MAX_DESCRIPTORS}
    if seconds is not None:
        limits[resource.RLIMIT_CPU] = math.ceil(seconds) + _CPU_SPARE
    if not threads:  # they count as processes; seccomp tells them apart
        limits[resource.RLIMIT_NPROC] = 0
    if sys.platform == "linux":
        limits[resource.RLIMIT_AS] = memory
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))


def _be_killed_first() -> None:
    """Makes a machine short of memory end this process before the one that it works for."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:  # no /proc, or one that cannot be written
        pass


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in range(_MAX_CAPABILITIES):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    libc.capset(header, (ctypes.c_uint32 * 6)())
