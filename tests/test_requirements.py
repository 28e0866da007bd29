"""What is installed is what was pinned: every package by version and digest, from any index."""

import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FILES = ["requirements.txt", "requirements-peers.txt", "deploy/requirements.txt"]
INSTALLERS = ["scripts/environment.sh", "deploy/Dockerfile", ".ci/run"]


def entries(file: str) -> list[str]:
    """The requirements of a file, each with its hashes, without comments."""
    lines = [line.partition(" #")[0] for line in (ROOT / file).read_text().splitlines()]
    text = "\n".join(line for line in lines if not line.startswith("#"))
    return [entry.strip() for entry in re.split(r"\n(?=\S)", text.replace("\\\n", "")) if entry]


@pytest.mark.parametrize("file", FILES)
def test_every_requirement_has_a_version_and_a_digest(file):
    pinned = r"[\w.-]+(\[\w+\])?==[\w.+]+( ; [^;]+?)?( +--hash=sha256:[0-9a-f]{64})+"
    assert [entry for entry in entries(file) if not re.fullmatch(pinned, entry)] == []
    assert len(entries(file)) >= 20
    assert not re.search("https?:|--(extra-)?index-url|--find-links", (ROOT / file).read_text())


@pytest.mark.parametrize("file", FILES[1:])
def test_versions_are_the_same_in_every_file(file):
    def versions(file: str) -> set[tuple[str, str]]:
        return {tuple(re.match(r"([\w.-]+)\S*==(\S+)", entry).groups()) for entry in entries(file)}

    everywhere = versions("requirements.txt")
    known = {name for name, _ in everywhere}
    assert {pin for pin in versions(file) if pin[0] in known} <= everywhere


def test_all_dependencies_are_among_them():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["export"] + extras["serve"]
    names = {re.match(r"[\w.-]+", entry).group().replace("_", "-").lower() for entry in wanted}
    for file in ("requirements.txt", "deploy/requirements.txt"):
        pinned = {re.match(r"[\w.-]+", entry).group().lower() for entry in entries(file)}
        assert names - pinned == set()


@pytest.mark.parametrize("file", INSTALLERS)
def test_installers_take_nothing_without_a_digest(file):
    text = (ROOT / file).read_text().replace("\\\n", " ")
    commands = [line for line in text.splitlines() if re.search(r"-r \S*requirements", line)]
    assert commands
    assert all("--require-hashes --only-binary :all:" in " ".join(c.split()) for c in commands)
