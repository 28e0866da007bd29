"""`dfjax convert-weights`: a file of anybody's weights becomes one of ours."""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from rich import console as rich_console
from rich import table as rich_table
from rich import text

from dfjax import models, tree
from dfjax.weights import convert, files


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What was read and written.

    Attributes:
      report: what became of every tensor.
      read: shapes of the tensors in the source, by name.
      leaves: shapes of the model's variables, by name.
    """

    report: convert.Report
    read: dict[str, tuple[int, ...]]
    leaves: dict[str, tuple[int, ...]]


def convert_weights(
    source: str | os.PathLike,
    out: str | os.PathLike,
    *,
    model_name: str,
    settings: Mapping[str, Any],
    fresh: str,
    format: str | None = None,
) -> Conversion:
    """Writes safetensors with the names and layouts of a model, to start runs from.

    `source` and `format` are as of `files.read`; `settings` are fields of the model. The
    parameters that match the regular expression `fresh` are not in the file written; "" is none.

    Raises:
      UserError: the weights cannot be read, do not fit the model, or were trained on images that
        were normalised otherwise, or nobody says how.
    """
    model = models.build(model_name, **settings)
    file = files.read(source, format)
    like = _abstract_variables(model)
    variables, report = convert.convert(file.tensors, model, like, fresh=fresh)
    convert.require_normalisation(file.normalisation, model, report.library, chosen=settings)
    tensors = dict(zip(tree.leaf_names(variables), jax.tree.leaves(variables), strict=True))
    metadata = {
        "format": convert.OURS,
        "model": model_name,
        "settings": json.dumps(dict(settings), sort_keys=True),
        "mean": json.dumps(model.mean),
        "std": json.dumps(model.std),
        "source": pathlib.Path(files.split_spec(os.fspath(source))[1]).name,
        "sha256": file.sha256,
    }
    written = {name: value for name, value in tensors.items() if name not in report.fresh}
    files.write(out, written, metadata)
    return Conversion(report, _shapes(file.tensors), _shapes(tensors))


def print_conversion(conversion: Conversion, source: str, out: str) -> None:
    """Prints what became of the tensors, by layer, and what was written where."""
    report = conversion.report
    table = rich_table.Table()
    for column in ("", "layers", "tensors", "parameters", "largest"):
        number = column in ("tensors", "parameters")
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    ours = {name: name.split("/", 1)[1] for name in conversion.leaves}
    used = [(ours[leaf], conversion.leaves[leaf]) for _, leaf in report.used]
    fresh = [(ours[leaf], conversion.leaves[leaf]) for leaf in report.fresh]
    dropped = [(_readable(name), conversion.read[name]) for name in report.dropped]
    for state, shapes in (("used", used), ("dropped", dropped), ("fresh", fresh)):
        for layer, tensors in _by_layer(shapes).items():
            largest = max(tensors, key=math.prod)
            # Names come from outside: no markup in them.
            table.add_row(
                state,
                text.Text(layer),
                str(len(tensors)),
                f"{sum(map(math.prod, tensors)):,}",
                text.Text(str([*largest])),
            )
    console = rich_console.Console()
    console = console if console.is_terminal else rich_console.Console(width=160)
    console.print(table)
    count = sum(math.prod(shape) for _, shape in used)
    print(f"wrote {out}: {count:,} numbers of {source}, by the names of {report.library}")


def _abstract_variables(model: nn.Module) -> dict[str, Any]:
    image = jnp.zeros((1, model.native_size, model.native_size, 3), jnp.uint8)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    return {name: variables[name] for name in ("params", "batch_stats") if name in variables}


def _shapes(tensors: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(value) for name, value in tensors.items()}


def _readable(name: str) -> str:
    """The name of a dropped tensor by our separator; those that only count are one group."""
    return "counters" if name.endswith(convert.COUNTERS) else name.replace(".", "/")


def _by_layer(
    shapes: Iterable[tuple[str, tuple[int, ...]]],
) -> dict[str, list[tuple[int, ...]]]:
    """Shapes grouped by the first part of their names."""
    grouped: dict[str, list[tuple[int, ...]]] = {}
    for name, shape in shapes:
        grouped.setdefault(name.split("/")[0], []).append(shape)
    return grouped
