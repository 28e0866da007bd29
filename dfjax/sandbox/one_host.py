"""Whatever address a confined process wants to connect to, it gets one host, or nothing.

The process hands its connect(2) over: at each of them, the kernel asks the holder of a descriptor,
here the parent. The parent connects to the host that the user named, and puts that connection in
the place of the process's socket. So no redirect, no playlist and no code that took over the
process reaches another host.
"""

import errno
import fcntl
import os
import select
import socket
import struct
import threading

from dfjax.sandbox import seccomp

# <linux/seccomp.h>; the same numbers on every architecture.
_RECEIVE, _ANSWER, _ADD_DESCRIPTOR = 0xC0502100, 0xC0182101, 0x40182103
_QUESTION = struct.Struct("=QIIiIQ6Q")  # id, pid, flags, call, architecture, where, six arguments
_REPLY = struct.Struct("=QqiI")  # id, result, minus the error, flags
_DESCRIPTOR = struct.Struct("=QIIII")  # id, flags, ours, theirs, flags of theirs
_REPLACE = 1


def hand_over_connects(channel: socket.socket) -> None:
    """Sends the right to decide on every connect(2) of this process over `channel`.

    Call it before seccomp takes the sending of descriptors away.

    Raises:
      OSError: the kernel refuses, and the other end knows; or nobody is there.
    """
    try:
        listener = seccomp.hand_over_connects()
    except OSError:
        channel.sendall(b"\0")
        raise
    try:
        socket.send_fds(channel, [b"\0"], [listener])
    finally:
        os.close(listener)


class Connector:
    """Answers every connect(2) of a process by a connection to one host, in a thread."""

    def __init__(
        self,
        channel: socket.socket,
        host: str,
        port: int,
        *,
        max_connections: int | None,
        seconds: float,
    ):
        """Takes over what the process at the other end of `channel` hands over.

        At most `max_connections` are made (None: any number); each may take `seconds`. They do not
        block: the process has to wait by poll or select, as all do that know timeouts.

        Raises:
          ConnectionError: the process could hand nothing over, or is gone.
        """
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not descriptors:
            raise ConnectionError("the process handed nothing over")
        self._listener = descriptors[0]
        self._place, self._seconds = (host, port), seconds
        self._max_connections, self._num_connections = max_connections, 0
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
            number, *_, descriptor = _QUESTION.unpack(question)[:7]
            failure = self._connect(number, descriptor)
            fcntl.ioctl(self._listener, _ANSWER, _REPLY.pack(number, 0, -failure, 0))
        except OSError:  # the process went away meanwhile
            return

    def _connect(self, number: int, descriptor: int) -> int:
        """Puts a connection in the place of the process's socket; returns 0, or why it failed."""
        if self._num_connections == self._max_connections:
            return errno.EACCES
        self._num_connections += 1
        try:
            with socket.create_connection(self._place, self._seconds) as connection:
                order = _DESCRIPTOR.pack(number, _REPLACE, connection.fileno(), descriptor, 0)
                fcntl.ioctl(self._listener, _ADD_DESCRIPTOR, order)
        except OSError as error:
            # A failed look-up has negative numbers, and a timeout none.
            return max(error.errno or 0, 0) or errno.EHOSTUNREACH
        return 0
