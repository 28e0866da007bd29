"""Memory that one step of a program frees goes to the next step, not back to the system.

On a CPU a step of training allocates hundreds of megabytes and frees them. What comes from the
system comes page by page, each filled with zeros: a fifth of the processor time of a step.
"""

import ctypes
import platform

# Names and numbers of glibc's malloc.h. All three are needed: large pieces have pages of their own
# unless MMAP_MAX forbids it, or another thread's arena asks for them; and trimming gives back.
_ARENA_MAX, _MMAP_MAX, _TRIM_THRESHOLD = -8, -4, -1


def keep_freed_memory() -> None:
    """Makes this process keep the memory that it frees; without glibc, nothing happens.

    For programs that do the same again and again. Call it first: threads that allocated before keep
    arenas of their own.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for option, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1)):
        mallopt(option, value)
