"""A program that the kernel kills when it looks a name up: python tests/trap.py -m MODULE ...

Whoever phones home asks for an address first, by a datagram. Libraries written in C are caught as
well, and so are threads and child processes. Sockets of TCP are allowed: a server listens on one,
and gRPC opens some to learn what the machine can do.
"""

import ctypes
import os
import platform
import socket
import struct
import sys

_SOCKET = {"x86_64": 41, "aarch64": 198}  # the number of the system call
UNKNOWN = sys.platform != "linux" or platform.machine() not in _SOCKET

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _PR_SET_NO_NEW_PRIVS = 22, 2, 38
_LOAD, _AND, _EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06  # instructions of BPF
_NUMBER, _FAMILY, _TYPE = 0, 16, 24  # where a filter finds the call and its arguments
_ALLOW, _KILL_PROCESS = 0x7FFF0000, 0x80000000


# A filter: (instruction, jump if equal, jump if not, value).
_RULES = [
    (_LOAD, 0, 0, _NUMBER),
    (_EQUAL, 0, 6, _SOCKET.get(platform.machine(), 0)),
    (_LOAD, 0, 0, _FAMILY),
    (_EQUAL, 1, 0, socket.AF_INET),
    (_EQUAL, 0, 3, socket.AF_INET6),
    (_LOAD, 0, 0, _TYPE),
    (_AND, 0, 0, 0xF),  # without flags
    (_EQUAL, 1, 0, socket.SOCK_DGRAM),
    (_RETURN, 0, 0, _ALLOW),
    (_RETURN, 0, 0, _KILL_PROCESS),
]


def kill_who_looks_out() -> None:
    """From now on, in this process and those that it starts."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in _RULES))
    program = ctypes.create_string_buffer(struct.pack("HP", len(_RULES), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0),
    ):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    kill_who_looks_out()
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
