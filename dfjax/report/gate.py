"""The tables of what the gate of a model refuses, and of what that does to its errors."""

from collections.abc import Mapping
from typing import Any

from dfjax.report.estimate import Estimate, Share
from dfjax.report.table import Row, Table


def tables(dataset: Mapping[str, Any], name: str) -> list[Table]:
    """Returns both tables of the dataset that is called `name`; none of a model without a gate."""
    found = dataset.get("gate")
    return [_refused(found["refused"], name), _risk(found["risk"], name)] if found else []


def _refused(by_class: Mapping[str, Mapping[str, int]], name: str) -> Table:
    rows = (
        Row((label, part["faces"], part["refused"], Share(part["refused"], part["faces"])))
        for label, part in by_class.items()
    )
    title = f"Faces of {name} unlike the training data"
    return Table(title, ("Class", "Faces", "Refused", "Share"), tuple(rows))


def _risk(risk: Mapping[str, list[float | None]], name: str) -> Table:
    columns = (risk[key] for key in ("coverage", "without", "with"))
    rows = (
        Row((f"{share:.0%}", *map(Estimate, errors)))
        for share, *errors in zip(*columns, strict=True)
    )
    title = f"Wrong among the most certain faces of {name}"
    note = "without a number: the gate lets fewer faces pass"
    return Table(title, ("Coverage", "Without the gate", "With it"), tuple(rows), note)
