"""Landlock: a process gives up the files that it does not need to read, and all others' writing.

It needs no privileges and no user namespace, and works inside containers. See
https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
import pathlib
import stat
import struct
import sys
from collections.abc import Iterable

# The same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# What each version of the interface added: rights on files, on TCP, and beyond the own domain.
_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP_BIND_AND_CONNECT, _TCP_SINCE = 3, 4
_ABSTRACT_SOCKETS_AND_SIGNALS, _SCOPE_SINCE = 3, 6


def version() -> int:
    """Returns the version of Landlock that this kernel has; 0: none, or it is switched off."""
    if sys.platform != "linux":
        return 0
    return max(0, _syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION))


def restrict(readable: Iterable[str | os.PathLike], *, tcp: bool = False) -> None:
    """Leaves this process, for ever, the reading of these files and of all below these folders.

    Nothing can be written, made or removed, no program be started, no signal sent and no abstract
    socket reached; unless `tcp`, no TCP connection be made. Older kernels lack the last three.
    Paths that do not exist are passed over. The process must have `no_new_privs`.

    Raises:
      OSError: the kernel refuses.
    """
    abi = version()
    handled = max(rights for since, rights in _FILES.items() if since <= abi)
    network = 0 if tcp or abi < _TCP_SINCE else _TCP_BIND_AND_CONNECT
    scoped = 0 if abi < _SCOPE_SINCE else _ABSTRACT_SOCKETS_AND_SIGNALS
    attributes = struct.pack("=QQQ", handled, network, scoped)
    size = 8 if abi < _TCP_SINCE else 16 if abi < _SCOPE_SINCE else 24
    ruleset = _require(_syscall(_CREATE_RULESET, attributes, size, 0))
    try:
        for path in readable:
            _allow_reading(ruleset, path)
        _require(_syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def libraries() -> list[str]:
    """Returns the folders and files that a Python process loads code from."""
    package = pathlib.Path(__file__).parents[1]
    system = ("/usr/lib", "/lib", "/lib64", "/etc/ld.so.cache")
    return [sys.prefix, sys.base_prefix, str(package), *system]


def _allow_reading(ruleset: int, path: str | os.PathLike) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rights = _READ_FILE | _READ_DIR if is_folder else _READ_FILE
        rule = struct.pack("=Qi", rights, descriptor)
        _require(_syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0))
    finally:
        os.close(descriptor)


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    converted = [ctypes.c_size_t(a) if isinstance(a, int) else a for a in arguments]
    return libc.syscall(ctypes.c_long(number), *converted)


def _require(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result
