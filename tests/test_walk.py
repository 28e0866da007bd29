import os
import pathlib

import pytest

from dfjax import walk


@pytest.fixture
def tree(tmp_path) -> pathlib.Path:
    """A tree with links in circles, hidden names, output, and names that look like patterns."""
    files = ("b.mp4", "a.mp4", ".DS_Store", "z/c.mp4", ".git/d.mp4", "Talk [x1]/e.mp4", "T/f.mp4")
    for name in (*files, "out/g.mp4", "out/deep/h.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    walk.mark_output(tmp_path / "out")
    (tmp_path / "z" / "up").symlink_to("..")
    (tmp_path / "z" / "self").symlink_to("self")
    (tmp_path / "z" / "nowhere.mp4").symlink_to("missing.mp4")
    (tmp_path / "y").symlink_to("z")
    os.mkfifo(tmp_path / "z" / "pipe")
    return tmp_path


def listed(folder: pathlib.Path, top: str = "") -> tuple[list[str], set[tuple[str, str]]]:
    """The files below a folder, and what was left out, relative to it."""
    skipped = set()

    def skip(path: str, reason: str) -> None:
        skipped.add((os.path.relpath(path, folder), reason))

    found = [
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _, names in walk.walk(folder / top, skip)
        for name in names
    ]
    return found, skipped


def test_every_file_is_found_once_and_what_is_left_out_is_named(tree):
    found, skipped = listed(tree)
    assert found == [
        "a.mp4", "b.mp4", "T/f.mp4", "Talk [x1]/e.mp4", "y/c.mp4", "y/nowhere.mp4", "y/pipe",
        "y/self",
    ]  # fmt: skip
    assert skipped == {
        (".DS_Store", walk.HIDDEN),
        (".git", walk.HIDDEN),
        ("out", walk.OUTPUT),
    }


def test_output_that_is_asked_for_is_read(tree):
    assert listed(tree, "out") == (
        ["out/g.mp4", "out/deep/h.mp4"],
        {("out/.dfjax-output", "hidden")},
    )


def test_a_folder_that_vanishes_or_is_none_does_not_end_the_walk(tree):
    found, skipped = [], []
    for parent, _, names in walk.walk(tree, lambda *what: skipped.append(what)):
        found += names
        if parent == str(tree):
            (tree / "T" / "f.mp4").unlink()
            (tree / "T").rmdir()
    assert "e.mp4" in found
    assert "f.mp4" not in found
    assert (str(tree / "T"), walk.UNREADABLE) in skipped
    assert list(walk.walk(tree / "missing", lambda *what: skipped.append(what))) == []
    assert skipped[-1] == (str(tree / "missing"), walk.UNREADABLE)


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("*.mp4", ["a.mp4", "b.mp4"]),
        ("?.mp4", ["a.mp4", "b.mp4"]),
        ("[ax].mp4", ["a.mp4"]),
        ("*/[c-f].mp4", ["T/f.mp4", "Talk [x1]/e.mp4", "y/c.mp4", "z/c.mp4"]),
        ("Talk [x1]/*.mp4", ["Talk [x1]/e.mp4"]),
        ("T*/*.mp4", ["T/f.mp4", "Talk [x1]/e.mp4"]),
        ("**/*.mp4", ["a.mp4", "b.mp4", "T/f.mp4", "Talk [x1]/e.mp4", "y/c.mp4", "y/nowhere.mp4"]),
        ("out/*.mp4", ["out/g.mp4"]),
        ("z/**", ["z"]),
        (".D*", [".DS_Store"]),
        ("*.avi", []),
        ("a.mp4/*", []),
    ],
)
def test_patterns(tree, monkeypatch, pattern, paths):
    monkeypatch.chdir(tree)
    assert list(walk.match(pattern)) == paths
    assert list(walk.match(f"{tree}/{pattern}")) == [f"{tree}/{path}" for path in paths]
