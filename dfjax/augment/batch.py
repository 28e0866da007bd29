"""Pairs of crops as the loader yields them, made into a batch as the network sees it."""

import functools

import jax
import jax.numpy as jnp

from dfjax.augment import blend, cutout, difference, mixup
from dfjax.augment.settings import Settings
from dfjax.augment.view import view
from dfjax.data import sampling


def augment(
    batch: dict[str, jax.Array], key: jax.Array, *, settings: Settings
) -> dict[str, jax.Array]:
    """What the network is trained on: `image` uint8 [B, S, S, 3] and `label` float32 [B].

    Row 2i of the batch is real, row 2i + 1 its fake; what a pair goes through is a function of the
    key and of the pair's `index`, in whatever batch and on whatever device it is. A blend that
    nobody can see has the label 0, as a real has.

    Args:
      batch: what `pipeline.train_stream` yields: `image` uint8 [B, S, S, 3], `kind` int32 [B],
        `aligned` bool [B], `index` int32 [B], and `landmarks` float32 [B, L, 2].
      key: of all augmentation of a run.
      settings: what is done, how strongly and how often.
    """
    pairs = {name: x.reshape(len(x) // 2, 2, *x.shape[1:]) for name, x in batch.items()}
    planes = jnp.moveaxis(pairs["image"].astype(jnp.float32), -1, 2)
    of_pair = {name: pairs[name][:, 0] for name in ("kind", "aligned", "index")}
    augment_pair = functools.partial(_augment_pair, key=key, settings=settings)
    planes, label = jax.vmap(augment_pair)(planes, pairs["landmarks"], **of_pair)
    image = _pixels(planes)
    return {"image": image.reshape(batch["image"].shape), "label": label.reshape(-1)}


def _augment_pair(
    planes: jax.Array,
    landmarks: jax.Array,
    *,
    kind: jax.Array,
    aligned: jax.Array,
    index: jax.Array,
    key: jax.Array,
    settings: Settings,
) -> tuple[jax.Array, jax.Array]:
    """(planes [2, 3, S, S], label [2]) of a pair, from its planes and landmarks [2, L, 2]."""
    blend_key, cutout_key, mixup_key, view_key = jax.random.split(jax.random.fold_in(key, index), 4)
    # Pairs that show the same pixels share what happens to them; others draw for each row.
    blended = kind != sampling.FORGERY
    shared = aligned | blended
    label = jnp.ones(())
    if settings.blends:
        fresh = blend.blend(planes, landmarks, blend_key, kind=kind)
        planes = jnp.where(blended, fresh, planes)
        label = jnp.where(blended & ~difference.is_visible(*planes), 0.0, 1.0)
    if settings.cutout:
        landmarks = jnp.where(shared, landmarks[:1], landmarks)
        forged = jnp.where(shared, cutout.forged(*planes), 0)
        hide = functools.partial(cutout.hide, forged=forged, probability=settings.cutout)
        planes = jax.vmap(hide)(planes, landmarks, _row_keys(cutout_key, shared))
    if settings.mixup:
        probability = jnp.where(aligned & ~blended, settings.mixup, 0.0)
        planes, share = mixup.mix(planes, mixup_key, probability=probability)
        label = label * share
    view_row = functools.partial(view, settings=settings)
    planes = jax.vmap(view_row)(planes, _row_keys(view_key, shared))
    return planes, jnp.stack([jnp.zeros(()), label])


def _pixels(planes: jax.Array) -> jax.Array:
    """Planes [..., 3, S, S] rounded to pixels uint8 [..., S, S, 3].

    Packed into words: XLA would compute all that comes before in the order of a transposition.
    """
    red, green, blue = jnp.moveaxis(jnp.clip(jnp.round(planes), 0, 255).astype(jnp.uint32), -3, 0)
    words = red | green << 8 | blue << 16
    return jax.lax.bitcast_convert_type(words, jnp.uint8)[..., :3]


def _row_keys(key: jax.Array, shared: jax.Array) -> jax.Array:
    """The keys [2] of the two rows of a pair, the same one twice if they share their draws."""
    rows = jnp.where(shared, 0, jnp.arange(2))
    return jax.vmap(jax.random.fold_in, (None, 0))(key, rows)
