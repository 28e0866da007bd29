"""Pretrained weights in the names and layouts of others become variables of our models.

Every tensor is accounted for: used, dropped on purpose, or an error. The files are read by
`weights.files`; what the tensors are called is in each family's file, by `models.key_names`.
"""

import dataclasses
import itertools
import re
from collections.abc import Collection, Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from dfjax import tree
from dfjax.errors import UserError
from dfjax.models import key_names, layers

OURS = "dfjax"

# What a tensor is called at its end, and our leaves that it may be, the first that exists.
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
COUNTERS = ("num_batches_tracked",)  # of PyTorch's norms, which say how often and not what


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of every tensor of a file and of every leaf of a model.

    Attributes:
      library: whose names the file uses; "dfjax" for ours.
      used: (name in the file, our leaf) of each tensor taken over.
      dropped: names in the file that were left out on purpose, counters last.
      fresh: our leaves that keep their initialisation.
    """

    library: str
    used: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...]
    fresh: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{len(self.used)} tensors used, by the names of {self.library}"]
        for label, names in (("dropped", self.dropped), ("fresh", self.fresh)):
            if names:
                parts.append(f"{len(names)} {label} ({_few(names)})")
        return "; ".join(parts)


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a tensor goes: a leaf of ours, or a part of one, perhaps with the sign changed."""

    leaf: str
    index: int = 0
    count: int = 1
    negated: bool = False


def convert(
    tensors: Mapping[str, np.ndarray], model: nn.Module, like: dict[str, Any], *, fresh: str
) -> tuple[dict[str, Any], Report]:
    """(variables of `model`, what became of each tensor).

    `like` gives names and shapes of the variables {"params", "batch_stats"}, as arrays or abstract.
    Leaves whose names (without the collection) match the regular expression `fresh` stay those of
    `like`, whatever the file holds; "" is none. All others are float32 arrays from `tensors`.

    Raises:
      UserError: a tensor that has no place, a leaf that no tensor fills, another shape, a value
        that is not finite, a `fresh` that matches nothing.
    """
    leaves = dict(zip(tree.leaf_names(like), jax.tree.leaves(like), strict=True))
    shapes = {name: leaf.shape for name, leaf in leaves.items()}
    kept = _matching(like, fresh)
    library, places = _choose_library(tensors, model, shapes, kept)
    pieces: dict[str, dict[int, np.ndarray]] = {}
    used, dropped = [], []
    for name, place in places.items():
        if place is None or place.leaf in kept:
            dropped.append(name)
            continue
        used.append((name, place.leaf))
        piece = _arrange(tensors[name], name, place, shapes[place.leaf])
        pieces.setdefault(place.leaf, {})[place.index] = piece
    values = {
        name: np.concatenate([part for _, part in sorted(parts.items())], axis=-1)
        for name, parts in pieces.items()
    }
    converted = [values.get(name, leaf) for name, leaf in leaves.items()]
    dropped.sort(key=lambda name: name.endswith(COUNTERS))
    report = Report(library, tuple(used), tuple(dropped), tuple(n for n in leaves if n in kept))
    return jax.tree.unflatten(jax.tree.structure(like), converted), report


def require_normalisation(
    stated: Mapping[str, Any], model: nn.Module, library: str, *, chosen: Collection[str] = ()
) -> None:
    """Makes sure that the weights were trained on images as `model` normalises them.

    `stated` is what the file says: "mean" and "std", three numbers each in the 0..1 range of RGB.
    Where it is silent, what all weights by the names of `library` have counts. Where those differ,
    ImageNet's constants pass, for most weights have them, and others only if they are among the
    fields `chosen` for this model: the family's defaults would be a guess.

    Raises:
      UserError: they are others, or nobody says which they are.
    """
    known = key_names.normalisation(model, library) | stated
    for name in ("mean", "std"):
        given, ours = known.get(name), getattr(model, name)
        where = f"(config.model.{name}, or --set {name}=...)"
        if given is not None and not np.allclose(given, ours, atol=1e-3):
            raise UserError(
                f"the weights were trained with {name} {tuple(given)}, and the model normalises by "
                f"{tuple(ours)}: set its {name} {where}"
            )
        usual = np.allclose(ours, layers.BY_IMAGENET[name], atol=1e-3)
        if given is None and not usual and name not in chosen:
            raise UserError(
                f"the file does not state the {name} of its training images, which differs between "
                f"weights by the names of {library}: set the model's {name} {where} to what their "
                f"publisher states; its default is {tuple(ours)}"
            )


def _matching(like: dict[str, Any], fresh: str) -> set[str]:
    """The leaves of `like` that a rule without collections names."""
    if not fresh:
        return set()
    names = tree.leaf_names(like)
    tree.match(like["params"], fresh)  # refuses what matches nothing
    return {name for name in names if re.fullmatch(fresh, name.split("/", 1)[1])}


def _choose_library(
    tensors: Mapping[str, np.ndarray],
    model: nn.Module,
    shapes: dict[str, tuple[int, ...]],
    kept: set[str],
) -> tuple[str, dict[str, _Place | None]]:
    """(library, place of every tensor) of the library whose names fit without exception."""
    if any(name.startswith("params/") for name in tensors):
        candidates = {OURS: {name: _Place(name) for name in tensors}}
    else:
        known = key_names.names(model)
        candidates = {
            library: {name: _find_place(name, names, shapes) for name in tensors}
            for library, names in known.items()
        }
        if not candidates:
            raise UserError(
                f"{type(model).__name__} knows no names but its own, and the file has others "
                f"({_few(list(tensors))}): give weights that dfjax wrote"
            )
    problems = {name: _problems(places, shapes, kept) for name, places in candidates.items()}
    best = min(problems, key=lambda name: len(problems[name]))
    if problems[best]:
        raise UserError(
            f"the weights do not fit the model, by the names of {best}: {_few(problems[best])}: "
            "choose the model that they are of, or name what shall start fresh (reinit)"
        )
    return best, candidates[best]


def _find_place(
    name: str, names: key_names.Names, shapes: dict[str, tuple[int, ...]]
) -> _Place | str | None:
    """The place of a tensor; None: dropped on purpose; a string: what is wrong with it."""
    name = name.removeprefix("module.")  # of a network saved inside PyTorch's DataParallel
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
    found = [leaf for leaf in (form.format(path) for form in forms) if leaf in shapes]
    if not found:
        return f"{name} has no place in {path}"
    if isinstance(value, key_names.Part):
        return _Place(found[0], value.index, value.count)
    return _Place(found[0], negated=isinstance(value, key_names.Negated))


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


def _arrange(value: np.ndarray, name: str, place: _Place, shape: tuple[int, ...]) -> np.ndarray:
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
            f"{name} has shape {list(value.shape)}, and {place.leaf} needs {list(shape)}: the "
            "weights are of another model, or of other settings"
        )
    arranged = np.asarray(arranged, np.float32).reshape(shape)
    if not np.isfinite(arranged).all():
        raise UserError(f"{name} has values that are not finite: the file is damaged")
    return -arranged if place.negated else arranged


def _merges(old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether `new` comes of `old` by joining neighbouring axes, axes of one set aside."""
    # Cumulative sizes from the front: joining axes leaves some of them out and adds none.
    ends = [set(itertools.accumulate((n for n in s if n > 1), int.__mul__)) for s in (old, new)]
    return np.prod(old) == np.prod(new) and ends[1] <= ends[0]


def _few(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
