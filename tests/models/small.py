"""Every registered network with few channels and blocks: its structure is what tests look at."""

from flax import linen as nn

from dfjax import models, registry
from dfjax.models import (
    convnext,
    dfcnn,
    dlib_resnet,
    efficientnet,
    meso,
    resnet,
    vgg,
    vit,
    xception,
)

SIZE = 32  # pixels, legal for all of them

_FIELDS = {
    convnext.ConvNeXt: {"stage_sizes": (1, 1, 1, 1), "width": 8},
    dfcnn.DFCNN: {"stage_sizes": (1, 2, 2), "widths": (8, 8, 16)},
    dlib_resnet.DlibResNet: {"stage_sizes": (1, 1), "widths": (8, 16)},
    efficientnet.EfficientNet: {
        "stage_sizes": (1, 2, 1, 1, 1, 1, 1),
        "width_factor": 0.25,
        "widen_ends": True,
        "norm_epsilon": 1e-3,
        "norm_momentum": 0.9,
    },
    meso.MesoNet: {},
    resnet.ResNet: {"stage_sizes": (1, 1, 1, 1), "width": 16},
    vgg.VGG: {"stage_sizes": (1, 1, 1, 1, 1), "width": 8},
    vit.VisionTransformer: {"patch": 16, "width": 32, "depth": 2, "heads": 2, "mlp_width": 64},
    xception.Xception: {
        "stem_widths": (8, 8),
        "entry_widths": (8, 16, 16),
        "middle_blocks": 1,
        "exit_widths": (16, 24, 24),
    },
}


def build(name: str, **settings) -> nn.Module:
    """The registered model, shrunk; `settings` as `models.build` takes them."""
    fields = {**_FIELDS[type(models.build(name))], "native_size": SIZE, "dropout": 0.0}
    return models.build(name, **{**fields, **settings})


def structures() -> list[str]:
    """One name for each structure that is left when depth and width are made equal."""
    found: dict[nn.Module, str] = {}
    for name in registry.names("model"):
        found.setdefault(build(name), name)
    return list(found.values())
