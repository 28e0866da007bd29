"""What says of numbers that they may not mean what they seem to: notes that stand beside them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dfjax.model_card import ModelCard

if TYPE_CHECKING:
    from dfjax.evaluators.eval_target import EvalTarget

LEVELS = {"frame": "crops", "video": "videos"}


def of_levels(levels: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns a note for each level whose AUC is below 0.5 with its whole interval.

    `levels` are those of a report. Chance stays within the interval; what is surely worse than
    chance knows the classes, and calls them by each other's names.
    """
    aucs = {name: level["metrics"]["auc"] for name, level in levels.items() if "metrics" in level}
    return [
        f"AUC of {LEVELS[name]} {auc['value']:.3f} (95 % interval {auc['low']:.3f} to "
        f"{auc['high']:.3f}) is below chance: fakes score lower than reals. Check that label 1 is "
        "fake in the manifest or label file, that scores are P(fake) and not P(real), and that the "
        "method of these fakes is not one that the model takes for real"
        for name, auc in aucs.items()
        if auc["high"] is not None and auc["high"] < 0.5
    ]


def of_card(card: ModelCard) -> list[str]:
    """Returns a note if decisions on files were fitted to too few of them."""
    return [
        f"verdicts on {kind}s rest on {decision.fitted_on['real']} real and "
        f"{decision.fitted_on['fake']} fake validation files, of which one is more than "
        f"{decision.error_rate:.0%}: how often they are wrong is hardly known"
        for kind, decision in card.decisions.items()
        if kind != "frame" and decision.rests_on_few
    ]


def of_own_split(target: "EvalTarget", card: ModelCard) -> list[str]:
    """Returns a note if the split is one that the model was trained or selected on.

    Not an error: the score of the training split shows how much a model merely remembers. Of a
    card that does not say on which records it rests, nothing is known.
    """
    own = card.protocol.get("data", {})
    if target.dataset.digest != own.get("digest"):
        return []
    notes = {
        own[
            "train_split"
        ]: f"{target.name} is what the model was trained on: this score shows what "
        "it remembers, not what it detects. Score a split that it has not seen",
        own["val_split"]: f"{target.name} is what chose the checkpoint, the temperature and the "
        "thresholds: this score flatters the model. Score a split that it has not seen",
    }
    return [notes[target.split]] if target.split in notes else []
