"""Pretrained weights in other libraries' names and layouts become variables of our models.

Every tensor is accounted for: used, dropped on purpose, or an error. `weights.files` reads the
files; each family registers the names of its tensors with `models.key_names`.
"""

import dataclasses
import itertools
import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from dfjax import tree
from dfjax.errors import UserError
from dfjax.familiarity import gate
from dfjax.models import key_names

OURS = "dfjax"

# From the last part of a tensor's name to the leaves of ours that it can be: the first that exists.
_LEAVES = {
    "weight": ("params/{}/kernel", "params/{}/scale"),
    "kernel": ("params/{}/kernel",),
    "depthwise_kernel": ("params/{}/kernel",),
    "bias": ("params/{}/bias",),
    "scale": ("params/{}/scale",),
    "gamma": ("params/{}/scale",),
    "beta": ("params/{}/bias",),
    "running_mean": ("batch_stats/{}/mean",),
    "running_var": ("batch_stats/{}/var",),
    "moving_mean": ("batch_stats/{}/mean",),
    "moving_variance": ("batch_stats/{}/var",),
}
COUNTERS = ("num_batches_tracked",)  # of PyTorch's norms: how many batches they have seen


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Which tensors of a file went into which leaves of a model.

    Attributes:
      library: whose names the file uses; "dfjax" for ours.
      used: (name in the file, our leaf) of every tensor that was used.
      dropped: names in the file that were dropped on purpose, counters last.
      reinitialized: our leaves that keep their initial values.
    """

    library: str
    used: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...]
    reinitialized: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{len(self.used)} tensors used, by the names of {self.library}"]
        for label, names in (("dropped", self.dropped), ("reinitialized", self.reinitialized)):
            if names:
                parts.append(f"{len(names)} {label} ({_few(names)})")
        return "; ".join(parts)


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a tensor goes.

    Attributes:
      leaf: of ours.
      index, count: the part of the leaf, as in `key_names.Part`.
      negated: change the sign.
    """

    leaf: str
    index: int = 0
    count: int = 1
    negated: bool = False


def convert(
    tensors: Mapping[str, np.ndarray],
    model: nn.Module,
    like: dict[str, Any],
    *,
    reinit: str,
    made_for: str = "",
) -> tuple[dict[str, Any], Transfer]:
    """Returns (variables of `model`, which tensors went into which of them).

    `like` gives names and shapes of the variables {"params", "batch_stats"}, as arrays or abstract.
    Leaves whose names (without the collection) match the regular expression `reinit` stay those of
    `like`, whatever the file holds; "" is none. All others are float32 arrays from `tensors`.
    `made_for` is the name of the model that they belong to, if it is known, for messages.

    Raises:
      UserError: a tensor without a place, a leaf without a tensor, a wrong shape, a value that is
        not finite, a `reinit` that matches nothing.
    """
    leaves = dict(zip(tree.leaf_names(like), jax.tree.leaves(like), strict=True))
    shapes = {name: leaf.shape for name, leaf in leaves.items()}
    kept = _matching(like, reinit)
    belongs = f" ({made_for})" if made_for else ""
    library, places = _choose_library(tensors, model, shapes, kept, belongs)
    pieces: dict[str, dict[int, np.ndarray]] = {}
    used, dropped = [], []
    for name, place in places.items():
        if place is None or place.leaf in kept:
            dropped.append(name)
            continue
        used.append((name, place.leaf))
        piece = _arrange(tensors[name], name, place, shapes[place.leaf], belongs)
        pieces.setdefault(place.leaf, {})[place.index] = piece
    values = {
        name: np.concatenate([part for _, part in sorted(parts.items())], axis=-1)
        for name, parts in pieces.items()
    }
    converted = [values.get(name, leaf) for name, leaf in leaves.items()]
    dropped.sort(key=lambda name: name.endswith(COUNTERS))
    reinitialized = tuple(name for name in leaves if name in kept)
    transfer = Transfer(library, tuple(used), tuple(dropped), reinitialized)
    return jax.tree.unflatten(jax.tree.structure(like), converted), transfer


def _matching(like: dict[str, Any], rule: str) -> set[str]:
    """The leaves of `like` whose names, without the collection, match the rule."""
    if not rule:
        return set()
    tree.match(like["params"], rule)  # refuses a rule that matches nothing
    names = tree.leaf_names(like)
    return {name for name in names if re.fullmatch(rule, name.split("/", 1)[1])}


