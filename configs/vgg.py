"""Fine-tunes VGG-16 with BatchNorm from ImageNet weights, on an accelerator.

    dfjax prepare --corpus folder --root DIR --out data/faces
    dfjax convert-weights pth:vgg16_bn-6c64b313.pth --model vgg16_bn --out vgg16_bn.safetensors
    dfjax train --config configs/vgg.py --workdir runs/vgg

224 px, its native size. The weights are torchvision's; `--config.init_from=""` starts from nothing.
The dense layers hold nine tenths of the parameters.

Not run yet on a published corpus: neither hours nor score are known.
"""

import ml_collections

from dfjax import config


def get_config() -> ml_collections.ConfigDict:
    """`config.base()` and what differs from it."""
    c = config.base()
    c.model.name = "vgg16_bn"
    c.model.dtype = "bfloat16"
    c.init_from = "vgg16_bn.safetensors"
    c.data.dir = "data/faces"
    c.data.image_size = 224
    c.num_steps = 10_000
    c.optimizer.lr = 2e-4
    c.optimizer.weight_decay = 0.02
    c.ema_decay = 0.999
    return c
