"""Backbones, one family per file; importing this package registers all of them."""

import dataclasses
from typing import Any

from flax import linen as nn

from dfjax import registry
from dfjax.errors import UserError
from dfjax.models import convnext as convnext
from dfjax.models import dfcnn as dfcnn
from dfjax.models import dlib_resnet as dlib_resnet
from dfjax.models import efficientnet as efficientnet
from dfjax.models import meso as meso
from dfjax.models import resnet as resnet
from dfjax.models import vgg as vgg
from dfjax.models import vit as vit
from dfjax.models import vit_names as vit_names
from dfjax.models import xception as xception


def build(name: str, **settings: Any) -> nn.Module:
    """The registered model: images [B, H, W, 3] to logits [B], see the family's file.

    A setting is a field of the family; None leaves the family's own default.

    Raises:
      UserError: an unknown name or setting; the message lists the known ones.
    """
    model = registry.build("model", name)
    chosen = {key: value for key, value in settings.items() if value is not None}
    known = {field.name for field in dataclasses.fields(model)} - {"parent", "name"}
    if unknown := sorted(chosen.keys() - known):
        raise UserError(
            f"{name} has no setting {', '.join(unknown)}: leave it None, or set one of "
            f"{', '.join(sorted(known))}"
        )
    return model.clone(**chosen)
