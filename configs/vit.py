"""Tunes the LayerNorms and the head of CLIP's ViT-L/14, on an accelerator.

    dfjax prepare --corpus folder --root DIR --out data/faces
    dfjax convert-weights FILE --model clip_vit_l14 --out clip_vit_l14.safetensors
    dfjax train --config configs/vit.py --workdir runs/vit

224 px, its native size; FILE is the `model.safetensors` of `openai/clip-vit-large-patch14` at
Hugging Face, whose text tower is left out; `preprocessor_config.json` next to it states how images
are normalized. That 0.03% of the parameters move keeps what CLIP knows, and generalizes better to
forgeries that were not trained on (arXiv:2508.06248). To train them all, set
`--config.optimizer.lr_rules="()"` and a learning rate thirty times smaller.

Not run yet on a published corpus: neither hours nor score are known.
"""

import ml_collections

from dfjax import config


def get_config() -> ml_collections.ConfigDict:
    """`config.base()` and what differs from it."""
    c = config.base()
    c.model.name = "clip_vit_l14"
    c.model.dtype = "bfloat16"
    c.init_from = "clip_vit_l14.safetensors"
    c.data.dir = "data/faces"
    c.data.image_size = 224
    c.num_steps = 10_000
    c.optimizer.lr = 3e-4
    c.optimizer.weight_decay = 0.0
    c.optimizer.lr_rules = (
        (r"(.*/)?norm[^/]*/.*", 1.0),
        (r"head/.*", 1.0),
        (r".*", 0.0),
    )
    return c
