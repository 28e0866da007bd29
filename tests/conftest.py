"""A test environment stricter than production: four devices, and no silent broadcasting."""

import contextlib
import pathlib
from collections.abc import Iterator

import jax
import numpy as np
import pytest

from dfjax import evaluate, train
from dfjax.corpora import folder
from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.corpora.synthetic import scene
from dfjax.export import export
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image, video
from dfjax.preparation import prepare
from dfjax.preparation.settings import Settings
from tests import gated, tiny_run

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
# Kept between sessions: most of what tests wait for is the compiler.
COMPILE_CACHE = pathlib.Path("~/.cache/dfjax/tests").expanduser()
jax.config.update("jax_compilation_cache_dir", str(COMPILE_CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> pathlib.Path:
    """A prepared dataset of 40 px crops: 24 train, 11 val and 9 test pictures, both classes each.

    A fake carries a bright corner, so that a few steps of training find it.
    """
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    for split, count in (("train", 24), ("val", 11), ("test", 9)):
        for number in range(count):
            picture = rng.integers(0, 200, (40, 40, 3), np.uint8)
            label = number % 2
            picture[:12, :12] += np.uint8(55 * label)
            name = f"{split}{number}.png"
            (root / name).write_bytes(image.encode_image(picture, "png"))
            rows.append(f"{name},{label},{split}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=40, encoding="png")
    out = tmp_path_factory.mktemp("prepared")
    prepare.prepare(folder.read_folder(root, seed=0), out, Settings(spec))
    return out


@pytest.fixture(scope="session")
def one_class(tmp_path_factory) -> pathlib.Path:
    """A dataset like `prepared` in 32 px: both classes in train, only reals in val and test."""
    root = tmp_path_factory.mktemp("reals")
    rows = ["path,label,split"]
    for number, (split, label) in enumerate([("train", 1), ("train", 0), ("val", 0), ("test", 0)]):
        for copy in range(2):
            picture = np.random.default_rng([number, copy]).integers(0, 256, (32, 32, 3), np.uint8)
            (root / f"{number}{copy}.png").write_bytes(image.encode_image(picture, "png"))
            rows.append(f"{number}{copy}.png,{label},{split}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=32, encoding="png")
    out = tmp_path_factory.mktemp("prepared_reals")
    prepare.prepare(folder.read_folder(root), out, Settings(spec))
    return out


@contextlib.contextmanager
def _compiling_quickly() -> Iterator[None]:
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module")
def quick_compilation() -> Iterator[None]:
    """For programs that run a few times: compiling them is what costs."""
    with _compiling_quickly():
        yield


@pytest.fixture(scope="session")
def run(prepared, tmp_path_factory) -> pathlib.Path:
    """The workdir of a tiny run on `prepared`, trained and evaluated: it has a model card."""
    config = tiny_run.make_config(prepared)
    workdir = tmp_path_factory.mktemp("run")
    with _compiling_quickly():
        train.train(config, workdir)
        evaluate.evaluate(config, workdir)
    return workdir


@pytest.fixture(scope="session")
def exported(run, tmp_path_factory) -> pathlib.Path:
    """The folder of an export of `run` in every format."""
    out = tmp_path_factory.mktemp("exported") / "model"
    with _compiling_quickly():
        export.export(run, out)
    return out


@pytest.fixture(scope="session")
def gated_run(tmp_path_factory) -> pathlib.Path:
    """The workdir of a tiny run whose model has a gate (`tests.gated`)."""
    with _compiling_quickly():
        return gated.make_run(tmp_path_factory.mktemp("gated"))


@pytest.fixture(scope="session")
def gated_export(gated_run, tmp_path_factory) -> pathlib.Path:
    """The folder of an export of `gated_run` in every format."""
    out = tmp_path_factory.mktemp("gated_export") / "model"
    with _compiling_quickly():
        export.export(gated_run, out)
    return out


@pytest.fixture(scope="session")
def crops() -> np.ndarray:
    """33 crops as `run` takes them, uint8 [33, 40, 40, 3]."""
    return np.random.default_rng(1).integers(0, 256, (33, 40, 40, 3), np.uint8)


@pytest.fixture(scope="session")
def take() -> scene.Take:
    """24 frames of a drawn person."""
    return synthetic.film(synthetic.Settings(frames=24), 3, 0)


@pytest.fixture(scope="session")
def clip(take, tmp_path_factory) -> pathlib.Path:
    """The path of `take` as a video."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    video.write_video(path, take.frames, fps=25, crf=12)
    return path
