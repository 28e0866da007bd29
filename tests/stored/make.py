"""Makes examples.tar.xz: a dataset, a run on it, its export, and scores, as dfjax writes them.

    python -m tests.stored.make

Run it in the root of the repository, and only where the examples have to change: after a number of
`dfjax.compatibility` went up (an older format that is still read keeps its example beside the new
one), or when the model card changed. It takes about a minute.
"""

import json
import os
import pathlib
import shutil
import tarfile
import tempfile
from typing import Any

import jax
import numpy as np

from dfjax import checkpoint, evaluate, train
from dfjax.corpora import folder
from dfjax.data import builder
from dfjax.export import export
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import scorer
from dfjax.media import image
from dfjax.preparation import prepare
from dfjax.preparation.settings import Settings
from tests import tiny_run

ARCHIVE = pathlib.Path(__file__).parent.resolve() / "examples.tar.xz"
# Relative to where the archive is unpacked: the config of the run names the dataset so.
DATASET, RUN, EXPORT, SCORES = "dataset", "run", "export", "scores.json"


def main() -> None:
    """Writes the archive anew."""
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_disable_most_optimizations", True)  # compiling is what takes long
    with tempfile.TemporaryDirectory() as parent:
        os.chdir(parent)
        make_dataset()
        make_run()
        export.export(RUN, EXPORT, ["onnx"])
        scores = scorer.load(RUN).scores(crops())
        pathlib.Path(SCORES).write_text(json.dumps(scores.tolist()) + "\n")
        with tarfile.open(ARCHIVE, "w:xz") as archive:
            for name in (DATASET, RUN, EXPORT, SCORES):
                archive.add(name, filter=_pack)
        os.chdir("/")
    print(f"wrote {ARCHIVE}: {ARCHIVE.stat().st_size:,} bytes")


def _pack(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if pathlib.Path(member.name).stem == "dataset_card":  # for people, and large
        return None
    return member.replace(mtime=0, uid=0, gid=0, uname="", gname="", deep=False)


def crops() -> np.ndarray:
    """The crops that are scored, uint8 [N, 32, 32, 3]: the validation split."""
    records = builder.open_dataset(DATASET).records("val")
    return np.stack([image.decode_image(records[row]["image"]) for row in range(len(records))])


def make_dataset(**options: Any) -> None:
    """Prepares twelve pictures of noise, a fake of which is brighter in one corner."""
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    with tempfile.TemporaryDirectory() as parent:
        root = pathlib.Path(parent, "noise")
        root.mkdir()
        for number in range(12):
            label, split = number % 2, ("train", "val", "test")[number // 4]
            # Coarse noise compresses to little.
            picture = rng.integers(0, 200, (8, 8, 3), np.uint8).repeat(4, 0).repeat(4, 1)
            picture[:12, :12] += np.uint8(55 * label)
            (root / f"{number}.png").write_bytes(image.encode_image(picture, "png"))
            rows.append(f"{number}.png,{label},{split}")
        (root / "manifest.csv").write_text("\n".join(rows) + "\n")
        spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=32, encoding="png")
        prepare.prepare(folder.read_folder(root, seed=0), DATASET, Settings(spec), **options)


def make_run() -> None:
    """Trains a very narrow network for four steps, and evaluates it."""
    config = make_config()
    train.train(config, pathlib.Path(RUN))
    evaluate.evaluate(config, pathlib.Path(RUN))
    for path in pathlib.Path(RUN).iterdir():
        if path.is_dir() and path.name != checkpoint.FOLDER:  # eval/
            shutil.rmtree(path)
        elif path.is_file() and path.suffix != ".json":  # logs
            path.unlink()


def make_config(**changes: Any) -> Any:
    """The config of the run; `changes` by dotted name."""
    settings = {"model.width": 2, "eval.trivial_cues": 0, **changes}
    return tiny_run.make_config(DATASET, **settings)


if __name__ == "__main__":
    main()