def _choose_library(
    tensors: Mapping[str, np.ndarray],
    model: nn.Module,
    shapes: dict[str, tuple[int, ...]],
    kept: set[str],
    belongs: str,
) -> tuple[str, dict[str, _Place | None]]:
    """(library, place of every tensor) for the library whose names all fit."""
    if any(name.startswith("params/") for name in tensors):
        candidates = {OURS: {name: _own_place(name) for name in tensors}}
    else:
        known = key_names.names(model)
        candidates = {
            library: {name: _find_place(name, names, shapes) for name in tensors}
            for library, names in known.items()
        }
        if not candidates:
            raise UserError(
                f"{type(model).__name__} has no names of other libraries, and the file has such "
                f"({_few(list(tensors))}): give weights that dfjax wrote"
            )
    problems = {name: _problems(places, shapes, kept) for name, places in candidates.items()}
    best = min(problems, key=lambda name: len(problems[name]))
    if problems[best]:
        raise UserError(
            f"the weights do not fit the model, by the names of {best}: {_few(problems[best])}: "
            f"choose the model that they belong to{belongs}, or reinitialize what does not fit "
            "(reinit)"
        )
    return best, candidates[best]


def _own_place(name: str) -> _Place | None:
    """The place of a tensor of ours; None: a statistic of the gate, which belongs to its run."""
    return None if name.startswith(f"{gate.COLLECTION}/") else _Place(name)


def _find_place(
    name: str, names: key_names.Names, shapes: dict[str, tuple[int, ...]]
) -> _Place | str | None:
    """The place of a tensor; None: dropped on purpose; a string: what is wrong with it."""
    name = name.removeprefix("module.")  # of a network that was saved inside a DataParallel
    module, _, kind = re.fullmatch(r"(?:(.*)([./]))?([^./]*)", name).groups()
    if name in names:
        value, forms = names[name], ("params/{}",)
    elif module in names:
        value, forms = names[module], _LEAVES.get(kind, ())
    else:
        return f"{name} is unknown"
    if value is None or kind in COUNTERS:
        return None
    path = value if isinstance(value, str) else value.module
    leaf = next((leaf for form in forms if (leaf := form.format(path)) in shapes), None)
    if leaf is None:
        return f"{name} has no place in {path}"
    if isinstance(value, key_names.Part):
        return _Place(leaf, value.index, value.count)
    return _Place(leaf, negated=isinstance(value, key_names.Negated))


def _problems(
    places: dict[str, _Place | str | None], shapes: dict[str, tuple[int, ...]], kept: set[str]
) -> list[str]:
    problems = [place for place in places.values() if isinstance(place, str)]
    taken = [place for place in places.values() if isinstance(place, _Place)]
    problems += [f"{p.leaf} is unknown" for p in taken if p.leaf not in shapes]
    filled = {(place.leaf, place.index) for place in taken}
    counts = {place.leaf: place.count for place in taken}
    if len(filled) < len(taken):
        problems.append("several tensors have the same place")
    for leaf, shape in shapes.items():
        missing = [i for i in range(counts.get(leaf, 1)) if (leaf, i) not in filled]
        if missing and leaf not in kept:
            problems.append(f"{leaf} {list(shape)} is missing")
    return problems


def _arrange(
    value: np.ndarray, name: str, place: _Place, shape: tuple[int, ...], belongs: str
) -> np.ndarray:
    """The tensor `name` in float32 and in the layout of its leaf, which has `shape`."""
    shape = (*shape[:-1], shape[-1] // place.count) if place.count > 1 else shape
    arranged = value
    if place.leaf.endswith("/kernel"):
        if name.endswith("weight") and value.ndim > 1:  # PyTorch's: outputs, inputs, height, width
            arranged = value.transpose(*range(2, value.ndim), 1, 0)
        elif value.ndim == 4 and value.shape[3] == 1 == shape[2]:  # Keras' depthwise kernels
            arranged = value.swapaxes(2, 3)
    if not _merges(arranged.shape, shape):
        raise UserError(
            f"{name} has shape {list(value.shape)}, and {place.leaf} needs {list(shape)}: choose "
            f"the model, and its settings, that the weights belong to{belongs}"
        )
    arranged = np.asarray(arranged, np.float32).reshape(shape)
    if not np.isfinite(arranged).all():
        raise UserError(f"{name} has values that are not finite: the file is damaged, get it again")
    return -arranged if place.negated else arranged


def _merges(old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether joining adjacent axes of `old` gives `new`; axes of size 1 do not count."""
    # Cumulative sizes from the front: joining axes removes some of them and adds none.
    ends = [set(itertools.accumulate((n for n in s if n > 1), int.__mul__)) for s in (old, new)]
    return np.prod(old) == np.prod(new) and ends[1] <= ends[0]


def _few(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
