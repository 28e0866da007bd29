"""Optimisers from plain arguments."""

import optax

from dfjax import tree

NAMES = ("adamw", "sgd")


def make_optimizer(
    *,
    name: str,
    lr: float,
    num_steps: int,
    warmup_steps: int,
    momentum: float,
    weight_decay: float,
    decay_rule: str,
    clip_norm: float,
) -> tuple[optax.GradientTransformation, optax.Schedule]:
    """(optimiser, learning rate by step): clip, adapt, decay, scale, in this order.

    Weight decay is decoupled (Loshchilov and Hutter, arXiv:1711.05101) for both optimisers and
    reaches only the parameters whose names match `decay_rule`.

    Raises:
      ValueError: an unknown name, or a warm-up that is not shorter than the run.
    """
    if warmup_steps >= num_steps:
        raise ValueError(
            f"optimizer.warmup_steps {warmup_steps} is not below num_steps {num_steps}: shorten it"
        )
    schedule = optax.warmup_cosine_decay_schedule(0.0, lr, warmup_steps, num_steps)
    if name == "adamw":
        adapt = optax.scale_by_adam()
    elif name == "sgd":
        adapt = optax.trace(decay=momentum, nesterov=True)
    else:
        raise ValueError(f"unknown optimizer {name!r}: choose one of {', '.join(NAMES)}")
    chain = [optax.clip_by_global_norm(clip_norm)] if clip_norm > 0 else []
    chain.append(adapt)
    if weight_decay > 0:
        decays = lambda params: tree.match(params, decay_rule)  # noqa: E731
        chain.append(optax.add_decayed_weights(weight_decay, mask=decays))
    chain.append(optax.scale_by_learning_rate(schedule))
    return optax.chain(*chain), schedule
