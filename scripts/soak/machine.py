"""How busy the machine is with other things: a rate says little where that changes."""

import os
import pathlib
import time

from soak.server import Server

_TICK = os.sysconf("SC_CLK_TCK")


class Neighbors:
    """The processor time of programs that have nothing to do with the soak."""

    def __init__(self, server: Server):
        self._server = server
        self._last = time.monotonic(), self._seconds()

    def cores(self) -> float:
        """Cores that they kept busy since the last call."""
        (then, before), self._last = self._last, (time.monotonic(), self._seconds())
        now, after = self._last
        return max(0.0, (after - before) / (now - then))

    def _seconds(self) -> float:
        own = sum(os.times()[:4])  # with processes that ended, such as the killed server
        return _busy_seconds() - own - self._server.processor_seconds()


def _busy_seconds() -> float:
    """Of all cores since the start of the machine, without idling and waiting for disks."""
    first = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()
    user, nice, system, _, _, interrupts, soft_interrupts = map(int, first[1:8])
    return (user + nice + system + interrupts + soft_interrupts) / _TICK
