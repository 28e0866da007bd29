"""Fine-tunes EfficientNet-B4 from Noisy Student weights, on an accelerator.

    dfjax prepare --corpus folder --root DIR --out data/faces
    dfjax convert-weights FILE --model tf_efficientnet_b4 --out tf_efficientnet_b4.safetensors
    dfjax train --config configs/efficientnet.py --workdir runs/efficientnet

380 px, its native size; FILE is timm's `tf_efficientnet_b4.ns_jft_in1k`. Set
`--config.init_from=""` to start from nothing, which needs more steps;
`--config.model.remat=True` where memory is short, or `--config.model.name=tf_efficientnet_b0
--config.data.image_size=224` with weights of that.

Not run yet on a published corpus: neither hours nor score are known.
"""

import ml_collections

from dfjax import config


def get_config() -> ml_collections.ConfigDict:
    """`config.base()` and what differs from it."""
    c = config.base()
    c.model.name = "tf_efficientnet_b4"
    c.model.dtype = "bfloat16"
    c.model.stochastic_depth = 0.2
    c.init_from = "tf_efficientnet_b4.safetensors"
    c.data.dir = "data/faces"
    c.data.image_size = 380
    c.num_steps = 10_000
    c.optimizer.lr = 2e-4
    c.optimizer.weight_decay = 0.02
    c.ema_decay = 0.999
    return c
