"""`dfjax train` and `dfjax evaluate` as they are typed: real processes, from another folder."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = '''
from dfjax import config


def get_config():
    """A run of seconds, with a second validation set."""
    c = config.base()
    c.model.name = "resnet18"
    c.model.width = 8
    c.data.image_size = 32
    c.batch_size = 8
    c.num_steps = 4
    c.optimizer.warmup_steps = 1
    c.log_every = 2
    c.checkpoint_every = 4
    c.evals.val.every = 4
    c.evals.again = {{"type": "ranking", "data": "{data}:val", "every": 2}}
    c.eval.batch_size = 8
    c.eval.trivial_cues = 0
    return c
'''


def run(*arguments: object, cwd: pathlib.Path, module: str = "dfjax.cli", **env: str):
    quick = {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **quick, **env},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def folder(prepared, tmp_path_factory) -> pathlib.Path:
    """A folder far from the repository, with a config and the run that `dfjax train` made of it."""
    folder = tmp_path_factory.mktemp("paper")
    (folder / "mine.py").write_text(CONFIG.format(data=prepared))
    done = run(
        *("train", "--config", "mine.py", "--workdir", "run"),
        *(f"--config.data.dir={prepared}", f"--config.compile_cache={folder}/compiled"),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder


def metrics(folder: pathlib.Path) -> dict:
    (path,) = folder.glob("*-test/metrics.json")
    return json.loads(path.read_text())


def test_a_config_in_any_folder_is_trained_and_evaluated(folder):
    assert list((folder / "compiled").iterdir())
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["step"] for row in rows if "val/auc" in row] == [4]
    assert [row["step"] for row in rows if "again/auc" in row] == [2, 4]
    last = next(row for row in rows if "val/auc" in row)
    assert last["again/auc"] == last["val/auc"]  # the same split by another name
    assert metrics(folder / "run" / "eval")["frame"]["log_loss"] > 0


def test_both_forms_evaluate_alike(folder, tmp_path):
    expected = metrics(folder / "run" / "eval")["frame"]
    shutil.copytree(folder / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "eval")
    done = run("evaluate", "--model", "run", "--out", "scores", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # Batches of another size: the sums of a CPU's forms are rounded otherwise.
    scored = metrics(tmp_path / "scores")["frame"]
    assert jax.tree.structure(scored) == jax.tree.structure(expected)
    assert jax.tree.leaves(scored) == pytest.approx(jax.tree.leaves(expected), abs=1e-6)
    arguments = "--mode=evaluate", "--config", folder / "mine.py", "--workdir", "run"
    done = run(*arguments, cwd=tmp_path, module="dfjax.main")
    assert done.returncode == 0, done.stderr
    assert metrics(tmp_path / "run" / "eval")["frame"] == expected


def test_an_export_is_evaluated_as_its_run(run_and_export, prepared, tmp_path):
    original, export = run_and_export
    workdir = tmp_path / "copy"  # evaluating it writes its card again
    shutil.copytree(original, workdir)
    target = f"{prepared}:test"
    for model, out in ((workdir, "run"), (export, "export")):
        done = run("evaluate", "--model", model, "--data", target, "--out", out, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    ours, theirs = metrics(tmp_path / "run"), metrics(tmp_path / "export")
    assert theirs["frame"]["auc"] == ours["frame"]["auc"]
    assert theirs["verdicts"] == ours["verdicts"]
    for name in ("eer", "log_loss"):
        np.testing.assert_allclose(theirs["frame"][name], ours["frame"][name], atol=1e-4)
    done = run("evaluate", "--model", export, "--data", target, cwd=tmp_path)
    assert (done.returncode, "add --out" in done.stderr) == (2, True)


@pytest.fixture
def run_and_export(request) -> tuple[pathlib.Path, pathlib.Path]:
    return request.getfixturevalue("run"), request.getfixturevalue("exported")


def test_what_the_evaluation_lacks_is_refused_before_the_training(
    folder, prepared, one_class, tmp_path
):
    arguments = "train", "--config", folder / "mine.py", "--workdir", tmp_path / "run"
    arguments = *arguments, f"--config.data.dir={prepared}"
    for override, message in [
        (f"--config.eval.data=('{one_class}:test',)", "(eval.data) has 2 real and 0 fake crops"),
        ("--config.data.test_split=dev", "has no split 'dev'"),
        ("--config.eval.abstain_error_rate=0.7", "eval.abstain_error_rate 0.7: use one between"),
    ]:
        done = run(*arguments, override, cwd=folder)
        assert done.returncode == 2
        assert message in done.stderr.strip().splitlines()[-1], done.stderr
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.optimizer.lrr=1", 'did you mean "lr"'),
        ("--config.num_steps=many", "num_steps"),
        ("--wokdir=x", "Unknown command line flag 'wokdir'"),
        ("--config.data.dir=/nowhere", "/nowhere holds no prepared dataset"),
    ],
)
def test_a_slip_is_one_line(folder, tmp_path, override, message):
    done = run(
        *("train", "--config", folder / "mine.py", "--workdir", tmp_path / "new", override),
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert message in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_the_traceback_of_a_slip_is_shown_on_demand(tmp_path):
    arguments = "evaluate", "--model", "nowhere", "--data", "a:b", "--out", "out"
    quiet = run(*arguments, cwd=tmp_path)
    shown = run(*arguments, cwd=tmp_path, DFJAX_TRACEBACK="1")
    assert quiet.returncode == shown.returncode == 2
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in shown.stderr
    assert shown.stderr.splitlines()[-1] == quiet.stderr.splitlines()[-1]


def test_a_fault_of_the_program_keeps_its_traceback(prepared, tmp_path):
    """A wrong einsum in somebody's new model is not a slip of the keyboard."""
    (tmp_path / "mine.py").write_text(
        CONFIG.format(data=prepared)
        .replace("    c.model.width = 8\n", "")
        .replace(
            "def get_config",
            "import jax.numpy as jnp\n"
            "from flax import linen as nn\n"
            "from dfjax import registry\n"
            "from dfjax.models import dfcnn\n\n"
            "class Broken(dfcnn.DFCNN):\n"
            "    @nn.compact\n"
            "    def __call__(self, image, *, train=False):\n"
            '        return jnp.einsum("bhw,bc->b", image, image)\n\n'
            'registry.register("model", "broken")(Broken)\n\n'
            "def get_config",
        )
    )
    arguments = "--config.model.name=broken", f"--config.data.dir={prepared}"
    done = run("train", "--config", "mine.py", "--workdir", "run", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert 'jnp.einsum("bhw,bc->b", image, image)' in done.stderr
