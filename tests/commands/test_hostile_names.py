"""Names of files that would run in a spreadsheet, or act on a terminal, do neither."""

import contextlib
import csv
import io
import json
import logging
import math
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import rich.table

from dfjax import cli, console, files, progress
from dfjax.data import builder
from dfjax.media import image

ROOT = pathlib.Path(__file__).parents[2]
ESCAPES = "\x1b]0;pwned\x07\x1b[31m"
NAMES = [
    '=HYPERLINK("http:evil","x").png',
    "@SUM(1).png",
    f"a{ESCAPES}.png",
    "two\nlines.png",
    "txt.\u202egnp.png",  # reads "txt.png.gnp" from right to left
]
ACTING = {"\x1b", "\x07", "\r", "\u202e"}


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """Pictures with such names, in a folder for a corpus."""
    rng = np.random.default_rng(0)
    for label in ("real", "fake"):
        (tmp_path / "c" / label).mkdir(parents=True)
        for name in NAMES:
            picture = image.encode_image(rng.integers(0, 255, (40, 40, 3), np.uint8), "png")
            (tmp_path / "c" / label / name).write_bytes(picture)
    return tmp_path / "c"


def dfjax(*arguments: object, cwd: pathlib.Path) -> str:
    """What a command prints, to both streams."""
    done = subprocess.run(
        [sys.executable, "-m", "dfjax.cli", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=300,
    )
    return (done.stdout + done.stderr).decode()


def test_predict(run, folder):
    # No folder before the names, so that cells would begin with them.
    shown = dfjax(
        "predict", "--model", run, "--no-reports", "--out", "out", *NAMES[:3], cwd=folder / "real"
    )
    assert not ACTING & set(shown)
    assert r"\x1b]0;pwned\x07\x1b[31m" in shown
    assert shown.endswith("wrote out/results.csv\n")
    text = (folder / "real" / "out" / "results.csv").read_text()
    sources = [row["source"] for row in csv.DictReader(io.StringIO(text))]
    assert sources == [f"'{NAMES[0]}", f"'{NAMES[1]}", NAMES[2]]


def test_prepare_and_audit(folder, tmp_path):
    (folder / "real" / "empty\x1b[2J").mkdir()
    command = ("prepare", "--corpus", "folder", "--root", folder, "--out", f"o{ESCAPES}")
    shown = dfjax(*command, "--crops", "as-is", "--size", 40, "--jobs", 1, cwd=tmp_path)
    assert "10 crops" in shown
    assert r"o\x1b]0;pwned\x07\x1b[31m" in shown
    audited = dfjax("audit", f"o{ESCAPES}", cwd=tmp_path)
    assert r"o\x1b]0;pwned\x07\x1b[31m/audit.json" in audited
    assert not ACTING & set(shown + audited)


def test_names_that_are_not_utf8(folder, tmp_path):
    """They go through a corpus into keys, records, errors and the card, and stop nothing."""
    old = os.fsdecode(b"caf\xe9")
    (folder / "real" / NAMES[0]).rename(folder / "real" / f"{old}.png")
    (folder / "fake" / old).mkdir()
    (folder / "fake" / NAMES[0]).rename(folder / "fake" / old / f"{old}.png")
    (folder / "real" / f"{old}.jpg").write_bytes(b"junk")
    folder = folder.rename(tmp_path / old)
    command = ("prepare", "--corpus", "folder", "--root", folder, "--crops", "as-is", "--size", 40)
    shown = dfjax(*command, "--jobs", 1, "--splits", 1, 0, 0, "--out", "data", cwd=tmp_path)
    assert "10 crops written" in shown
    (error,) = map(json.loads, (tmp_path / "data" / "errors.jsonl").read_text().splitlines())
    assert (error["key"], error["code"]) == (r"caf\xe9/real/real/caf\xe9.jpg", "unsupported")
    assert error["path"] == rf"{tmp_path}/caf\xe9/real/caf\xe9.jpg"
    assert error["message"].startswith(f"{error['path']}: ")
    dataset = builder.open_dataset(tmp_path / "data")
    clips = set(dataset.column("train", "clip"))
    assert {r"caf\xe9/real/real/caf\xe9.png", r"caf\xe9/caf\xe9/fake/caf\xe9/caf\xe9.png"} < clips
    page = (tmp_path / "data" / "dataset_card.html").read_text(encoding="utf-8")
    assert r"caf\xe9/real/real/caf\xe9.png" in page


@pytest.mark.parametrize("command", ["predict", "prepare", "train", "export"])
def test_places_that_libraries_open_are_utf8(command, capsys):
    place = os.fsdecode(b"caf\xe9")
    arguments = {
        "predict": ["a.png", "--model", place],
        "prepare": ["--corpus", "folder", "--root", "x", "--out", place],
        "train": ["--config", "x", "--workdir", place],
        "export": ["--model", "x", "--out", place],
    }
    with pytest.raises(SystemExit):
        cli.main([command, *arguments[command]])
    assert r"caf\xe9: use a path that is UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["predict", "evaluate", "serve", "export"])
def test_errors(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = {
        "predict": ["a.png"],
        "evaluate": [],
        "serve": ["--port", "0"],
        "export": ["--out", "x"],
    }
    assert cli.main([command, "--model", f"m{ESCAPES}\nline", *arguments[command]]) == 2
    shown = capsys.readouterr().err
    assert r"m\x1b]0;pwned\x07\x1b[31m\nline" in shown
    assert shown.count("\n") == 1
    assert not ACTING & set(shown)


def test_only_what_acts_is_escaped():
    assert console.visible("é 漢 🙂 [b] 'a'") == "é 漢 🙂 [b] 'a'"
    assert (
        console.visible("\t\r\n\x7f\x9b\u202e\u2066\u2028") == r"\t\r\n\x7f\x9b\u202e\u2066\u2028"
    )
    assert console.visible(os.fsdecode(b"\xff")) == r"\xff"  # a name that is no text


def test_tables_bars_and_logs(capsys):
    table = rich.table.Table("a\x1b[31m")
    table.add_row("b\u202e\nc")
    console.make_console().print(table, "d\x07")
    with progress.Progress("e\x1b[2J", 1) as bar:
        bar.update(1, last="f\r")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(console.Formatter("%(message)s"))
    with contextlib.suppress(ZeroDivisionError):
        try:
            _ = 1 / 0
        finally:
            record = logging.LogRecord("x", 40, "", 0, "g\n%s", ("h\x1b",), sys.exc_info())
            handler.handle(record)
    shown = capsys.readouterr().out
    assert not ACTING & set(shown)
    for text in (
        r"a\x1b[31m",
        r"b\u202e",
        r"d\x07",
        r"e\x1b[2J 1/1",
        r"f\r",
        r"g\nh\x1b" + "\nTrace",
    ):
        assert text in shown


def test_cells_that_would_run_get_an_apostrophe_and_numbers_none(tmp_path):
    texts = ["=1", "+1", "-1", "@a", "\ta", "\ra", np.str_("=2"), "a=1", "", "'=1"]
    numbers = [-1.5, np.float64(-2.5), np.int64(-3), math.inf]
    files.replace_csv(tmp_path / "t.csv", ["n"] * 14, [[*texts, *numbers]])
    with (tmp_path / "t.csv").open(newline="") as file:
        _, row = csv.reader(file)
    assert row[:10] == ["'=1", "'+1", "'-1", "'@a", "'\ta", "'\ra", "'=2", "a=1", "", "'=1"]
    assert row[10:] == ["-1.5", "-2.5", "-3", "inf"]
