"""Trains on real faces and scores files that the model never saw: the figures of the README.

    DFJAX_TEST_DATA=DIR python scripts/real_faces.py
    DFJAX_TEST_DATA=DIR python scripts/real_faces.py --config configs/custom_cnn.py

DIR holds `dfdc_faces/` (cropped faces of the Deepfake Detection Challenge, with a manifest.csv
whose splits are train and val), `ciplab/` (retouched photographs) and `videos/`. Protocol: their
val split is only tested, once; one in twenty of the training groups (an original and its fakes)
chooses the checkpoint and everything that decides. All faces are found and aligned alike; preparing
prints in how many pictures of each class one was found.
"""

import argparse
import csv
import hashlib
import os
import pathlib
import subprocess
import sys

from dfjax import files

VAL_SHARE = 0.05
TRAINING = {
    "num_steps": 4_000,
    "batch_size": 64,
    "augment.rotate": 3.0,
    "augment.zoom": 0.02,
    "augment.shift": 0.01,
    "optimizer.warmup_steps": 300,
    "ema_decay": 0.998,
    "log_every": 100,
    "evals.val.every": 800,
    "checkpoint_every": 800,
}

# What configs/resnet.py has otherwise for its short run on drawn faces.
OF_RESNET = {"data.image_size": 112, "model.zero_init_residual": True, "optimizer.lr": 2e-3}


def hold_out_groups(manifest: pathlib.Path, out: pathlib.Path) -> None:
    """Writes a corpus folder `out`: the same pictures, val as test, and val out of train."""
    out.mkdir(parents=True, exist_ok=True)
    pictures = out / "pictures"
    if not pictures.exists():
        pictures.symlink_to(manifest.parent.absolute())
    rows = []
    with manifest.open(newline="") as source:
        for row in csv.DictReader(source):
            draw = int.from_bytes(hashlib.sha256(row["group"].encode()).digest()[:8]) / 2**64
            split = "test" if row["split"] == "val" else "val" if draw < VAL_SHARE else "train"
            rows.append([f"pictures/{row['path']}", row["label"], row["group"], split])
    files.replace_csv(out / "manifest.csv", ["path", "label", "group", "split"], rows)


def run(*command: str) -> None:
    """Runs a command and shows it first."""
    print("$", *command, flush=True)
    subprocess.run(command, check=True)


def main() -> None:
    """Prepares, trains, evaluates; every step continues where an earlier call stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/resnet.py", help="(%(default)s)")
    parser.add_argument("--workdir", help="of the run (runs/real_faces_CONFIG)")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("data"))
    arguments = parser.parse_args()
    if "DFJAX_TEST_DATA" not in os.environ:
        sys.exit("set DFJAX_TEST_DATA to the folder that holds dfdc_faces/, ciplab/ and videos/")
    real = pathlib.Path(os.environ["DFJAX_TEST_DATA"])
    data = arguments.data

    hold_out_groups(real / "dfdc_faces" / "manifest.csv", data / "dfdc_corpus")
    prepare = (sys.executable, "-m", "dfjax.cli", "prepare", "--corpus", "folder")
    size = ("--size", "128")
    run(*prepare, "--root", f"{data}/dfdc_corpus", "--out", f"{data}/dfdc_faces", *size)
    run(*prepare, "--root", f"{real}/ciplab", "--out", f"{data}/ciplab", *size)
    # No clip is trained on: all of them are the test split.
    none_trained = ("--splits", "0", "0", "1")
    run(*prepare, "--root", f"{real}/videos", "--out", f"{data}/videos", *size, *none_trained)

    workdir = arguments.workdir or f"runs/real_faces_{pathlib.Path(arguments.config).stem}"
    train = (sys.executable, "-m", "dfjax.cli", "train", "--config", arguments.config)
    train += ("--workdir", workdir)
    settings = {"data.dir": data / "dfdc_faces", **TRAINING}
    settings |= OF_RESNET if arguments.config == "configs/resnet.py" else {}
    run(*train, *(f"--config.{name}={value}" for name, value in settings.items()))
    evaluate = (sys.executable, "-m", "dfjax.cli", "evaluate", "--model", workdir)
    run(*evaluate, "--data", f"{data}/ciplab:test", f"{data}/videos:test")


if __name__ == "__main__":
    main()
