"""A narrow ResNet-18 for two CPU cores, on the embedded synthetic corpus.

    dfjax prepare --corpus synthetic --out data/synthetic --frames 10 --size 128
    python -m dfjax.main --config configs/resnet.py --workdir runs/resnet

Under four minutes on two cores; the README says what it reaches. Scores are those of a synthetic
corpus. For real data set `--config.data.dir`, and on an accelerator the published network:
`--config.model.name=resnet50 --config.model.width=64 --config.model.dtype=bfloat16
--config.data.image_size=224`.
"""

import ml_collections

from dfjax import config


def get_config() -> ml_collections.ConfigDict:
    """`config.base()` and what differs from it."""
    c = config.base()
    c.model.name = "resnet18"
    c.model.width = 16
    c.data.image_size = 112
    # Drawn crops are aligned to the pixel, and 600 updates are few: moved by the defaults, the loss
    # stayed at chance for 150 to 200 of them.
    c.augment.rotate = 2.0
    c.augment.zoom = 0.01
    c.augment.shift = 0.005
    c.num_steps = 600
    c.optimizer.lr = 2e-3
    c.optimizer.weight_decay = 0.02
    c.optimizer.warmup_steps = 40
    c.ema_decay = 0.99
    c.evals.val.every = 300
    c.checkpoint_every = 300
    return c
