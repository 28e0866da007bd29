"""What the command line answers to those who do not know it yet."""

import re
import subprocess
import sys

import pytest

from dfjax import cli


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert re.fullmatch(r"dfjax \S.*\n", capsys.readouterr().out)


def test_python_runs_the_package_as_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "dfjax", "doctor", "--help"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: dfjax doctor")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "--modle", "x", "y"], "arguments: --modle; did you mean --model?"),
        (["report", "--thresold=3", "x", "--out", "y"], "--thresold=3; did you mean --threshold?"),
        (["doctor", "x\x1b"], "arguments: x\\x1b\n"),
    ],
)
def test_an_unknown_option_brings_the_usage_of_its_command(capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    error = capsys.readouterr().err
    assert error.startswith(f"usage: dfjax {arguments[0]} ")
    assert message in error


def test_a_server_without_its_packages_says_what_to_install(capsys, monkeypatch):
    for name in ("fastapi", "uvicorn"):  # as if they were not installed
        monkeypatch.setitem(sys.modules, name, None)
    assert cli.main(["serve"]) == 2
    message = 'dfjax: error: fastapi, uvicorn is not installed: pip install "dfjax[serve]"\n'
    assert capsys.readouterr().err == message
