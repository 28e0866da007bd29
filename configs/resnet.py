"""A small ResNet-18 on the embedded synthetic corpus: the default that any machine can run."""

import ml_collections

from configs import common


def get_config() -> ml_collections.ConfigDict:
    """`common.base()` and what differs from it."""
    c = common.base()
    c.model.name = "resnet18"
    c.model.width = 16
    c.data.image_size = 112
    return c
