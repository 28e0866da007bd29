"""The tables of a report, the same for the page, for Markdown and for LaTeX.

An entry of report.json that is null or missing gives an empty cell, or no table.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from dfjax.corpora.clip import LABELS
from dfjax.report.estimate import TITLES, Estimate, percent

Cell = str | int | Estimate | None

# The metrics of tables that compare datasets, methods or rules.
_BRIEF = ("auc", "ap", "eer", "tpr_at_fpr_0.01", "balanced_accuracy")
_GROUPS = {
    "How well scores separate real from fake": (
        "auc",
        "ap",
        "eer",
        "tpr_at_fpr_0.001",
        "tpr_at_fpr_0.01",
        "tpr_at_fpr_0.05",
    ),
    "Scores as probabilities": (
        "log_loss",
        "log_loss_calibrated",
        "brier",
        "brier_calibrated",
        "ece",
        "ece_calibrated",
    ),
    "Decisions at the frozen threshold": (
        "accuracy",
        "balanced_accuracy",
        "precision",
        "recall",
        "f1",
        "precision_at_prevalence_0.01",
        "precision_at_prevalence_0.1",
    ),
}
_AT_HALF = "Decisions at 0.5 (secondary)"
_POLICIES = {"dropped": "Clips without a face left out", "half": "Clips without a face scored 0.5"}


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table; its first cell says what the others are about.

    Attributes:
      cells: one for each column; of a heading, the first alone.
      kind: "heading" of the rows below it, or "quiet": of too few clips for a conclusion.
    """

    cells: tuple[Cell, ...]
    kind: Literal["", "heading", "quiet"] = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with its title. Texts may come from outside: whoever writes it escapes them."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def numeric(self) -> tuple[bool, ...]:
        """For each column, whether it holds numbers: those are aligned on the right."""
        cells = [row.cells for row in self.rows if row.kind != "heading"]
        return tuple(
            any(isinstance(row[column], int | Estimate) for row in cells)
            for column in range(len(self.columns))
        )


def name_of(dataset: Mapping[str, Any]) -> str:
    """Returns what tables call a dataset: a synthetic one says so."""
    return f"{dataset['name']} (synthetic)" if dataset["synthetic"] else dataset["name"]


