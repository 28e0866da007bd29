"""Starts a Python process that has nothing of this one but what it is given."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence

from dfjax.media import limits

_ENVIRONMENT = {
    "PATH": os.defpath,
    "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
    "OPENBLAS_NUM_THREADS": "1",  # a thread's memory counts, used or not
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(limits.MAX_PIXELS),
    "OPENCV_LOG_LEVEL": "OFF",  # or a hostile file could fill the log
}


def start(
    program: str,
    arguments: Sequence[str],
    *,
    keep: Sequence[int],
    folder: str = "/",
    stderr: int | None = None,
    variables: Sequence[str] = (),
) -> subprocess.Popen:
    """Runs the text `program` in `folder`; it has the descriptors `keep`, and starts unconfined.

    `stderr` is that of `subprocess.Popen`. Of the environment it sees `variables` alone.

    Raises:
      OSError: no process starts.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-s", "-B", "-c", program, *arguments],
        env=_ENVIRONMENT | {name: os.environ[name] for name in variables if name in os.environ},
        pass_fds=keep,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        cwd=folder,
        start_new_session=True,  # Ctrl-C must not reach it: who started it ends it
    )
