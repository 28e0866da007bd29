"""How far training crops should be moved, measured on real faces: the defaults of `augment`.

    python scripts/ablate_augmentation.py --data data/dfdc_faces

DATA is what scripts/real_faces.py prepared: aligned faces of the Deepfake Detection Challenge, of
which 5 % of the training groups are the validation split. Its test split is not read. Every variant
trains the network of configs/resnet.py for 1,500 updates of 64 faces (about eight minutes on two
cores) with every seed; what is printed is the validation AUC. A second call continues the first.

    rotate 8, zoom .06, shift .04   .7341, seeds .7357 .7288 .7377
    rotate 3, zoom .02, shift .01   .7947, seeds .8023 .7907 .7910

The first, grown from nothing over the first third of the updates, reached .7381 (seeds .7424 .7346
.7374).
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

VARIANTS = {
    "rotate 8, zoom .06, shift .04": {"rotate": 8.0, "zoom": 0.06, "shift": 0.04},
    "rotate 3, zoom .02, shift .01": {"rotate": 3.0, "zoom": 0.02, "shift": 0.01},
}
TRAINING = {
    "num_steps": 1_500,
    # What configs/resnet.py has otherwise for its short run on drawn faces.
    "data.image_size": 112,
    "model.zero_init_residual": True,
    "optimizer.lr": 2e-3,
    "log_every": 50,
    "optimizer.warmup_steps": 100,
    "evals.val.every": 250,
    "checkpoint_every": 250,
    "eval.trivial_cues": 0,
}


def train(workdir: pathlib.Path, settings: dict[str, object]) -> float:
    """Trains a run, or continues it, and returns the validation AUC after its last update."""
    command = [sys.executable, "-m", "dfjax.cli", "train", "--config", "configs/resnet.py"]
    command += ["--workdir", str(workdir)]
    command += [f"--config.{name}={value}" for name, value in settings.items()]
    print("$", *command, flush=True)
    subprocess.run(command, check=True)
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [row["val/auc"] for row in rows if "val/auc" in row][-1]


def main() -> None:
    """Trains seed by seed, so that what is finished compares all variants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="what scripts/real_faces.py prepared")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/ablation"))
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    arguments = parser.parse_args()
    # The evaluation after training is of the validation split, too.
    data = {"data.dir": arguments.data, "eval.data": f"('{arguments.data}:val',)"}
    aucs: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for seed in arguments.seeds:
        for number, (name, augment) in enumerate(VARIANTS.items()):
            moves = {f"augment.{field}": value for field, value in augment.items()}
            settings = {**data, **TRAINING, **moves, "seed": seed}
            aucs[name].append(train(arguments.out / f"{number}_{seed}", settings))
            print(f"{name}, seed {seed}: {aucs[name][-1]:.4f}", flush=True)
    for name, values in aucs.items():
        print(f"{name}: {np.mean(values):.4f}, seeds {' '.join(f'{auc:.4f}' for auc in values)}")


if __name__ == "__main__":
    main()
