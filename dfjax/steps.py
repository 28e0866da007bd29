"""The arithmetic of a run: pure functions of arrays, without config, I/O or data loading.

`train.py` binds the keyword arguments once with `functools.partial` and jits the result.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax
from clu import metrics as clu_metrics
from flax import linen as nn

from dfjax.models import layers


@flax.struct.dataclass
class TrainState:
    """Everything that changes during training, and nothing else.

    Attributes:
      step: updates done, int32 [].
      params, batch_stats: the model's variables.
      opt_state: of the optax chain.
      ema: exponential average of {"params", "batch_stats"}, or None when it is off.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    ema: Any

    @property
    def eval_variables(self) -> dict[str, Any]:
        """The variables that evaluation and export use: the average where there is one."""
        if self.ema is not None:
            return self.ema
        return {"params": self.params, "batch_stats": self.batch_stats}


@flax.struct.dataclass
class TrainMetrics(clu_metrics.Collection):
    """Sums and counts of a train step; merging steps averages over their examples."""

    loss: clu_metrics.Average.from_output("loss")
    accuracy: clu_metrics.Average.from_output("correct")
    grad_norm: clu_metrics.Average.from_output("grad_norm")


def init(
    key: jax.Array,
    *,
    model: nn.Module,
    tx: optax.GradientTransformation,
    image_size: int,
    ema: bool,
) -> TrainState:
    """The state at step 0."""
    variables = model.init(key, jnp.zeros((1, image_size, image_size, 3), jnp.uint8))
    params, batch_stats = variables["params"], variables.get("batch_stats", {})
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=batch_stats,
        opt_state=tx.init(params),
        # Copies: the averages are donated together with the values they start from.
        ema=jax.tree.map(jnp.copy, {"params": params, "batch_stats": batch_stats}) if ema else None,
    )


def is_finite(state: TrainState) -> bool:
    """Whether no number of the state is infinite or not a number; blocks until it is there."""
    return all(
        bool(jnp.isfinite(leaf).all())
        for leaf in jax.tree.leaves(state)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    )


def train_step(
    state: TrainState,
    batch: dict[str, jax.Array],
    key: jax.Array,
    *,
    model: nn.Module,
    tx: optax.GradientTransformation,
    loss: Callable[[jax.Array, jax.Array], jax.Array],
    ema_decay: float,
    grad_accum_steps: int,
    skip_not_finite: bool = False,
) -> tuple[TrainState, TrainMetrics]:
    """One update from a batch of `image` [B, H, W, 3] uint8 and `label` [B] in 0..1.

    The dropout key is a function of (key, step), so nothing about randomness is saved. With
    grad_accum_steps k the gradients of k microbatches are averaged (see `split_microbatches`).
    BatchNorm then sees B / k images at a time and moves its running statistics k times per update,
    so a momentum m acts as m**k does in a whole batch. With `skip_not_finite`, an update whose loss
    or gradient is not finite changes nothing but `step`.
    """
    key = jax.random.fold_in(key, state.step)
    gradients = _gradients
    if grad_accum_steps > 1:
        gradients = functools.partial(_accumulated_gradients, grad_accum_steps=grad_accum_steps)
    grads, batch_stats, outputs = gradients(
        state.params, state.batch_stats, batch, key, model=model, loss=loss
    )

    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = state.ema
    if ema is not None:
        # The shorter early horizon keeps the random start out of the average of a short run.
        # BatchNorm's statistics are averaged as the parameters that they belong to are, over the
        # same horizon. At the cosine's end, where parameters hardly move, those of the averaged
        # network are the same; a checkpoint from the middle of a run would be exact only with
        # statistics recomputed over training batches.
        decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
        new = {"params": params, "batch_stats": batch_stats}
        ema = optax.incremental_update(new, ema, 1.0 - decay)
    grad_norm = optax.tree.norm(grads)
    step_metrics = TrainMetrics.single_from_model_output(**outputs, grad_norm=grad_norm)
    updated = state.replace(params=params, batch_stats=batch_stats, opt_state=opt_state, ema=ema)
    if skip_not_finite:
        is_finite = jnp.isfinite(outputs["loss"].mean()) & jnp.isfinite(grad_norm)
        updated = jax.tree.map(lambda new, old: jnp.where(is_finite, new, old), updated, state)
    return updated.replace(step=state.step + 1), step_metrics


