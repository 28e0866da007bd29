"""Tunes the LayerNorms and the head of CLIP's ViT-L/14 on pairs, on an accelerator.

    dfjax prepare --corpus folder --root DIR --out data/faces --boxes-from-original
    dfjax convert-weights FILE --model clip_vit_l14 --out clip_vit_l14.safetensors
    dfjax train --config configs/vit_l_lntune.py --workdir runs/vit

224 px, its native size; FILE is the `model.safetensors` of `openai/clip-vit-large-patch14` at
Hugging Face, whose text tower is left out; `preprocessor_config.json` next to it states how images
are normalized. That 0.03% of the parameters move keeps what CLIP knows, and generalizes better to
forgeries that were not trained on, if a fake comes beside its own original (arXiv:2508.06248). To
train all of them, set `--config.optimizer.lr_rules="()"` and a learning rate thirty times smaller.

Not run yet: hours are not known. Target, published for training on FaceForensics++ (c23) by that
paper: a video AUC of 0.96 on Celeb-DF v2 and 0.87 on DFDC.
"""

import ml_collections

from dfjax import config


def get_config() -> ml_collections.ConfigDict:
    """`config.base()` and what differs from it."""
    c = config.base()
    c.model.name = "clip_vit_l14"
    c.model.dtype = "bfloat16"
    c.model.dropout = 0.05
    c.init_from = "clip_vit_l14.safetensors"
    c.data.dir = "data/faces"
    c.data.pairing = 1.0
    c.data.image_size = 224
    c.augment.rotate = 10.0
    c.augment.zoom = 0.1
    c.augment.shift = 0.1
    c.augment.colour = 0.1
    c.augment.jpeg = 0.5
    c.batch_size = 128
    c.num_steps = 10_000
    c.optimizer.lr = 3e-4
    c.optimizer.weight_decay = 0.0
    c.optimizer.lr_rules = (
        (r"(.*/)?norm[^/]*/.*", 1.0),
        (r"head/.*", 1.0),
        (r".*", 0.0),
    )
    return c
