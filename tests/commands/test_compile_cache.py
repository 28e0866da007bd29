"""Which folder keeps compiled programs, how many, and what JAX is told; starts: test_startup.py."""

import os
import pathlib
import subprocess
import sys

import pytest

TOLD = """
import jax
print(jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs)
"""


def python(program: str, **variables: str) -> list[str]:
    """The words that a program prints in a process where JAX's cache is not set."""
    environment = {name: value for name, value in os.environ.items() if "COMPILATION" not in name}
    command = [sys.executable, "-c", f"from dfjax.commands import compile_cache\n{program}"]
    done = subprocess.run(command, env=environment | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def use(folder: object) -> str:
    return f"compile_cache.use({str(folder)!r})\n"


def keep(folder: pathlib.Path, *ages: int) -> None:
    """Writes programs of 100 bytes, last used so many seconds ago, by that name."""
    folder.mkdir()
    for age in ages:
        path = folder / f"{age}-cache"
        path.write_bytes(bytes(100))
        os.utime(path, (1_000_000 - age, 1_000_000 - age - 5))


@pytest.mark.parametrize("before", ["", "import jax\n"])  # the second as the file of a config may
def test_jax_keeps_every_program_there_whenever_it_is_loaded(tmp_path, before):
    assert python(before + use(tmp_path / "a") + TOLD) == [f"{tmp_path}/a", "0.0"]
    assert python(before + use("") + TOLD) == ["None", "0.0"]


def test_jax_itself_is_not_loaded(tmp_path):
    assert python(use(tmp_path) + "import sys; print('jax' in sys.modules)") == ["False"]


def test_those_used_last_are_kept(tmp_path):
    keep(tmp_path / "a", 5, 1, 4, 2, 3)
    (tmp_path / "a" / "mine.txt").write_bytes(bytes(1000))
    python("compile_cache.MAX_BYTES = 250\n" + use(tmp_path / "a"))
    left = {path.name for path in (tmp_path / "a").iterdir()}
    assert left == {"1-cache", "2-cache", "mine.txt"}


def test_a_folder_of_the_users_own_goes_before_and_is_left_alone(tmp_path):
    keep(tmp_path / "own", 1, 2)
    program = "compile_cache.MAX_BYTES = 0\n" + use(tmp_path / "a") + TOLD
    variables = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "3"}
    own = f"{tmp_path}/own"
    assert python(program, JAX_COMPILATION_CACHE_DIR=own, **variables) == [own, "3.0"]
    assert len(list((tmp_path / "own").iterdir())) == 2
    assert not (tmp_path / "a").exists()
