"""Asks a server every 0.1 s whether it lives, and prints time, seconds taken and status.

A process of its own, so that the traffic cannot slow it: `python health.py PORT`. The times are
those of the monotonic clock, which all processes share.
"""

import http.client
import sys
import time

_PAUSE, _TIMEOUT = 0.1, 30.0  # seconds


def main() -> None:
    """Asks until it is killed; each line is one answer, its status 0 where there is none."""
    port = int(sys.argv[1])
    while True:
        began = time.monotonic()
        status = _ask(port)
        print(began, time.monotonic() - began, status, flush=True)
        time.sleep(_PAUSE)


def _ask(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/v2/health/live")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


if __name__ == "__main__":
    main()
