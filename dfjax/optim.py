"""Optimizers from plain arguments."""

import functools
import re
from collections.abc import Sequence
from typing import Any

import jax
import optax

from dfjax import tree
from dfjax.errors import UserError

NAMES = ("adamw", "sgd")

# (regular expression, factor of the learning rate)
Rules = Sequence[tuple[str, float]]


def make_optimizer(
    *,
    name: str,
    lr: float,
    num_steps: int,
    warmup_steps: int,
    momentum: float,
    weight_decay: float,
    weight_decay_rule: str,
    clip_norm: float,
    lr_rules: Rules = (),
) -> tuple[optax.GradientTransformation, optax.Schedule]:
    """Returns (optimizer: clip, adapt, decay, scale, in this order; learning rate by step).

    The learning rate at step s is that of the update from step s to s + 1. It rises linearly to
    `lr`, which the first update after `warmup_steps` has, and falls by a cosine to 0 at `num_steps`
    (Loshchilov and Hutter, arXiv:1608.03983). It is above 0 at the first update and at the last.

    Weight decay is decoupled (Loshchilov and Hutter, arXiv:1711.05101) for both optimizers and
    applies only to the parameters whose names match `weight_decay_rule`.

    `lr_rules` are pairs of a regular expression and a factor: the first that matches a parameter's
    whole name scales its learning rate; without a match the factor is 1. The factor 0 freezes a
    parameter: no update, no decay, no state, and no part in the norm that is clipped.

    Raises:
      UserError: an unknown name, a warm-up that is not shorter than the run, or a negative factor;
        on `init`, a rule that is not the first match of any parameter.
    """
    for pattern, factor in lr_rules:
        if factor < 0:
            raise UserError(f"optimizer.lr_rules: factor {factor} of {pattern!r}: use 0 or more")
    schedule = _make_schedule(lr, num_steps, warmup_steps)
    chain = [optax.clip_by_global_norm(clip_norm)] if clip_norm > 0 else []
    chain.append(_make_adaptation(name, momentum))
    if weight_decay > 0:
        decays = functools.partial(
            tree.map_names, lambda name: bool(re.fullmatch(weight_decay_rule, name))
        )
        chain.append(optax.add_decayed_weights(weight_decay, mask=decays))
    if lr_rules:
        chain.append(_scale_by_rules(lr_rules))
    chain.append(optax.scale_by_learning_rate(schedule))
    tx = _freeze(optax.chain(*chain), lr_rules) if lr_rules else optax.chain(*chain)

    def init(params: optax.Params) -> optax.OptState:
        if weight_decay > 0:
            tree.match(params, weight_decay_rule)  # refuses a rule that matches nothing
        _check_rules(params, lr_rules)
        return tx.init(params)

    return optax.GradientTransformation(init, tx.update), schedule


def trained(params: Any, rules: Rules) -> list[str]:
    """Returns the names of the parameters that `rules` do not freeze."""
    return [name for name in tree.leaf_names(params) if _first_match(name, rules)[1]]


def _make_schedule(lr: float, num_steps: int, warmup_steps: int) -> optax.Schedule:
    if warmup_steps >= num_steps:
        raise UserError(
            f"optimizer.warmup_steps {warmup_steps} is not below num_steps {num_steps}: shorten it"
        )
    first = lr / (warmup_steps + 1)
    return optax.warmup_cosine_decay_schedule(first, lr, warmup_steps, num_steps)


def _make_adaptation(name: str, momentum: float) -> optax.GradientTransformation:
    """What turns gradients into directions."""
    if name == "adamw":
        return optax.scale_by_adam()
    if name == "sgd":
        return optax.trace(decay=momentum, nesterov=True)
    raise UserError(f"unknown optimizer {name!r}: choose one of {', '.join(NAMES)}")


def _scale_by_rules(rules: Rules) -> optax.GradientTransformation:
    def scale(updates: Any, params: Any) -> Any:
        factors = tree.map_names(lambda name: _first_match(name, rules)[1], updates)
        return jax.tree.map(lambda update, factor: factor * update, updates, factors)

    return optax.stateless(scale)


def _freeze(tx: optax.GradientTransformation, rules: Rules) -> optax.GradientTransformation:
    """`tx` for the parameters whose factor is not 0; it does not see the others."""

    def label(name: str) -> str:
        return "trained" if _first_match(name, rules)[1] else "frozen"

    labels = functools.partial(tree.map_names, label)
    return optax.partition({"trained": tx, "frozen": optax.set_to_zero()}, labels)


def _check_rules(params: Any, rules: Rules) -> None:
    names = tree.leaf_names(params)
    used = {_first_match(name, rules) for name in names}
    for pattern, factor in rules:
        if (pattern, factor) not in used:
            raise UserError(
                f"optimizer.lr_rules: {pattern!r} is not the first match of any parameter: names "
                f"look like {names[:3]}, and earlier rules come first"
            )
    if not any(factor for _, factor in used):
        raise UserError("optimizer.lr_rules freeze every parameter: leave some to train")


def _first_match(name: str, rules: Rules) -> tuple[str, float]:
    for pattern, factor in rules:
        if re.fullmatch(pattern, name):
            return pattern, factor
    return "", 1.0
