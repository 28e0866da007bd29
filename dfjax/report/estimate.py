"""Numbers of a report as they are read, with the interval that they lie in."""

import dataclasses
from collections.abc import Mapping
from typing import Any

NONE = "–"  # stands where there is no number

_DIGITS = range(3, 7)

TITLES = {
    "auc": "AUC",
    "ap": "AP",
    "eer": "EER",
    "tpr_at_fpr_0.001": "TPR at FPR 0.1%",
    "tpr_at_fpr_0.01": "TPR at FPR 1%",
    "tpr_at_fpr_0.05": "TPR at FPR 5%",
    "log_loss": "Log loss",
    "log_loss_calibrated": "Log loss, after temperature",
    "brier": "Brier score",
    "brier_calibrated": "Brier score, after temperature",
    "ece": "ECE",
    "ece_calibrated": "ECE, after temperature",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "precision_at_prevalence_0.01": "Precision, 1% fakes",
    "precision_at_prevalence_0.1": "Precision, 10% fakes",
}
"""The metrics of report.json and what tables call them, in their order."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number with its confidence interval; None: there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, measured: Mapping[str, Any] | float | None) -> "Estimate":
        """Returns what an entry of report.json says: a number with or without interval, or null."""
        if not isinstance(measured, Mapping):
            return cls(measured)
        return cls(measured.get("value"), measured.get("low"), measured.get("high"))

    @property
    def number(self) -> str:
        """The value, such as "0.912"."""
        return show(self.value)

    @property
    def interval(self) -> str:
        """The interval, such as "0.901–0.923"; empty if there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"{show(self.low)}–{show(self.high)}"

    def __str__(self) -> str:
        return f"{self.number} ({self.interval})" if self.interval else self.number


@dataclasses.dataclass(frozen=True)
class Share:
    """A part of a whole, such as "3.1%"; of nothing, there is no number."""

    part: int
    whole: int

    interval = ""

    @property
    def number(self) -> str:
        """The share as a text."""
        return f"{self.part / self.whole:.1%}" if self.whole else NONE

    def __str__(self) -> str:
        return self.number


def show(value: float | None) -> str:
    """Returns a number with three digits after the point, or more: 0.9996 is not shown as 1."""
    if value is None:
        return NONE
    for digits in _DIGITS:
        text = f"{value:.{digits}f}"
        if float(text) == value or float(text) not in (0, 1):
            return text
    return text
