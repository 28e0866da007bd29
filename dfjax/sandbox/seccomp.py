"""seccomp: a process gives up all system calls but those that decoding a file needs.

The filter is a list of what is allowed; everything else fails with EPERM. It holds where Landlock
does not reach: permissions, sockets by path, the kernel's rarely used doors. x86-64 was run; the
numbers for aarch64 were written from the kernel's table (include/uapi/asm-generic/unistd.h) and
were not run. See https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable, Iterator

# Number on x86-64 and on aarch64; None: that architecture lacks it.
_ALWAYS: dict[str, tuple[int | None, int | None]] = {
    # Descriptors that are open, and files that Landlock lets it read.
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "lseek": (8, 62),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "readv": (19, 65),
    "writev": (20, 66),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "recvfrom": (45, 207),
    "shutdown": (48, 210),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "statfs": (137, 43),
    "fstatfs": (138, 44),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "fadvise64": (221, 223),
    # Memory.
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "mincore": (27, 232),
    # Its own threads, signals, clocks and identity.
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "membarrier": (324, 283),
    "rseq": (334, 293),
    "set_robust_list": (273, 99),
    "get_robust_list": (274, 100),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    "getrlimit": (97, 163),
    "getrandom": (318, 278),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
}
# What a process that connects to others needs besides. Nothing in it sends without a connection.
_NETWORK: dict[str, tuple[int | None, int | None]] = {
    "connect": (42, 203),
    "getsockname": (51, 204),
    "getpeername": (52, 205),
    "setsockopt": (54, 208),
    "getsockopt": (55, 209),
}
_SOCKET, _DOMAINS = (41, 198), (2, 10)  # IPv4 and IPv6
_SENDTO, _ADDRESS = (44, 206), 4  # of a message; a connection needs none
# Allowed for some values of one argument only: (numbers, position, values).
_IOCTLS = (0x5401, 0x5413, 0x5421, 0x5450, 0x5451, 0x541B)  # terminal? size? block, cloexec, bytes
_FCNTLS = (0, 1, 2, 3, 4, 1030)  # copies and flags; neither locks nor the sending of signals
_PRCTLS = (15, 16, 0x53564D41)  # names of threads and of memory
_BY_VALUE = {
    "ioctl": ((16, 29), 1, _IOCTLS),
    "fcntl": ((72, 25), 1, _FCNTLS),
    "prctl": ((157, 167), 0, _PRCTLS),
    "prlimit64": ((302, 261), 0, (0,)),  # its own limits
}
_TGKILL = (234, 131)  # abort() sends itself a signal
_CLONE, _CLONE3, _CLONE_THREAD = (56, 220), (435, 435), 0x10000
_OPENS = (((2, None), 1), ((257, 56), 2))  # open, openat: the position of their flags
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000  # x86-64 has a second table of calls from here on

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER = (317, 277), 1, 8
_KILL, _ALLOW, _ERRNO, _ASK = 0x80000000, 0x7FFF0000, 0x00050000, 0x7FC00000
# BPF: load a word of `struct seccomp_data`, compare, test bits, return.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def available() -> bool:
    """Returns whether this system has seccomp filters, and this module the numbers for it."""
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES:
        return False
    # Of a filter at address 0: EFAULT where filters exist, EINVAL where they do not.
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, 0, 0, 0)
    return ctypes.get_errno() == errno.EFAULT


def restrict(*, network: bool = False, threads: bool = False) -> None:
    """Leaves this process, for ever, the system calls of the list above.

    `network` adds connections to others; `threads` lets it start threads, but never processes. The
    process must have `no_new_privs`.

    Raises:
      OSError: the kernel refuses.
    """
    column, _ = _ARCHITECTURES[platform.machine()]
    _load(_program(column, network=network, threads=threads))


def hand_over_connects() -> int:
    """Returns a descriptor: who has it decides from now on about every connect(2) of this process.

    It takes Linux 5.9 to decide (see `one_host`). The process must have `no_new_privs`.

    Raises:
      OSError: the kernel refuses.
    """
    column, _ = _ARCHITECTURES[platform.machine()]
    ask = [(_EQUAL, 0, 1, _NETWORK["connect"][column]), (_RETURN, 0, 0, _ASK)]
    return _load([*ask, (_RETURN, 0, 0, _ALLOW)], _NEW_LISTENER)


def _load(rules: Iterable[_Instruction], flags: int = 0) -> int:
    """Puts a filter on this process; returns what the kernel does."""
    column, architecture = _ARCHITECTURES[platform.machine()]
    program = [*_prologue(column, architecture), *rules]
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: the number of instructions, and where they are.
    description = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(_SECCOMP[column], _SET_MODE_FILTER, flags, description)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")
    return result


def _prologue(column: int, architecture: int) -> Iterator[_Instruction]:
    """Kills who calls by the numbers of another architecture, and loads the number of the call."""
    yield _LOAD, 0, 0, _ARCHITECTURE
    yield _EQUAL, 1, 0, architecture
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _NUMBER
    if column == 0:
        yield _AT_LEAST, 0, 1, _X32
        yield _RETURN, 0, 0, _KILL


def _program(column: int, *, network: bool, threads: bool) -> Iterator[_Instruction]:
    allowed = _ALWAYS | _NETWORK if network else _ALWAYS
    for numbers in allowed.values():
        if numbers[column] is not None:
            yield _EQUAL, 0, 1, numbers[column]
            yield _RETURN, 0, 0, _ALLOW
    for numbers, position, values in _BY_VALUE.values():
        yield from _if_argument_is(numbers[column], position, values)
    yield from _if_argument_is(_TGKILL[column], 0, (os.getpid(),))
    yield from _if_null(_SENDTO[column], _ADDRESS)
    if network:
        yield from _if_argument_is(_SOCKET[column], 0, _DOMAINS)
    for numbers, position in _OPENS:
        if numbers[column] is not None:
            yield from _if_no_bit(numbers[column], position, _WRITING)
    # The C library asks for clone3 first; ENOSYS makes it ask for clone, whose flags can be seen.
    yield _EQUAL, 0, 1, _CLONE3[column]
    yield _RETURN, 0, 0, _ERRNO | errno.ENOSYS
    if threads:
        yield from _if_bit(_CLONE[column], 0, _CLONE_THREAD)
    yield _RETURN, 0, 0, _ERRNO | errno.EPERM


def _if_argument_is(number: int, position: int, values: Iterable[int]) -> Iterator[_Instruction]:
    """Allows a call if the lower half of an argument is one of `values`."""
    values = tuple(values)
    yield _EQUAL, 0, 2 + 2 * len(values), number
    yield _LOAD, 0, 0, _ARGUMENTS + 8 * position
    for value in values:
        yield _EQUAL, 0, 1, value
        yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _ERRNO | errno.EPERM


def _if_null(number: int, position: int) -> Iterator[_Instruction]:
    """Allows a call if an argument, of which there are two halves, is no address."""
    yield _EQUAL, 0, 6, number
    for half in (0, 4):
        yield _LOAD, 0, 0, _ARGUMENTS + 8 * position + half
        yield _EQUAL, 0, 3 - half // 2, 0
    yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _ERRNO | errno.EPERM


def _if_no_bit(number: int, position: int, bits: int) -> Iterator[_Instruction]:
    """Allows a call if its flags have none of `bits`."""
    yield _EQUAL, 0, 4, number
    yield _LOAD, 0, 0, _ARGUMENTS + 8 * position
    yield _ANY_BIT, 1, 0, bits
    yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _ERRNO | errno.EPERM


def _if_bit(number: int, position: int, bit: int) -> Iterator[_Instruction]:
    """Allows a call if its flags have `bit`."""
    yield _EQUAL, 0, 4, number
    yield _LOAD, 0, 0, _ARGUMENTS + 8 * position
    yield _ANY_BIT, 0, 1, bit
    yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _ERRNO | errno.EPERM
