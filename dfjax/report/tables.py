"""The tables of a report, the same for the page, for Markdown and for LaTeX.

An entry of report.json that is null or missing gives an empty cell, or no table.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dfjax.corpora.clip import LABELS
from dfjax.report import gate, groups
from dfjax.report.estimate import TITLES, Estimate, Share
from dfjax.report.table import Row, Table

# The metrics of tables that compare ways to score, and datasets or methods.
_OF_SCORES = ("auc", "ap", "eer", "tpr_at_fpr_0.01")
_BRIEF = (*_OF_SCORES, "balanced_accuracy")
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
_CALIBRATED = {
    "raw": "before temperature",
    "temperature": "after temperature",
    "isotonic": "after isotonic table",
}
_ERRORS = ("log_loss", "brier", "ece")
_RATES = {
    "false_alarm": "Reals called fake",
    "one_limit": "With the limits of one face",
    "coverage": "Reals with a verdict",
    "detected": "One fake face found",
}
_PREPARED = ("clips", "failed", "no_face", "crops")
_POLICIES = {"dropped": "Clips without a face left out", "half": "Clips without a face scored 0.5"}


def name_of(dataset: Mapping[str, Any]) -> str:
    """Returns what tables call a dataset: a synthetic one says so."""
    return f"{dataset['name']} (synthetic)" if dataset["synthetic"] else dataset["name"]


def measured_levels(dataset: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the levels of a dataset that have metrics, by name; others lack a class."""
    return {name: level for name, level in dataset["levels"].items() if level.get("metrics")}


def filled_levels(dataset: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the levels of a dataset that have clips: pictures alone give no videos."""
    levels = dataset["levels"].items()
    return {name: level for name, level in levels if level["real"] or level["fake"]}


def overview(report: Mapping[str, Any]) -> Table:
    """Returns the table of all datasets, a row for each level."""
    rows = (
        Row((name_of(dataset), name, level["real"], level["fake"], *_brief(level.get("metrics"))))
        for dataset in report["datasets"]
        for name, level in filled_levels(dataset).items()
    )
    return Table("All datasets", ("Data", "Level", "Real", "Fake", *_BRIEF_TITLES), tuple(rows))


def of_dataset(dataset: Mapping[str, Any]) -> list[Table]:
    """Returns all tables of a dataset but those of single faces; none is empty."""
    levels = measured_levels(dataset)
    tables = [
        metrics(dataset),
        *(confusion(dataset, level) for level in levels),
        *(methods(dataset, level) for level in levels),
        rules(dataset),
        missing_faces(dataset),
        coverage(dataset),
        calibration(dataset),
        false_alarms(dataset),
        trivial_cues(dataset),
        *gate.tables(dataset, name_of(dataset)),
        *groups.tables(dataset),
        prepared(dataset),
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
        Row((f"{rule} (in use)" if rule == level.get("rule") else rule, *_brief(found, _OF_SCORES)))
        for rule, found in level.get("rules", {}).items()
    )
    columns = ("Score of a video", *(TITLES[name] for name in _OF_SCORES))
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
        Row((truth, *counts, Share(counts[right], sum(counts))))
        for right, (truth, counts) in enumerate(
            zip(LABELS, dataset["levels"][level]["confusion"], strict=True)
        )
    )
    title = f"Confusion on {name_of(dataset)}, {level} level"
    return Table(title, ("Truth", *(f"Called {label}" for label in LABELS), "Right"), tuple(rows))


def coverage(dataset: Mapping[str, Any]) -> Table:
    """Returns the table of clips that show a face, by method."""
    found = dataset["coverage"]
    rows = [_coverage_row(method, part) for method, part in found.get("methods", {}).items()]
    rows.append(_coverage_row("All", found))
    columns = ("Method", "Clips", "Without a face", "Coverage")
    return Table(f"Coverage of {name_of(dataset)}", columns, tuple(rows))


def calibration(dataset: Mapping[str, Any]) -> Table:
    """Returns the table of scores as probabilities, after each way to calibrate them."""
    found = dataset.get("calibration") or {}
    rows = (
        Row((f"{level} level, {_CALIBRATED[kind]}", *(Estimate(part[name]) for name in _ERRORS)))
        for level in measured_levels(dataset)
        for kind, part in (found.get(level) or {}).items()
    )
    title = f"Calibration on {name_of(dataset)}"
    return Table(title, ("Probability", *(TITLES[name] for name in _ERRORS)), tuple(rows))


def false_alarms(dataset: Mapping[str, Any]) -> Table:
    """Returns the table of what becomes of files that show several faces."""
    found = dataset.get("false_alarms") or {}
    rows = (
        Row((str(each["faces"]), *(Estimate.of(each.get(rate)) for rate in _RATES)))
        for each in found.get("faces", ())
    )
    title = f"Verdicts on files of several faces, from {name_of(dataset)}"
    return Table(title, ("Faces", *_RATES.values()), tuple(rows), found.get("model", ""))


def trivial_cues(dataset: Mapping[str, Any]) -> Table:
    """Returns the table of what file size, light and sharpness alone reach on the same crops."""
    found = dataset.get("trivial_cues") or {"auc": {}}
    rows = (
        Row((name.replace("_", " "), *(Estimate(aucs.get(level)) for level in ("frame", "video"))))
        for name, aucs in found["auc"].items()
    )
    title = f"AUC of trivial cues on {name_of(dataset)}"
    note = f"{found.get('crops')} of {found.get('of')} crops; the cues were fitted to training data"
    return Table(title, ("Scored by", "Frame level", "Video level"), tuple(rows), note)


def prepared(dataset: Mapping[str, Any]) -> Table:
    """Returns the table of what all splits of the prepared data hold."""
    counts = (dataset.get("data_card") or {}).get("methods", ())
    rows = (
        Row((f"{row['split']}, {row['method']}", *(row[name] for name in _PREPARED)))
        for row in counts
    )
    columns = ("Split and method", *(name.replace("_", " ").capitalize() for name in _PREPARED))
    return Table(f"Prepared data of {name_of(dataset)}", columns, tuple(rows))


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
    clean = Estimate.of((measured.get("clean") or {}).get("auc"))
    rows = [
        Row((kind["name"], clean, *_aucs(kind, levels), *_mean_and_worst(kind)))
        for kind in measured["types"]
    ]
    rows.append(Row(("All", clean, *(None for _ in levels), *_mean_and_worst(measured))))
    columns = ("Distortion", "Clean", *(f"Level {level}" for level in levels), "Mean", "Worst")
    name = f"{measured['data']}{' (synthetic)' if measured['synthetic'] else ''}"
    notes = "; ".join(note for note in measured["notes"] if note != "synthetic")
    return Table(f"AUC under distortions of {name}", columns, tuple(rows), notes)


def _aucs(kind: Mapping[str, Any], levels: Iterable[int]) -> Iterable[Estimate | None]:
    found = {each["level"]: Estimate.of(each["auc"]) for each in kind["levels"]}
    return map(found.get, levels)


def _mean_and_worst(measured: Mapping[str, Any]) -> tuple[Estimate, Estimate]:
    return Estimate.of(measured["mean"]), Estimate.of(measured["worst"])


_BRIEF_TITLES = tuple(TITLES[name] for name in _BRIEF)


def _brief(found: Mapping[str, Any] | None, names: Iterable[str] = _BRIEF) -> Iterable[Estimate]:
    return (Estimate.of((found or {}).get(name)) for name in names)


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
    return Row((name, clips, missing, Share(clips - missing, clips)))
