"""Meso-4 on a CPU: the smallest published detector, from nothing or from its authors' weights.

    dfjax prepare --corpus synthetic --out data/synthetic128 --size 128
    dfjax train --config configs/meso.py --workdir runs/meso \
        --config.data.dir=data/synthetic128

128 px, half its native size, which two cores can afford. The authors' weights are fine-tuned by
`--config.init_from=Meso4_DF.h5 --config.reinit="" --config.data.image_size=256`: their last
layer already tells real from fake. `--config.model.name=mesoinception4` is the other network.

Not run yet on this corpus: neither minutes nor score are known.
"""

import ml_collections

from dfjax import config


def get_config() -> ml_collections.ConfigDict:
    """`config.base()` and what differs from it."""
    c = config.base()
    c.model.name = "meso4"
    c.data.image_size = 128
    c.num_steps = 2_000
    c.optimizer.warmup_steps = 40
    c.evals.val.every = 500
    c.checkpoint_every = 500
    return c
