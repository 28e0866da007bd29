"""Everything that a decoder might try is refused: with and without user namespaces, root or not."""

import atexit
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile

import pytest

from dfjax.sandbox import confinement, landlock, seccomp
from tests.sandbox import probes

ROOT = pathlib.Path(__file__).parents[2]
NOBODY = 65534

pytestmark = pytest.mark.skipif(
    not (landlock.version() and seccomp.available()), reason="this kernel lacks Landlock or seccomp"
)


def identity(user: int) -> dict:
    """The arguments of `subprocess` that become this user."""
    return {} if user == os.geteuid() else {"user": user, "group": user, "extra_groups": []}


def may_run(python: str, user: int, program: str = "", folder: str | pathlib.Path = "/") -> bool:
    try:
        done = subprocess.run([python, "-B", "-c", program], cwd=folder, **identity(user))
    except OSError:
        return False
    return done.returncode == 0


@functools.cache
def interpreter(user: int) -> str:
    """A Python that this user may run, with the packages of this one."""
    if may_run(sys.executable, user):
        return sys.executable
    # This one may lie in a home folder; the system's, of the same version, takes its packages.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    system = f"/usr/bin/{version}"
    if not may_run(system, user):
        pytest.skip(f"that user may run neither this interpreter nor {system}")
    folder = pathlib.Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    folder.chmod(0o755)
    subprocess.run([system, "-m", "venv", "--without-pip", folder], check=True)
    packages = folder / "lib" / version / "site-packages" / "packages.pth"
    packages.write_text(sysconfig.get_path("purelib"))
    python = str(folder / "bin" / "python")
    if not may_run(python, user, "import dfjax.sandbox.pool", ROOT):
        pytest.skip(f"that user may not read {ROOT}, or the packages")
    return python


@functools.cache
def found(user: int, *arguments: str):
    done = subprocess.run(
        [interpreter(user), "-B", "-m", "tests.sandbox.probes", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": os.defpath, "SECRET": "1"},
        **identity(user),
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


USERS = (os.geteuid(), NOBODY) if os.geteuid() == 0 else (os.geteuid(),)
SYSTEMS = pytest.mark.parametrize(
    ("user", "arguments"),
    [(user, arguments) for user in USERS for arguments in ((), ("refuse-user-namespaces",))],
    ids=lambda value: str(value) if isinstance(value, int) else " ".join(value) or "as it is",
)


@SYSTEMS
@pytest.mark.parametrize("name", probes.PROBES)
def test_it_is_refused(user, arguments, name):
    assert found(user, *arguments)["sandboxed"][name] in ("PermissionError", "OSError")


@SYSTEMS
def test_what_a_task_needs_is_left(user, arguments):
    result = found(user, *arguments)
    assert result["read"] == "what it may read"
    assert "SECRET" not in result["environment"]
    assert {"seccomp", "no capabilities"} <= set(result["layers"])
    assert confinement.missing(result["layers"]) == []
    if arguments:
        assert "no network" not in result["layers"]


def test_an_ordinary_process_could_do_it():
    """The probes are sound: without the sandbox, each of these succeeds."""
    refused = {name: got for name, got in found(os.geteuid())["ordinary"].items() if got != "done"}
    assert set(found(os.geteuid())["ordinary"]) == set(probes.SURE)
    assert not refused


def test_what_is_missing_is_named():
    assert confinement.missing(("no network", "landlock 7", "seccomp")) == []
    assert confinement.missing(("seccomp", "no capabilities")) == ["landlock"]
    assert confinement.missing(()) == ["landlock", "seccomp"]
