"""Training on whole clips: of their faces, a frozen backbone makes embeddings once.

The head then learns how much each frame counts (`models.layers.GatedAttention`), and to judge anew.
It is shown crops as they are stored, neither degraded nor augmented: a clip is one example, and its
frames belong together.
"""

import contextlib
import functools
import itertools
import pathlib
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from dfjax import head_training, progress, sharding, steps
from dfjax.data import pipeline, sampling
from dfjax.feature_cache import FeatureCache
from dfjax.models import layers

_FRAMES = 3  # keeps the draws of frames apart from those of pairs


class ClipHead(nn.Module):
    """The head of a `models.backbone.Backbone`, called with the embeddings [B, F, C] of clips.

    It returns the logits [B] of their scores: P(fake) of the frames, weighted by attention
    (`pooling`), so that what is trained is what judges. Its variables are those of the network.

    Attributes:
      dropout, attention: as the network's.
    """

    attention: int
    dropout: float = 0.0

    @nn.compact
    def __call__(self, embedding: jax.Array, *, train: bool = False) -> jax.Array:
        head = layers.BinaryHead(self.dropout, self.attention, name=head_training.HEAD)
        logit, log_weight = head(embedding, train=train, with_weight=True)
        log_share = jax.nn.log_softmax(log_weight)
        log_fake, log_real = (
            jax.nn.logsumexp(log_share + jax.nn.log_sigmoid(sign * logit), axis=1)
            for sign in (1, -1)
        )
        return log_fake - log_real


def prepare(
    workdir: pathlib.Path,
    state: steps.TrainState,
    *,
    model: nn.Module,
    image_size: int,
    pairs: sampling.Pairs,
    batch_size: int,
    frames: int,
    seed: int,
    reading: pipeline.Reading,
    mesh: Mesh,
    start: int,
) -> head_training.Cached:
    """Embeds all crops of the training data, and returns what step `start` begins with.

    A batch is the clips of pairs, and `frames` of each. What an earlier start of the run embedded
    is not embedded again.
    """
    embed = functools.partial(_embed, model=model, image_size=image_size, mesh=mesh)
    cache = embed(workdir, state, pairs.records, batch_size=batch_size, reading=reading)
    batch_of = functools.partial(_batch, pairs, cache, size=batch_size, frames=frames, seed=seed)
    batch = {
        "image": jax.ShapeDtypeStruct((batch_size, frames, cache.channels), np.float32),
        "label": jax.ShapeDtypeStruct((batch_size,), np.float32),
    }
    return head_training.Cached(
        model=ClipHead(model.clip_attention, model.dropout),
        stream=(batch_of(step=step) for step in itertools.count(start)),
        batch=sharding.abstract(batch, sharding.by_batch(mesh)),
        pairs_of=functools.partial(sampling.pairs_of, batch_size=batch_size),
    )


def _embed(
    workdir: pathlib.Path,
    state: steps.TrainState,
    records: Any,
    *,
    model: nn.Module,
    image_size: int,
    batch_size: int,
    reading: pipeline.Reading,
    mesh: Mesh,
) -> FeatureCache:
    """The embeddings of all records."""
    variables, embed, channels = head_training.make_embed(state, model, image_size)
    digest = head_training.digest(state)
    cache = FeatureCache(workdir, rows=len(records), channels=channels, backbone=digest)
    if cache.done == cache.num_rows:
        return cache
    stream = pipeline.eval_stream(
        _Rest(records, cache.done),
        batch_size=batch_size,
        reading=reading,
        process_index=0,
        process_count=1,
    )
    bar = progress.Progress("embed", cache.num_rows, start=cache.done, unit="crops")
    with bar, contextlib.closing(stream):
        for batch in stream:
            image = sharding.put_batch({"image": batch["image"]}, mesh)["image"]
            is_there = batch["mask"] > 0
            cache.append(np.asarray(embed(variables, image))[is_there], batch["label"][is_there])
            bar.update(cache.done)
    return cache


def _batch(
    pairs: sampling.Pairs, cache: FeatureCache, *, size: int, frames: int, seed: int, step: int
) -> dict[str, np.ndarray]:
    """`image`, embeddings [B, F, C], and `label` [B]: the clips of pairs, real and fake in turn."""
    rows = []
    for number in sampling.pairs_of(step, batch_size=size):
        pair = pairs[number]
        for label, row in enumerate((pair.real, pair.others[0])):
            rng = np.random.default_rng((seed, _FRAMES, number, label))
            rows.append(_draw(pairs.frames_of(row), frames, rng))
    label = np.tile(np.float32([0, 1]), size // 2)
    return {"image": cache.features(np.array(rows)), "label": label}


def _draw(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the rows in random order; of fewer, each comes about equally often."""
    return np.resize(rng.permutation(rows), count)


class _Rest:
    """A random-access sequence of records without its first ones."""

    def __init__(self, records: Any, start: int):
        self._records, self._start = records, start

    def __len__(self) -> int:
        return len(self._records) - self._start

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self._records[self._start + row]