def _gradients(
    params: Any,
    batch_stats: Any,
    batch: dict[str, jax.Array],
    key: jax.Array,
    *,
    model: nn.Module,
    loss: Callable[[jax.Array, jax.Array], jax.Array],
) -> tuple[Any, Any, dict[str, jax.Array]]:
    """(gradients of the mean loss, new batch_stats, `loss` and `correct` [B] per example)."""

    def mean_loss(params):
        logit, updated = model.apply(
            {"params": params, "batch_stats": batch_stats},
            batch["image"],
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": key},
        )
        per_example = loss(logit, batch["label"].astype(logit.dtype))
        outputs = {"loss": per_example, "correct": (logit > 0) == (batch["label"] > 0.5)}
        return per_example.mean(), (updated.get("batch_stats", {}), outputs)

    grads, (batch_stats, outputs) = jax.grad(mean_loss, has_aux=True)(params)
    return grads, batch_stats, outputs


def split_microbatches(batch: dict[str, jax.Array], count: int) -> dict[str, jax.Array]:
    """Arrays [count, B / count, ...] from [B, ...]: rows 2i and 2i + 1 go to microbatch i % count.

    `train_stream` puts a real and a fake there, so each microbatch is as balanced as the batch.
    BatchNorm needs that: over one class alone it would take away what tells the classes apart.
    Dealing in turn leaves every row on its device, where consecutive slices would move them, if
    each device holds a multiple of 2 * count rows.
    """

    def split(x: jax.Array) -> jax.Array:
        pairs = x.reshape(-1, count, 2, *x.shape[1:])
        return jnp.swapaxes(pairs, 0, 1).reshape(count, -1, *x.shape[1:])

    return jax.tree.map(split, batch)


def _accumulated_gradients(
    params: Any,
    batch_stats: Any,
    batch: dict[str, jax.Array],
    key: jax.Array,
    *,
    grad_accum_steps: int,
    **kwargs: Any,
) -> tuple[Any, Any, dict[str, jax.Array]]:
    """What `_gradients` returns, averaged over microbatches that run one after the other."""
    microbatches = split_microbatches(batch, grad_accum_steps)

    def body(carry, microbatch):
        total, batch_stats = carry
        grads, batch_stats, outputs = _gradients(params, batch_stats, *microbatch, **kwargs)
        return (jax.tree.map(jnp.add, total, grads), batch_stats), outputs

    start = jax.tree.map(jnp.zeros_like, params), batch_stats
    keys = jax.random.split(key, grad_accum_steps)
    (total, batch_stats), outputs = jax.lax.scan(body, start, (microbatches, keys))
    grads = jax.tree.map(lambda g: g / grad_accum_steps, total)
    return grads, batch_stats, jax.tree.map(jnp.ravel, outputs)


def predict(
    variables: dict[str, Any], image: jax.Array, *, model: nn.Module, image_size: int
) -> jax.Array:
    """Logits [B] (float32) of crops [B, S, S, 3], with frozen statistics and no dropout.

    Crops are uint8, or float in 0..1, of any size: they are resized to `image_size` here, so that
    evaluation and every export see the same pixels.
    """
    # Else GPUs and TPUs would multiply float32 with fewer bits, and scores would depend on where
    # they were computed.
    with jax.default_matmul_precision("highest"):
        return model.apply(variables, layers.resize(image, image_size), train=False)


def embed(
    variables: dict[str, Any], image: jax.Array, *, model: nn.Module, image_size: int
) -> jax.Array:
    """Embeddings [B, C] (float32) of crops as `predict` takes them: what the head judges by."""
    image = layers.resize(image, image_size)
    _, state = model.apply(variables, image, train=False, mutable=["intermediates"])
    return state["intermediates"]["head"]["embedding"][0]
