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
import os
import pathlib

import jax
import numpy as np

from configs import resnet
from dfjax import train

VARIANTS = {
    "rotate 8, zoom .06, shift .04": {"rotate": 8.0, "zoom": 0.06, "shift": 0.04},
    "rotate 3, zoom .02, shift .01": {"rotate": 3.0, "zoom": 0.02, "shift": 0.01},
}
TRAINING = {
    "num_steps": 1_500,
    "optimizer.warmup_steps": 100,
    "eval_every": 250,
    "checkpoint_every": 250,
}


def final_auc(workdir: pathlib.Path) -> float:
    """The validation AUC after the last update of a run."""
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [row["val/auc"] for row in rows if "val/auc" in row][-1]


def main() -> None:
    """Trains seed by seed, so that whatever is finished compares all variants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="what scripts/real_faces.py prepared")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/ablation"))
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    arguments = parser.parse_args()
    jax.config.update("jax_compilation_cache_dir", os.path.expanduser("~/.cache/dfjax/xla"))
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for seed in arguments.seeds:
        for number, (name, augment) in enumerate(VARIANTS.items()):
            config = resnet.get_config()
            settings = {f"augment.{field}": value for field, value in augment.items()}
            config.update_from_flattened_dict(
                {"data.dir": arguments.data, "seed": seed, **TRAINING, **settings}
            )
            workdir = arguments.out / f"{number}_{seed}"
            train.train(config, workdir)
            found[name].append(final_auc(workdir))
            print(f"{name}, seed {seed}: {found[name][-1]:.4f}", flush=True)
    for name, aucs in found.items():
        print(f"{name}: {np.mean(aucs):.4f}, seeds {' '.join(f'{auc:.4f}' for auc in aucs)}")


if __name__ == "__main__":
    main()
