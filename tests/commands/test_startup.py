"""What commands load and compile before they work: real processes, with a home of their own."""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from dfjax.media import image

ROOT = pathlib.Path(__file__).parents[2]
COMMAND = """
import sys
from dfjax import cli
try:
    status = cli.main(sys.argv[1:])
except SystemExit as end:
    status = end.code
print("loaded", *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
sys.exit(status)
"""
CONFIG = """
from tests import tiny_run

def get_config():
    return tiny_run.make_config({data!r}, compile_cache="~/.cache/dfjax/xla")
"""

# What takes long to load. A command may load what its row names, and nothing else of it.
FACES = {"numpy", "cv2", "av", "dlib"}
DATA = {"numpy", "cv2", "dlib", "tensorflow_datasets", "sklearn"}
NETWORK = {"numpy", "jax", "flax", "orbax"}
SCORES = {"numpy", "pyarrow", "matplotlib"}
EVALUATION = DATA | NETWORK | SCORES | {"grain", "h5py"}
HEAVY = FACES | EVALUATION | {"tensorflow", "onnxruntime", "openvino", "fastapi", "apache_beam"}
HEAVY |= {"c2pa"}  # only the processes that read uploads load it
ROBUSTNESS = "robustness --data {data}:test --types jpeg --levels 1 --out {out}"
MAY_LOAD = {
    "--help": set(),
    "prepare --help": set(),
    "predict --model {exported} {picture} --no-reports": FACES | {"onnxruntime"},
    "predict --model {exported} {picture}": FACES | {"onnxruntime", "jax"},
    "predict --model {run} {picture}": FACES | NETWORK,
    "predict {photograph}": FACES | NETWORK - {"orbax"},
    "audit {data}": DATA,
    "prepare --corpus folder --root {pictures} --crops as-is --out {out}": FACES | DATA,
    "export --model {run} --formats stablehlo --out {out}": NETWORK | DATA - {"sklearn", "dlib"},
    "evaluate --model {run}": EVALUATION,
    "robustness --help": set(),
    ROBUSTNESS + " --model {exported} --runtime onnx": FACES | EVALUATION | {"onnxruntime"},
    ROBUSTNESS + " --model {run}": FACES | EVALUATION,
    "report {scores} --out {out}": SCORES,
    "compare {scores} {scores}": SCORES - {"matplotlib"},
    "show-batch --help": set(),
    "show-batch --config {config} --out {out}/a.png": EVALUATION,
    "train --config {config} --workdir {out}": EVALUATION | {"tensorflow"},
}
# Each has a sister above that loads nearly as much.
LONG = {
    "predict --model {exported} {picture}",
    ROBUSTNESS + " --model {run}",
    "show-batch --config {config} --out {out}/a.png",
}


@dataclasses.dataclass(frozen=True)
class Ended:
    """A command that succeeded: what it loaded of `HEAVY`, compiled and printed."""

    loaded: set[str]
    compiled: list[str]
    table: list[str]
    stderr: str


@pytest.fixture
def start(run, exported, prepared, tmp_path) -> Callable[..., Ended]:
    """Runs a command of `MAY_LOAD`, each time in an empty folder; the home folder is one."""
    shutil.copytree(run, tmp_path / "run")  # evaluating writes there
    shutil.copytree(prepared, tmp_path / "data")
    (tmp_path / "config.py").write_text(CONFIG.format(data=str(tmp_path / "data")))
    for seed, kind in enumerate(("real", "fake")):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        (tmp_path / "pictures" / kind / "a.png").write_bytes(image.encode_image(pixels, "png"))
    picture = tmp_path / "pictures" / "real" / "a.png"

    def start(command: str) -> Ended:
        folder = tmp_path / f"start{len(list(tmp_path.glob('start*')))}"
        folder.mkdir()
        places = {"exported": exported, "picture": picture, "out": folder / "out"}
        places |= {name: tmp_path / name for name in ("run", "data", "pictures")}
        places["config"] = tmp_path / "config.py"
        places["photograph"] = ROOT / "docs" / "examples" / "london_001.jpg"
        (places["scores"],) = run.glob("eval/*/scores.csv")
        done = python(COMMAND, *command.format(**places).split(), home=tmp_path, cwd=folder)
        assert done.returncode == 0, done.stderr
        names = set(re.search(r"^loaded (.*)$", done.stderr, re.M)[1].split())
        compiled = re.findall("PERSISTENT COMPILATION CACHE MISS for '(.+?)'", done.stderr)
        table = [line for line in done.stdout.splitlines() if line.startswith("│")]
        return Ended(names & HEAVY, compiled, table, done.stderr)

    return start


def python(program: str, *arguments: object, home: pathlib.Path, **options):
    """Runs a program as in a shell where nothing is set of JAX's cache."""
    environment = {name: value for name, value in os.environ.items() if "COMPILATION" not in name}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    environment |= {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "JAX_EXPLAIN_CACHE_MISSES": "1"}
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def entries(home: pathlib.Path) -> dict[str, bytes]:
    """The compiled programs that are kept, by the name of the file."""
    return {path.name: path.read_bytes() for path in (home / ".cache/dfjax/xla").glob("*")}


@pytest.mark.parametrize(
    "command",
    [pytest.param(command, marks=[pytest.mark.long] * (command in LONG)) for command in MAY_LOAD],
)
def test_a_command_loads_what_it_uses_and_compiles_once(start, command, tmp_path):
    first = start(command)
    assert first.loaded <= MAY_LOAD[command]
    if "jax" not in first.loaded:
        assert first.compiled == []
        return
    kept = entries(tmp_path)
    if "audit" not in command:
        assert len(first.compiled) == len(kept) > 0
    assert start(command).compiled == []
    assert entries(tmp_path) == kept


def test_the_server_loads_neither_networks_nor_what_draws():
    program = "import sys, dfjax.serve.app; print(*{n.partition('.')[0] for n in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert {"dlib", "fastapi"} <= set(done.stdout.split()) & HEAVY <= FACES | {"fastapi"}


def test_what_is_damaged_is_compiled_anew_and_replaced(start, tmp_path):
    command = "predict --model {run} {picture}"
    first = start(command)
    folder = tmp_path / ".cache/dfjax/xla"
    sound = entries(tmp_path)
    assert len(sound) > 1
    damages = [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"not a program"]
    for number, (name, data) in enumerate(sound.items()):
        (folder / name).write_bytes(damages[number % 3](data))
    again = start(command)
    assert again.table == first.table
    assert sorted(again.compiled) == sorted(first.compiled)
    assert "Error" not in again.stderr
    assert entries(tmp_path).keys() == sound.keys()
    assert start(command).compiled == []


def test_a_folder_that_cannot_be_used_is_named_and_ends_no_command(start, tmp_path):
    (tmp_path / ".cache/dfjax").mkdir(parents=True)
    (tmp_path / ".cache/dfjax/xla").write_text("a file")
    ended = start("predict --model {run} {picture}")
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("dfjax:")]
    assert line.startswith("dfjax: note: compiled programs are not kept: ")
    assert f"{tmp_path}/.cache/dfjax/xla is a file" in line
