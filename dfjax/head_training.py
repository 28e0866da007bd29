"""Training of the head alone: what the frozen backbone makes of the crops is computed once."""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from dfjax import contact_sheet, optim, progress, sharding, steps, tree
from dfjax.errors import UserError
from dfjax.feature_cache import FeatureCache
from dfjax.models import layers

HEAD = "head"


class HeadOnly(nn.Module):
    """The head of a `models.backbone.Backbone`, called with embeddings [B, C] in place of images.

    It takes the variables of the whole network, of which it reads `params/head`, so that what is
    trained with it is a state of that network.

    Attributes:
      dropout: as the network's.
    """

    dropout: float = 0.0

    @nn.compact
    def __call__(self, embedding: jax.Array, *, train: bool = False) -> jax.Array:
        return layers.BinaryHead(dropout=self.dropout, name=HEAD)(embedding, train=train)


class Cached(NamedTuple):
    """What a run trains on whose backbone is frozen, in place of images.

    Attributes:
      model: called with embeddings in place of images; its variables are those of the network.
      stream: batches of them.
      batch: shapes and types of a batch.
      pairs_of: the numbers of the pairs in the batch of a step.
    """

    model: nn.Module
    stream: Generator
    batch: dict[str, jax.ShapeDtypeStruct]
    pairs_of: Callable[[int], Sequence[int]]


def require_frozen(params: Any, rules: optim.Rules, setting: str) -> None:
    """Checks that embeddings may be computed once: nothing but the head is trained, by one process.

    `setting` is what asks for it.

    Raises:
      UserError: something else is.
    """
    if jax.process_count() > 1:
        raise UserError(f"{setting}: the head is trained by one process: leave --distributed out")
    trained = [name for name in optim.trained(params, rules) if not name.startswith(f"{HEAD}/")]
    if trained:
        raise UserError(
            f"{setting} needs a frozen backbone, and {trained[0]} would be trained: set "
            """optimizer.lr_rules=((r"head/.*", 1.0), (r".*", 0.0))"""
        )


def prepare(
    workdir: pathlib.Path,
    state: steps.TrainState,
    *,
    model: nn.Module,
    image_size: int,
    num_pairs: int,
    batch_size: int,
    seed: int,
    read: Callable[[int], Generator],
    augment: Callable[[dict[str, jax.Array]], dict[str, jax.Array]],
    mesh: Mesh,
    start: int,
) -> Cached:
    """Embeds `num_pairs` pairs at least, in whole batches; returns what step `start` begins with.

    What an earlier start of the run computed is not computed again. `read` gives the batches of
    `pipeline.train_stream` from a step on, `augment` what the network sees of one; the first of all
    is drawn as a contact sheet.
    """
    variables, embed, channels = make_embed(state, model, image_size)
    cache = FeatureCache(
        workdir,
        rows=-(-2 * num_pairs // batch_size) * batch_size,
        channels=channels,
        backbone=digest(state),
    )
    bar = progress.Progress("embed", cache.num_rows, start=cache.done, unit="crops")
    with bar, contextlib.closing(read(cache.done // batch_size)) as stream:
        while cache.done < cache.num_rows:
            stored = next(stream)
            batch = augment(sharding.put_batch(stored, mesh))
            if not cache.done:
                contact_sheet.write(workdir / contact_sheet.FIRST_BATCH, stored, batch)
            cache.append(np.asarray(embed(variables, batch["image"])), np.asarray(batch["label"]))
            bar.update(cache.done)
    return Cached(
        model=HeadOnly(model.dropout),
        stream=cache.batches(batch_size=batch_size, seed=seed, start=start),
        batch=sharding.abstract(cache.abstract_batch(batch_size), sharding.by_batch(mesh)),
        pairs_of=functools.partial(cache.pairs_of, batch_size=batch_size, seed=seed),
    )


def make_embed(
    state: steps.TrainState, model: nn.Module, image_size: int
) -> tuple[dict[str, Any], Callable[..., jax.Array], int]:
    """Returns (variables, what makes embeddings of them and of images, how many channels)."""
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    image = jax.ShapeDtypeStruct((1, image_size, image_size, 3), np.uint8)
    embed = jax.jit(functools.partial(steps.embed, model=model, image_size=image_size))
    return variables, embed, jax.eval_shape(embed, variables, image).shape[1]


def digest(state: steps.TrainState) -> str:
    """Returns the digest of the variables of everything but the head."""
    params = {name: value for name, value in state.params.items() if name != HEAD}
    return tree.digest(jax.device_get({"params": params, "batch_stats": state.batch_stats}))
