"""MODEL_CARD.md: a model in the form in which people publish them.

The sections are those of Mitchell et al., Model Cards for Model Reporting (arXiv:1810.03993).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dfjax import compatibility, phrases, versions, words
from dfjax.faces import crop_spec
from dfjax.model_card import Decision, ModelCard
from dfjax.report import facts, markdown, protocol, tables
from dfjax.report.estimate import Estimate
from dfjax.report.results import Results
from dfjax.report.table import Row, Table
from dfjax.weights import shipped

FILE = "MODEL_CARD.md"

_DRAWN = (
    "This model was trained on drawn faces. What it says about photographs means nothing; it is "
    "there to try programs out."
)
_USE = (
    "For a first look at pictures and videos of faces, by people who also check where a file comes "
    "from: journalists, moderators, researchers.",
    "Not as proof, alone or in court, and not for decisions about people without a human who can "
    "overrule them.",
    "Not for pictures without faces, for whole scenes made by a program, or for sound: the model "
    "sees faces alone. Not for telling who somebody is.",
)
_CAVEATS = (
    "Scores fall on methods, compressions and cameras that training did not show; the tables say "
    "how far on the data they name, and nothing about others.",
    "The temperature was fitted on validation data: scores are probabilities on such data only.",
    "Most files that people meet are real: at 1% of fakes, most alarms are false even where few "
    "reals are called fake. The precision at that share stands in the tables.",
    "No sign of manipulation is no proof that a file is genuine.",
)
_ETHICS = (
    "Faces are personal data: a crop that is scored shows a person who was perhaps not asked.",
    "Detectors err more often on some groups of people than on others. Where no groups stand in "
    "the tables, nobody has looked.",
    "A wrong alarm can harm whoever is in the file or made it; a missed fake, whoever believes it.",
)


def render(
    card: ModelCard,
    *,
    init_from: str,
    prepared: Mapping[str, Any],
    results: Sequence[Results],
) -> str:
    """Returns the card of a model as Markdown.

    Args:
      card: what it is and how it decides.
      init_from: what its weights began with, as in its config; "" is nothing.
      prepared: the metadata of the dataset that it was trained on.
      results: what was measured of these weights; nothing is "not evaluated yet".
    """
    datasets = [dataset for report, _ in results for dataset in report["datasets"]]
    parts = [
        f"# Model card: {markdown.escape(card.name)}\n",
        *([f"> {_DRAWN}\n"] if card.synthetic else []),
        _section("Model details", markdown.facts(_details(card))),
        _section("Intended use", markdown.items(_USE)),
        _section("Factors", markdown.items(_factors(datasets))),
        _section("Metrics", markdown.items(_decisions(card)), markdown.table(_limits(card))),
        _section("Training data", markdown.items(_training(card, prepared))),
        _section("Evaluation data", markdown.items(_evaluation(datasets))),
        _section("Quantitative analyses", *_analyses(results)),
        _section("Ethical considerations", markdown.items(_ETHICS)),
        _section("Caveats and recommendations", markdown.items(_CAVEATS)),
        _section("Terms", markdown.items(_terms(card, init_from))),
    ]
    return "\n".join(parts)


def _section(title: str, *contents: str) -> str:
    return "\n".join([f"## {title}\n", *contents])


def _details(card: ModelCard) -> dict[str, str]:
    return {
        "Kind": "a network that scores crops of faces, real or fake",
        "Architecture": card.model_name,
        "Arguments": _one_line(card.model_arguments),
        "Input": f"RGB crops, resized to {card.image_size} pixels",
        "Face crops": _one_line(card.crop_spec.to_json()),
        "Output": f"a score in 0 to 1: the {words.SCORE_MEANING}",
        "Temperature": f"{card.temperature:.4g}",
        "Weights, SHA-256": card.weights,
        "Updates": f"{card.step:,}",
        "Made with": f"dfjax {versions.installed_version('dfjax')}, card format "
        f"{compatibility.CARD.current}",
        "Published by": "whoever publishes this export puts name, date and address here",
    }


def _one_line(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.flat(values).items())


def _factors(datasets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield (
        "What a score depends on beside the forgery: its method, the size, sharpness and light of "
        "the face, compression, and who the person is."
    )
    parted = (each.get("groups") or {} for each in datasets)
    columns = {c["column"]: None for by in parted for c in by.get("columns", ()) if "groups" in c}
    if columns:
        yield f"Compared below: groups by {', '.join(columns)}."
    else:
        yield "No groups of people or conditions have been compared."


def _decisions(card: ModelCard) -> Iterator[str]:
    yield (
        "AUC, AP and EER say how well scores separate real from fake; log loss, Brier score and "
        "ECE how far scores are probabilities; the rest what happens at a frozen threshold."
    )
    yield f"The verdict on a file: {phrases.rule(card.pooling)}."
    yield f"A track of a video needs {card.min_video_frames} usable faces for a verdict."
    if card.embedding is None:
        yield "Faces unlike the training data are not told apart: they are scored like any other."
    else:
        counts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in _fitted_on(card))
        yield (
            f"A face of a strangeness above {card.quality.max_strangeness:.3g} is unlike the "
            f"training data and does not count. Strangeness: {card.embedding.method} ({counts})."
        )


def _fitted_on(card: ModelCard) -> list[tuple[str, int]]:
    return sorted(card.embedding.fitted_on.items(), reverse=True)


def _limits(card: ModelCard) -> Table:
    """What decides, for the longest tracks of each kind of input."""
    rows = tuple(_limits_row(kind, decision) for kind, decision in card.decisions.items())
    columns = ("Input", "Threshold", "Real below", "Fake from", "Error rate", "Real", "Fake")
    return Table("Decisions, fitted on validation data", columns, rows)


def _limits_row(kind: str, decision: Decision) -> Row:
    longest, fitted_on = decision.limits[-1], decision.fitted_on
    threshold = Estimate(decision.threshold, *decision.threshold_interval)
    limits = (Estimate(each) for each in (longest.low, longest.high, decision.error_rate))
    return Row((kind, threshold, *limits, fitted_on.get("real"), fitted_on.get("fake")))


def _training(card: ModelCard, prepared: Mapping[str, Any]) -> Iterator[str]:
    if card.release:
        yield f"{card.release.trained_on[:1].upper()}{card.release.trained_on[1:]}."
    yield f"Corpus: {prepared['corpus']}{', drawn by a program' if card.synthetic else ''}."
    own = card.protocol.get("data", {})
    for split in (own.get("train_split", "train"), own.get("val_split", "val")):
        rows = [row for row in prepared.get("methods", ()) if row["split"] == split]
        if rows:
            counts = ", ".join(f"{row['clips']:,} {row['method']}" for row in rows)
            yield f"Clips of the split {split}: {counts}."
    yield from protocol.of_model(card.protocol)


def _evaluation(datasets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not datasets:
        yield "Not evaluated yet."
    for dataset in datasets:
        notes = "; ".join(note for note in dataset["notes"] if note != "synthetic")
        clips = f"{dataset['coverage']['clips']:,} clips"
        yield f"{tables.name_of(dataset)}: {clips}{f'; {notes}' if notes else ''}."


def _analyses(results: Sequence[Results]) -> Iterator[str]:
    if not results:
        yield "Not evaluated yet.\n"
    for report, robustness in results:
        yield markdown.table(tables.overview(report))
        for dataset in report["datasets"]:
            yield from map(markdown.table, tables.of_dataset(dataset))
        if robustness:
            yield markdown.table(tables.robustness(robustness))
        yield "Protocol:\n"
        yield markdown.spelled_out(report["datasets"])


def _terms(card: ModelCard, init_from: str) -> Iterator[str]:
    if card.release:
        yield f"These weights are {card.release.terms}."
    yield (
        "Weights follow from their training data, whose terms hold for them, too; most corpora of "
        "forgeries forbid commercial use."
    )
    if init_from in shipped.names():
        yield f"They began as {init_from}, which comes with dfjax: {shipped.LICENSE}."
    elif init_from:
        yield f"They began as {init_from}: its terms hold as well."
    if card.crop_spec.landmarks == 68:
        yield f"Face crops: {crop_spec.LICENSE_OF_68_LANDMARKS}."
