"""Where data and a model come from, as names with values; a text stands where nothing is known."""

from collections.abc import Iterator, Mapping
from typing import Any

Facts = dict[str, str] | str

_OF_DATA = (
    "corpus",
    "clips",
    "seed",
    "frames",
    "strict",
    "boxes_from_original",
    "synthetic",
    "warnings",
)
_OF_MODEL = ("model_name", "weights", "step", "image_size", "temperature", "min_video_frames")


def of_data(dataset: Mapping[str, Any]) -> dict[str, Facts]:
    """Returns what is known of the data of a dataset of report.json, by heading."""
    card = dataset.get("data_card")
    headings: dict[str, Facts] = {}
    if card is None:
        headings["Data card"] = "There is none: the data were not at hand."
    else:
        headings["Data card"] = flat(
            {_words(name): card[name] for name in _OF_DATA if name in card}
        )
        headings["Face crops"] = flat(card.get("crop_spec") or {})
        headings["Leak audit: shared by splits"] = _audit(card.get("audit"))
    headings["Shared with the training data"] = _overlap(dataset.get("overlap"))
    return {heading: facts for heading, facts in headings.items() if facts}


def of_model(report: Mapping[str, Any]) -> dict[str, Facts]:
    """Returns what made the numbers of a report.json, by heading."""
    model = report.get("model") or {}
    headings: dict[str, Facts] = {
        "Model": flat({_words(name): model[name] for name in _OF_MODEL if name in model})
        or "Not known: the scores came without a model card.",
        "Arguments of the model": flat(model.get("model_arguments") or {}),
        "Its face crops": flat(model.get("crop_spec") or {}),
        "Config": flat(report.get("config") or {}),
        "Versions": flat(report.get("versions") or {}),
        "Machine": flat({"hardware": report.get("hardware"), "commit": report.get("commit")}),
    }
    return {heading: facts for heading, facts in headings.items() if facts}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Returns nested values as texts by dotted name; those that are null or empty are left out."""
    return dict(_flatten(values, prefix))


def _flatten(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        elif value is not None and value != "" and value != []:
            yield f"{prefix}{name}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)


def _audit(audit: Mapping[str, Any] | None) -> Facts:
    if audit is None:
        return "Not audited: dfjax audit compares the splits."
    return {_words(each["kind"]): str(each["count"]) for each in audit["findings"]}


def _overlap(overlap: Mapping[str, int] | None) -> Facts:
    if overlap is None:
        return "Not known: the training data were not at hand."
    if not any(overlap.values()):
        return "Nothing: no clip, person, source video or picture."
    return {_words(kind): str(count) for kind, count in overlap.items()}


def _words(name: str) -> str:
    return name.replace("_", " ")
