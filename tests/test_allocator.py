"""Memory that a process keeps, seen by the pages that the system gives it."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, threading
from dfjax import allocator
if sys.argv[1] == "keep":
    allocator.keep_freed_memory()
def step():
    bytearray(200 << 20)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    thread = threading.Thread(target=step)  # XLA's are not the main one
    thread.start()
    thread.join()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([faults() for _ in range(3)][-1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_a_step_gets_the_memory_that_the_one_before_freed():
    def faults(argument: str) -> int:
        command = [sys.executable, "-c", PROGRAM, argument]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("do not") > 10_000 > 100 * faults("keep")
