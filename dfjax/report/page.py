"""The results of an evaluation as one HTML page, which runs nothing and loads nothing."""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import jinja2

from dfjax import console, html_template
from dfjax.corpora.clip import LABELS
from dfjax.report import facts, figures, protocol, tables
from dfjax.report.estimate import NONE, show

_DRAWN = "{}: drawn by a program; its numbers say nothing about real forgeries."
_KINDS = {
    "frames": "Whole frames were distorted, before faces were found in them.",
    "crops": "Stored crops of faces were distorted, as there were no frames.",
}


def render_html(report: Mapping[str, Any], robustness: Mapping[str, Any] | None) -> str:
    """Returns the page of a report.json and, if there is one, a robustness.json."""
    report, robustness = _visible(report), _visible(robustness)
    shared = protocol.shared(report["datasets"])
    datasets = [_dataset(dataset, shared) for dataset in report["datasets"]]
    names = [dataset["name"] for dataset in datasets]
    return _template().render(
        title=_title(report),
        version=_version(report),
        cautions=_cautions(report),
        contents=["Results", "Protocol", *names, *(["Robustness"] if robustness else []), "Model"],
        overview=tables.overview(report),
        protocol=shared,
        datasets=datasets,
        robustness=_robustness(robustness) if robustness else None,
        facts=facts.of_model(report),
    )


@functools.cache
def _template() -> jinja2.Template:
    return html_template.make_template(
        pathlib.Path(__file__).with_name("report.html.jinja"),
        values={"missing": NONE, "size": {"width": figures.WIDTH, "height": figures.HEIGHT}},
    )


def _visible(value: Any) -> Any:
    """The same values with texts in which no character acts: one can reverse all that follow."""
    if isinstance(value, Mapping):
        return {console.visible(key): _visible(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_visible(each) for each in value]
    return console.visible(value) if isinstance(value, str) else value


def _title(report: Mapping[str, Any]) -> str:
    names = ", ".join(dataset["name"] for dataset in report["datasets"])
    model = (report.get("model") or {}).get("model_name")
    return f"{model} on {names}" if model else f"Scores on {names}"


def _version(report: Mapping[str, Any]) -> str:
    version = (report.get("versions") or {}).get("dfjax", "not installed")
    return "" if version == "not installed" else f" {version}"


def _cautions(report: Mapping[str, Any]) -> list[str]:
    """What a reader has to know before believing a number."""
    cautions = [_DRAWN.format(d["name"]) for d in report["datasets"] if d["synthetic"]]
    for dataset in report["datasets"]:
        cautions += [
            f"{dataset['name']}: {note}" for note in dataset["notes"] if note != "synthetic"
        ]
        cautions += [
            f"{dataset['name']}, {name} level: {level['note']}"
            for name, level in tables.filled_levels(dataset).items()
            if level.get("note")
        ]
    return cautions


def _dataset(dataset: Mapping[str, Any], shared: list[str]) -> dict[str, Any]:
    """What the page shows of a dataset."""
    return {
        "name": tables.name_of(dataset),
        "sentences": protocol.own(dataset, shared),
        "figures": figures.of_dataset(dataset),
        "tables": tables.of_dataset(dataset),
        "pictures": [_face(each) for each in dataset.get("worst") or () if each["picture"]],
        "worst": tables.worst(dataset),
        "facts": facts.of_data(dataset),
    }


def _face(error: Mapping[str, Any]) -> dict[str, Any]:
    return {**error, "truth": LABELS[error["label"]], "score": show(error["score"])}


def _robustness(measured: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sentence": _KINDS[measured["kind"]],
        "figures": figures.of_robustness(measured),
        "table": tables.robustness(measured),
    }
