"""Backbones, one family per file; importing this package registers all of them."""

import dataclasses
import importlib
import pkgutil
from typing import Any

import jax

from dfjax import registry
from dfjax.errors import UserError
from dfjax.models import backbone

for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")


def build(name: str, **settings: Any) -> backbone.Backbone:
    """Returns the registered model: images [B, H, W, 3] to logits [B], see the family's file.

    A setting is a field of the family; None is the family's default.

    Raises:
      UserError: an unknown name or setting; the message lists the known ones.
    """
    model = registry.build("model", name)
    fields = {key: value for key, value in settings.items() if value is not None}
    known = {field.name for field in dataclasses.fields(model)} - {"parent", "name"}
    if unknown := sorted(fields.keys() - known):
        raise UserError(
            f"{name} has no setting {', '.join(unknown)}: leave it None, or set one of "
            f"{', '.join(sorted(known))}"
        )
    return model.clone(**fields)


def for_backend(model: backbone.Backbone) -> backbone.Backbone:
    """Returns the same network in the form that JAX's default backend runs fastest.

    For training and evaluation. What is exported stays plain: it may run anywhere.
    """
    # Over several processes, XLA's CPU runtime mixes up the sums over devices of such programs, or
    # waits for ever: seen with jaxlib 0.10.2, two processes of two devices and Gloo.
    is_fast = jax.default_backend() == "cpu" and jax.process_count() == 1
    return model.clone(form="cpu" if is_fast else "plain")
