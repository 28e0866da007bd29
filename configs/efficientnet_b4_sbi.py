"""Trains EfficientNet-B4 on reals and blends of them alone, on an accelerator.

    dfjax prepare --corpus ffpp --root DIR --out data/ffpp --size 380
    dfjax convert-weights FILE --model efficientnet_b4 --out efficientnet_b4.safetensors
    dfjax train --config configs/efficientnet_b4_sbi.py --workdir runs/b4_sbi \
        '--config.eval.data=("data/celebdf_v2:test",)'

The network and the size of self-blended images (arXiv:2204.08376), by this repository's own blends
(docs/recipes.md) and AdamW instead of SAM; fakes in the data are left out. FILE is timm's
`efficientnet_b4.ra2_in1k`. `--landmarks 68` when preparing gives masks of the whole face's outline
(see the README on its terms). `--config.model.remat=True` where memory is short.

Not run yet: hours are not known. Target, published for the reals of FaceForensics++: a video AUC of
0.93 on Celeb-DF v2 and 0.72 on DFDC.
"""

import ml_collections

from dfjax import config


def get_config() -> ml_collections.ConfigDict:
    """`config.base()` and what differs from it."""
    c = config.base()
    c.model.name = "efficientnet_b4"
    c.model.dtype = "bfloat16"
    c.model.stochastic_depth = 0.2
    c.init_from = "efficientnet_b4.safetensors"
    c.data.dir = "data/ffpp"
    c.data.image_size = 380
    c.blend.share = 1.0
    c.augment.jpeg = 0.5
    c.batch_size = 32
    c.num_steps = 20_000
    c.optimizer.lr = 2e-4
    c.optimizer.weight_decay = 0.02
    c.ema_decay = 0.999
    c.evals.val.type = "self_blended"
    return c
