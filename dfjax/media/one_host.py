"""Whatever address a confined process wants to connect to, it gets one host, or nothing.

Linux lets a process give its connect(2) away: `hand_over_connects` makes the kernel ask the holder
of a descriptor, here the parent, at each of them. The parent connects to the host that the user
named and puts that connection in the place of the process's socket. So no redirect, no playlist
and no code that took over the process reaches another host.
"""

import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import sys
import threading

# <linux/seccomp.h>, <linux/audit.h>, <linux/prctl.h>; numbers of seccomp(2) and connect(2).
# Those of aarch64 are from the kernel's tables and have not been run.
_MACHINES = {"x86_64": (0xC000003E, 317, 42), "aarch64": (0xC00000B7, 277, 203)}
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_ASK, _ALLOW = 0x7FC00000, 0x7FFF0000
_RECEIVE, _ANSWER, _ADD_DESCRIPTOR = 0xC0502100, 0xC0182101, 0x40182103
_QUESTION = struct.Struct("<QIIiIQ6Q")  # id, pid, flags, number, machine, instruction, arguments
_REPLACE = 1
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06  # of BPF: load a word, compare, end

IS_SUPPORTED = sys.platform == "linux" and platform.machine() in _MACHINES


def hand_over_connects(channel: socket.socket) -> None:
    """From now on, whoever gets the descriptor sent over `channel` decides on every connect(2).

    Raises:
      OSError: the kernel is older than 5.9, or forbids it.
    """
    machine, seccomp, connect = _MACHINES[platform.machine()]
    program = [
        (_LOAD, 0, 0, 4),  # the machine that the call's number belongs to
        (_JUMP_EQUAL, 0, 2, machine),
        (_LOAD, 0, 0, 0),
        (_JUMP_EQUAL, 1, 0, connect),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ASK),
    ]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    code = b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    description = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    listener = libc.syscall(seccomp, _SET_MODE_FILTER, _NEW_LISTENER, description)
    if listener < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        socket.send_fds(channel, [b"\0"], [listener])
    finally:
        os.close(listener)


class Connector:
    """Answers every connect(2) of a process by a connection to one host, in a thread."""

    def __init__(self, channel: socket.socket, host: str, port: int, *, most: int, seconds: float):
        """Takes over what the process at the other end of `channel` hands over.

        `most` connections are made; each may take `seconds`.

        Raises:
          OSError: the process is gone.
        """
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not descriptors:
            raise ConnectionError("the process handed nothing over")
        self._listener = descriptors[0]
        self._place, self._left, self._seconds = (host, port), most, seconds
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits for the end; the process has to be gone."""
        self._thread.join()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        try:
            while poll.poll()[0][1] & select.POLLIN:  # else the process is gone
                self._answer()
        finally:
            os.close(self._listener)

    def _answer(self) -> None:
        question = bytearray(_QUESTION.size)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, question)
            call, *_, descriptor = _QUESTION.unpack(question)[:7]
            failure = self._connect(call, descriptor)
            answer = struct.pack("<QqiI", call, 0, -failure, 0)
            fcntl.ioctl(self._listener, _ANSWER, answer)
        except OSError:  # the process went away meanwhile
            return

    def _connect(self, call: int, descriptor: int) -> int:
        """Puts a connection in the place of the process's socket; returns 0, or why it failed."""
        if not self._left:
            return errno.EACCES
        self._left -= 1
        try:
            with socket.create_connection(self._place, self._seconds) as connection:
                place = struct.pack("<QIIII", call, _REPLACE, connection.fileno(), descriptor, 0)
                fcntl.ioctl(self._listener, _ADD_DESCRIPTOR, place)
        except OSError as error:
            # A failed look-up has negative numbers, and a timeout none.
            return max(error.errno or 0, 0) or errno.EHOSTUNREACH
        return 0
