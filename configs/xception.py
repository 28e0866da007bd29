"""Fine-tunes Xception from ImageNet weights, on an accelerator: the FaceForensics++ baseline.

    dfjax prepare --corpus folder --root DIR --out data/faces
    dfjax convert-weights legacy_xception.safetensors --model xception --out xception.safetensors
    dfjax train --config configs/xception.py --workdir runs/xception

299 px, its native size. The weights are timm's `legacy_xception.tf_in1k`; `--config.init_from=""`
starts from nothing. `--config.model.remat=True` where memory is short.

Not run yet on a published corpus: neither hours nor score are known.
"""

import ml_collections

from dfjax import config


def get_config() -> ml_collections.ConfigDict:
    """`config.base()` and what differs from it."""
    c = config.base()
    c.model.name = "xception"
    c.model.dtype = "bfloat16"
    c.model.dropout = 0.5
    c.init_from = "xception.safetensors"
    c.data.dir = "data/faces"
    c.data.image_size = 299
    c.num_steps = 10_000
    c.optimizer.lr = 2e-4
    c.optimizer.weight_decay = 0.02
    c.ema_decay = 0.999
    return c
