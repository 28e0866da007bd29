"""On a real terminal, and without one."""

import os
import pty
import subprocess
import sys

PROGRAM = """
from dfjax import progress
with progress.Progress("reading", 4, unit="files") as bar:
    for done in range(1, 5):
        bar.update(done, errors=0)
"""


def test_a_terminal_gets_a_bar_that_ends_full():
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], stdout=theirs, env=env, check=True)
    os.close(theirs)
    output = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "reading" in output
    assert "4/4" in output
    assert "\x1b[" in output  # drawn over itself


def test_a_log_gets_plain_lines():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith("reading 4/4")
    assert "errors 0" in done.stdout
