"""How numbers came about, in sentences; what is not known is said, too."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dfjax.report.estimate import Share

_UNKNOWN = (
    "How the model was trained and chosen, and what its threshold was set on, is not known: the "
    "scores came without a model card."
)
_FIXED = (
    "Label 0 is real, 1 is fake; a score is the probability of fake.",
    "Frame level: each face by itself. Video level: a score for each clip that shows a face in "
    "several frames.",
    "Each method's fakes are compared with all reals.",
    "Decisions are made at a threshold that was frozen before this data was scored; those at 0.5 "
    "are secondary.",
)


def shared(datasets: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the sentences that hold of every dataset."""
    first, *others = [sentences(dataset) for dataset in datasets] or [[]]
    return [sentence for sentence in first if all(sentence in other for other in others)]


def own(dataset: Mapping[str, Any], shared: Sequence[str]) -> list[str]:
    """Returns the sentences of a dataset that are not among the shared ones."""
    return [sentence for sentence in sentences(dataset) if sentence not in shared]


def sentences(dataset: Mapping[str, Any]) -> list[str]:
    """Returns the protocol of a dataset of report.json, a sentence for each fact."""
    return [
        *of_model(dataset.get("protocol") or {}),
        *_FIXED,
        *_frames(dataset.get("protocol") or {}),
        *(text for name, level in dataset["levels"].items() for text in _level(name, level)),
        *_missing(dataset["coverage"]),
    ]


def of_model(protocol: Mapping[str, Any]) -> Iterator[str]:
    """Yields how a model was trained and chosen, of the protocol in its card."""
    if "selected_by" not in protocol:
        yield _UNKNOWN
        return
    yield (
        f"The model is the checkpoint of step {protocol['checkpoint_step']}, the best by "
        f"{protocol['selected_by']}."
    )
    yield f"It was trained on {protocol['trained_on']} with seed {protocol['seed']}."
    yield f"Everything that decides was {protocol['decisions']}."
    yield f"The rule for thresholds: {protocol['threshold_rule']}."
    if "temperature" in protocol:
        yield (
            "After temperature, a score is the sigmoid of the logit divided by "
            f"{protocol['temperature']:.3f}."
        )


def _frames(protocol: Mapping[str, Any]) -> Iterator[str]:
    if "faces_of_a_frame" in protocol:
        yield f"The score of a frame of a video is {protocol['faces_of_a_frame']}."


def _level(name: str, level: Mapping[str, Any]) -> Iterator[str]:
    if "rule" in level:
        yield f"The score of a {name} is the {level['rule']} of its frames."
    if "threshold" in level:
        yield (
            f"The threshold of the {name} level is {level['threshold']:.4f}; it comes from: "
            f"{level['threshold_from']}."
        )
    if interval := level.get("interval"):
        yield (
            f"Intervals of the {name} level hold {interval['level']:.0%} of {interval['draws']:,} "
            f"bootstrap draws of {interval['resampled']}."
        )


def _missing(coverage: Mapping[str, Any]) -> Iterator[str]:
    clips, missing = coverage["clips"], coverage["without_face"]
    if not missing:
        yield f"Each of the {clips:,} clips shows a face."
        return
    yield (
        f"{missing:,} of {clips:,} clips ({Share(missing, clips)}) show no face: they are left "
        "out where a table does not say otherwise."
    )
