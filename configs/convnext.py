"""Fine-tunes ConvNeXt-Tiny from ImageNet weights, on an accelerator.

    dfjax prepare --corpus folder --root DIR --out data/faces
    dfjax convert-weights FILE --model convnext_tiny --out convnext_tiny.safetensors
    dfjax train --config configs/convnext.py --workdir runs/convnext

224 px, its native size; FILE is timm's `convnext_tiny.fb_in22k_ft_in1k` or torchvision's. Set
`--config.init_from=""` to start from nothing, which needs more steps;
`--config.model.remat=True` where memory is short.

Not run yet on a published corpus: neither hours nor score are known.
"""

import ml_collections

from dfjax import config


def get_config() -> ml_collections.ConfigDict:
    """`config.base()` and what differs from it."""
    c = config.base()
    c.model.name = "convnext_tiny"
    c.model.dtype = "bfloat16"
    c.model.stochastic_depth = 0.1
    c.init_from = "convnext_tiny.safetensors"
    c.data.dir = "data/faces"
    c.data.image_size = 224
    c.num_steps = 10_000
    c.optimizer.lr = 1e-4
    c.optimizer.weight_decay = 0.05
    c.ema_decay = 0.999
    return c
