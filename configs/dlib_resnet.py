"""Fine-tunes dlib's face recognition network, whose weights (CC0) are installed with dfjax.

    dfjax prepare --corpus folder --root DIR --out data/faces
    dfjax train --config configs/dlib_resnet.py --workdir runs/dlib

It knows faces and nothing of forgeries, so all
of it is trained; what is new learns ten times faster than what is there already.

Not run yet on a published corpus: neither hours nor score are known.
"""

import ml_collections

from dfjax import config


def get_config() -> ml_collections.ConfigDict:
    """`config.base()` and what differs from it."""
    c = config.base()
    c.model.name = "dlib_resnet"
    c.init_from = "package:face_recognition_models"
    c.data.dir = "data/faces"
    c.data.image_size = 150
    c.augment.rotate = 4.0  # it was trained on faces that dlib had aligned
    c.num_steps = 5_000
    c.optimizer.lr = 1e-3
    c.optimizer.lr_rules = (("(head|descriptor)/.*", 1.0), (".*", 0.1))
    c.optimizer.weight_decay = 0.02
    c.ema_decay = 0.999
    return c
