"""The smallest detector, for a CPU: trained from nothing on the embedded synthetic corpus.

    dfjax prepare --corpus synthetic --out data/synthetic128 --size 128
    dfjax train --config configs/custom_cnn.py --workdir runs/custom_cnn \
        --config.data.dir=data/synthetic128

112 px, the size that the network is meant for. Scores are those of a synthetic corpus; for real
data set `--config.data.dir`. The network is in dfjax/models/dfcnn.py: a place to begin one's own.

Not run yet on this corpus: neither minutes nor score are known.
"""

import ml_collections

from dfjax import config


def get_config() -> ml_collections.ConfigDict:
    """`config.base()` and what differs from it."""
    c = config.base()
    c.model.name = "dfcnn"
    c.data.image_size = 112
    c.num_steps = 600
    c.optimizer.lr = 4e-3
    c.optimizer.weight_decay = 0.02
    c.optimizer.warmup_steps = 40
    c.ema_decay = 0.99
    c.evals.val.every = 300
    c.checkpoint_every = 300
    return c
