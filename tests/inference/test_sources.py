"""What `dfjax predict` is given becomes a list of files, and what it passes over is said."""

import os
import pathlib
import unicodedata

import pytest

from dfjax import walk
from dfjax.inference.worklist import Worklist

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def expand(sources: list[str]) -> list[str]:
    worklist = Worklist()
    worklist.add(sources)
    return [path for _, path in worklist.files()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*names: str, data: bytes = b"x") -> None:
    for name in names:
        pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(name).write_bytes(data)


def test_a_folder_gives_pictures_and_videos_by_name_or_content(folder, caplog):
    write("a/x.MP4", "a/below/y.jpeg", "a/notes.doc", "a/table.csv", "a/Thumbs.db", "a/.DS_Store")
    write("a/IMG_1", "a/holiday.dat", data=PNG)
    write("a/runs/annotated/x.jpg", "a/runs/reports/x.html")
    walk.mark_output("a/runs/annotated")
    walk.mark_output("a/runs/reports")
    os.mkfifo("a/pipe")
    os.mkfifo("a/pipe.png")
    os.symlink("nowhere", "a/gone.png")
    assert expand(["a"]) == [
        "a/IMG_1", "a/gone.png", "a/holiday.dat", "a/pipe.png", "a/x.MP4", "a/below/y.jpeg",
    ]  # fmt: skip
    assert caplog.messages == [
        "passed over: 4 of no accepted kind (Thumbs.db, notes.doc, pipe, table.csv), 1 hidden "
        "(.DS_Store), 2 with what dfjax wrote (annotated, reports)"
    ]


def test_nothing_is_said_where_nothing_is_passed_over(folder, caplog):
    write("a/x.mp4")
    assert expand(["a", "nowhere.mp4", "-"]) == ["a/x.mp4", "nowhere.mp4", "-"]
    assert caplog.messages == []


def test_every_file_is_given_once_under_its_first_name(folder):
    write("a/x.mp4", "a/y.mp4")
    os.symlink("a", "link")
    assert expand(["a/y.mp4", "a", "./a/x.mp4", f"{folder}/a/y.mp4"]) == [
        "a/y.mp4",
        "a/x.mp4",
    ]
    os.symlink("..", "a/up")
    assert expand(["."]) == ["./a/x.mp4", "./a/y.mp4"]


def test_a_list_names_files_and_folders_as_any_system_writes_them(folder):
    decomposed = unicodedata.normalize("NFD", "caf\u00e9.mp4")
    old = os.fsdecode("\u00fcber.mp4".encode("latin-1"))
    write("l/clip #2.mp4", "l/a/b.mp4", "l/d/c.mp4", f"l/{decomposed}", f"l/{old}")
    lines = "# all\r\nclip #2.mp4\r\na\\b.mp4\r\n\r\nd\r\ncaf\u00e9.mp4\r\n\u00fcber.mp4\r\nno.mp4"
    found = ["clip #2.mp4", "a/b.mp4", "d/c.mp4", decomposed, old, "no.mp4"]
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "latin-1"):
        write("l/list.txt", data=lines.encode(encoding))
        assert expand(["l/list.txt"]) == [f"l/{name}" for name in found]


def test_a_pattern_gives_files_and_what_is_in_folders(folder):
    write("Talk [x1]/a.mp4", "Talk [x1]/b.txt", "Talk [x1]/deep/c.mp4", "[1].mp4")
    assert expand(["Talk [x1]/*.mp4"]) == ["Talk [x1]/a.mp4"]
    assert expand(["Talk [[]x1]/*"]) == [
        "Talk [x1]/a.mp4", "Talk [x1]/b.txt", "Talk [x1]/deep/c.mp4",
    ]  # fmt: skip
    assert expand(["**/*.mp4"]) == [
        "[1].mp4", "Talk [x1]/a.mp4", "Talk [x1]/deep/c.mp4",
    ]  # fmt: skip
    assert expand(["[1].mp4"]) == ["[1].mp4"]


def test_sources_without_a_file_say_what_they_hold(folder):
    write("a/table.csv", "a/.hidden.png")
    with pytest.raises(
        ValueError,
        match=r"no file in a: give pictures or videos \(passed over: 1 of no accepted kind "
        r"\(table.csv\), 1 hidden \(.hidden.png\)\)",
    ):
        expand(["a"])
