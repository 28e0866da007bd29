"""`dfjax export`, as a command."""

import hashlib
import json
import subprocess
import sys


def _dfjax(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "dfjax.cli", "export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_run_becomes_a_folder_and_nothing_else_is_overwritten(run, tmp_path):
    out = tmp_path / "model"
    done = _dfjax("--model", run, "--out", out, "--formats", "stablehlo")
    assert done.returncode == 0, done.stderr
    names = {"score.stablehlo", "explain.stablehlo"}
    names |= {"model_card.json", "MODEL_CARD.md", "export.json"}
    assert {path.name for path in out.iterdir()} == names
    deviations = json.loads((out / "export.json").read_text())["deviations"]
    score = deviations["score.stablehlo"]["stablehlo"]["score"]
    assert f"deviations from {run} on 16 validation crops:" in done.stdout
    assert f"score.stablehlo by stablehlo: score {score:.1e}" in done.stdout
    digest = hashlib.sha256((out / "export.json").read_bytes()).hexdigest()
    assert done.stdout.endswith(f"wrote {out}; to load no other export: --expect {digest}\n")

    for arguments, message in (
        (("--model", run, "--out", run), f"{run} holds something else than an export"),
        (
            ("--model", out, "--out", tmp_path / "x"),
            f"{out} is an export without model.safe",
        ),
        (("--model", run, "--out", out, "--formats", "tflite"), "choose from savedmodel, stable"),
    ):
        done = _dfjax(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert {path.name for path in out.iterdir()} == names
