"""`dfjax predict` as it is typed: real processes, from another folder; and what it refuses."""

import collections
import csv
import inspect
import json
import os
import pathlib
import re
import subprocess
import sys

import jsonschema
import numpy as np
import pytest

from dfjax import cli
from dfjax.commands import predict as command
from dfjax.inference import live, predict, report
from dfjax.media import image, video

ROOT = pathlib.Path(__file__).parents[2]


def run_command(*arguments: object, cwd: pathlib.Path) -> subprocess.CompletedProcess:
    env = {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "dfjax.cli", "predict", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (9, 40, 40, 3), np.uint8)


def test_a_folder_gets_a_table_and_reports(run, pictures, tmp_path):
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    (mixed / "[b]face.png").write_bytes(image.encode_image(pictures[0], "png"))
    (mixed / "broken.mp4").write_text("not a video")
    video.write_video(mixed / "clip.mp4", pictures, fps=25, crf=10)
    done = run_command("--model", run, "mixed", "--frames", 4, "--annotate", cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    out = tmp_path / "runs" / "predict"
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert [row["source"] for row in rows] == [
        "mixed/[b]face.png",
        "mixed/broken.mp4",
        "mixed/clip.mp4",
    ]
    assert [row["frames"] for row in rows] == ["1", "0", "4"]
    assert [row["score"] == "" for row in rows] == [False, True, False]
    assert (rows[1]["verdict"], rows[1]["reason"]) == ("inconclusive", "unsupported")
    schema = json.loads(report.SCHEMA_FILE.read_text())
    for row in rows:
        page = out / row["report"]
        assert row["source"] in page.read_text()
        written = json.loads(page.with_suffix(".json").read_text())
        jsonschema.validate(written, schema)
        assert written["verdict"]["label"] == row["verdict"]
        assert row["source"] in done.stdout
    assert len([*(out / "annotated").glob("*.jpg"), *(out / "annotated").glob("*.mp4")]) == 2
    counts = collections.Counter(row["verdict"] for row in rows)
    assert ", ".join(f"{counts[label]} {label}" for label in sorted(counts)) in done.stdout


def test_nothing_usable_is_status_1(run, tmp_path):
    (tmp_path / "broken.mp4").write_text("not a video")
    arguments = ("broken.mp4", "--out", "here", "--no-reports")
    done = run_command("--model", run, *arguments, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == [
        "results.csv",
        "results.jsonl",
    ]


def test_live_prints_a_line_for_each_analysed_frame(run, clip, tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    done = run_command("--model", run, "--live", "--align", clip, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "shown aligned faces" in done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["frame"] == 23
    assert sum(event["passed_over"] + 1 for event in events) == 24
    assert any(event["faces"] for event in events)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--live", "0", "--out", "x", "--annotate"], "--live does not use --out, --annotate"),
        (["--live", "0", "--frames", "8"], "--live does not use --frames"),
        (["--live", "0", "--no-reports"], "--live does not use --no-reports"),
        (["--live", "0", "--reidentify"], "--live does not use --reidentify"),
        (["a.png", "--detect-every", "3"], "files do not use --detect-every: add --live"),
        (["--live", "0", "1"], "--live takes one source, and 2 are given"),
        (["rtsp://u:secret@camera/1"], "rtsp://***@camera/1 is an address: add --live"),
    ],
)
def test_a_flag_without_effect_is_refused_before_the_model_is_loaded(arguments, message, capsys):
    assert cli.main(["predict", "--model", "missing", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"dfjax: error: {message}")


def test_the_help_has_the_defaults_of_the_functions(capsys):
    with pytest.raises(SystemExit):
        cli.main(["predict", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    defaults = {
        "--out DIR": inspect.signature(predict.predict).parameters["out"].default,
        "--frames N": inspect.signature(predict.predict).parameters["num_frames"].default,
        "--detect-every K": inspect.signature(live.LiveDetector).parameters["detect_every"].default,
    }
    for flag, default in defaults.items():
        assert re.search(rf"{flag} [a-zA-Z -]+ \({default}\)", text), flag


def test_rows_are_printed_as_they_are(capsys):
    row = {"source": "[b]a[/b]:train:.png", "verdict": "real", "score": 0.1234, "text": "No sign."}
    other = {"source": "b.png", "verdict": "inconclusive", "score": None, "text": "[red]broken"}
    command.print_rows([row, other, other])
    out = capsys.readouterr().out
    for text in ("[b]a[/b]:train:.png", "0.123", "No sign.", "[red]broken"):
        assert text in out
    assert out.splitlines()[-1] == "2 inconclusive, 1 real"
