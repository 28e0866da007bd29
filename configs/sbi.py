"""Trains without a fake: EfficientNet-Lite0 on reals and blends of them, on a CPU.

    dfjax prepare --corpus folder --root DIR --out data/faces --size 160 --scale 0.85 --center 0.6
    dfjax train --config configs/sbi.py --workdir runs/sbi \
        '--config.eval.data=("data/other:test",)'

Every fake is a blend that is made while training (docs/recipes.md): of a real with itself, of two
people, or of two frames of a clip (self-blended images, arXiv:2204.08376). Fakes in the data are
left out, also where the checkpoint is chosen: reals of the validation split are told from blends of
themselves. More reals of other cameras: `'--config.data.more=(("data/others:train", 0.5),)'`.

Reached, on the reals of DFDC, of FFHQ and of studio portraits, in half an hour of processor time (a
quarter of an hour on two cores): frame AUC 0.60 to 0.61 on held-out originals of DFDC by three
seeds, 0.55 to 0.60 on photographs retouched by hand (docs/real_faces.md). Nobody has published a
network this small; configs/efficientnet_b4_sbi.py states what large ones reach.
"""

import ml_collections

from dfjax import config


def get_config() -> ml_collections.ConfigDict:
    """`config.base()` and what differs from it."""
    c = config.base()
    c.model.name = "efficientnet_lite0"
    c.init_from = "efficientnet_lite0"
    c.data.dir = "data/faces"
    c.data.image_size = 112
    c.blend.share = 1.0
    c.blend.cross = 0.2
    c.blend.neighbour = 0.1
    c.augment.rotate = 8.0
    c.augment.zoom = 0.08
    c.augment.shift = 0.04
    c.augment.colour = 0.2
    c.augment.jpeg = 0.25
    c.degrade.probability = 0.25
    c.batch_size = 32
    c.num_steps = 1_800
    c.optimizer.lr = 1e-3
    c.optimizer.weight_decay = 0.02
    c.optimizer.warmup_steps = 50
    c.ema_decay = 0.998
    c.evals.val.type = "self_blended"
    c.evals.val.every = 300
    c.checkpoint_every = 300
    return c