def measured_levels(dataset: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the levels of a dataset that have metrics, by name; others lack a class."""
    return {name: level for name, level in dataset["levels"].items() if level.get("metrics")}


def overview(report: Mapping[str, Any]) -> Table:
    """Returns the table of all datasets, a row for each level."""
    rows = (
        Row((name_of(dataset), name, level["real"], level["fake"], *_brief(level.get("metrics"))))
        for dataset in report["datasets"]
        for name, level in dataset["levels"].items()
    )
    return Table("Results", ("Data", "Level", "Real", "Fake", *_BRIEF_TITLES), tuple(rows))


def of_dataset(dataset: Mapping[str, Any]) -> list[Table]:
    """Returns the tables of a dataset that go into a paper; none is empty."""
    levels = measured_levels(dataset)
    tables = [
        metrics(dataset),
        *(methods(dataset, level) for level in levels),
        rules(dataset),
        missing_faces(dataset),
        *(confusion(dataset, level) for level in levels),
        coverage(dataset),
    ]
    return [table for table in tables if table.rows]


def metrics(dataset: Mapping[str, Any]) -> Table:
    """Returns the table of all metrics, a column for each level."""
    levels = measured_levels(dataset)
    rows: list[Row] = []
    for heading, names in _GROUPS.items():
        parts = [level["metrics"] for level in levels.values()]
        rows += _under(heading, names, parts)
    halves = [level.get("at_half") or {} for level in levels.values()]
    rows += _under(_AT_HALF, _GROUPS["Decisions at the frozen threshold"], halves)
    columns = ("Metric", *(f"{name.capitalize()} level" for name in levels))
    return Table(f"All metrics on {name_of(dataset)}", columns, tuple(rows))


def methods(dataset: Mapping[str, Any], level: str) -> Table:
    """Returns the table of the methods of fakes, each against all reals."""
    measured = dataset["levels"][level]
    rows = [
        Row((method, part["fake"], *_brief(part["metrics"])))
        for method, part in measured.get("methods", {}).items()
    ]
    rows.append(Row(("All", measured["fake"], *_brief(measured["metrics"]))))
    title = f"Methods on {name_of(dataset)}, {level} level"
    return Table(title, ("Method", "Fake", *_BRIEF_TITLES), tuple(rows))


def rules(dataset: Mapping[str, Any]) -> Table:
    """Returns the table of the ways to score a video, the one in use marked."""
    level = measured_levels(dataset).get("video", {})
    rows = (
        Row((f"{rule} (in use)" if rule == level.get("rule") else rule, *_brief(found)))
        for rule, found in level.get("rules", {}).items()
    )
    columns = ("Score of a video", *_BRIEF_TITLES)
    return Table(f"Ways to score a video of {name_of(dataset)}", columns, tuple(rows))


def missing_faces(dataset: Mapping[str, Any]) -> Table:
    """Returns the table of both policies for videos that show no face."""
    found = measured_levels(dataset).get("video", {}).get("missing_faces") or {}
    rows = (
        Row((title, *_brief(found[policy])))
        for policy, title in _POLICIES.items()
        if found.get(policy)
    )
    title = f"Videos of {name_of(dataset)} without a face"
    return Table(title, ("Policy", *_BRIEF_TITLES), tuple(rows))


def confusion(dataset: Mapping[str, Any], level: str) -> Table:
    """Returns the confusion matrix of a level: rows are what clips are, columns the answers."""
    rows = (
        Row((truth, *(f"{count:,} ({percent(count, sum(counts))})" for count in counts)))
        for truth, counts in zip(LABELS, dataset["levels"][level]["confusion"], strict=True)
    )
    title = f"Confusion on {name_of(dataset)}, {level} level"
    return Table(title, ("Truth", *(f"Called {label}" for label in LABELS)), tuple(rows))


def coverage(dataset: Mapping[str, Any]) -> Table:
    """Returns the table of clips that show a face, by method."""
    found = dataset["coverage"]
    rows = [_coverage_row(method, part) for method, part in found.get("methods", {}).items()]
    rows.append(_coverage_row("All", found))
    columns = ("Method", "Clips", "Without a face", "Coverage")
    return Table(f"Coverage of {name_of(dataset)}", columns, tuple(rows))


def worst(dataset: Mapping[str, Any]) -> Table:
    """Returns the table of the worst errors, the worst first."""
    rows = (
        Row((e["clip"], e["frame"], e["face"], LABELS[e["label"]], Estimate(e["score"])))
        for e in dataset.get("worst") or ()
    )
    columns = ("Clip", "Frame", "Face", "Truth", "Score")
    return Table(f"Worst errors on {name_of(dataset)}", columns, tuple(rows))


def robustness(measured: Mapping[str, Any]) -> Table:
    """Returns the table of the AUC under each distortion, a column for each level."""
    levels = sorted({each["level"] for kind in measured["types"] for each in kind["levels"]})
    rows = []
    for kind in measured["types"]:
        aucs = {each["level"]: Estimate.of(each["auc"]) for each in kind["levels"]}
        means = Estimate.of(kind["mean"]), Estimate.of(kind["worst"])
        rows.append(Row((kind["name"], *map(aucs.get, levels), *means)))
    overall = Estimate.of(measured["mean"]), Estimate.of(measured["worst"])
    rows.append(Row(("All", *(None for _ in levels), *overall)))
    columns = ("Distortion", *(f"Level {level}" for level in levels), "Mean", "Worst")
    return Table("AUC under distortions", columns, tuple(rows))


_BRIEF_TITLES = tuple(TITLES[name] for name in _BRIEF)


def _brief(found: Mapping[str, Any] | None) -> Iterable[Estimate]:
    return (Estimate.of((found or {}).get(name)) for name in _BRIEF)


def _under(heading: str, names: Iterable[str], parts: list[Mapping[str, Any]]) -> list[Row]:
    """A heading and a row for each metric that one of the `parts`, a column each, has."""
    rows = [
        Row((TITLES[name], *(Estimate.of(part.get(name)) for part in parts)))
        for name in names
        if any(name in part for part in parts)
    ]
    return [Row((heading,), "heading"), *rows] if rows else []


def _coverage_row(name: str, part: Mapping[str, Any]) -> Row:
    clips, missing = part["clips"], part["without_face"]
    return Row((name, clips, missing, percent(clips - missing, clips)))
