"""Pictures of a finished evaluation, drawn without a display."""

import pathlib
from typing import TYPE_CHECKING

import numpy as np
import sklearn.metrics

from dfjax.corpora.clip import LABELS
from dfjax.metrics import ranking, thresholds

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_curves(
    path: pathlib.Path,
    title: str,
    levels: dict[str, tuple[np.ndarray, np.ndarray, float]],
) -> None:
    """Writes the figure of `draw_curves` as a picture, its kind by suffix."""
    draw_curves(title, levels).savefig(path, dpi=100)


def draw_curves(title: str, levels: dict[str, tuple[np.ndarray, np.ndarray, float]]) -> "Figure":
    """Returns a confusion matrix for each level, then the ROC and PR curves of all levels.

    `levels` maps "frame" or "video" to (label, score, threshold).
    """
    from matplotlib.figure import Figure  # every training would load it before its first step

    figure = Figure(figsize=(4 * (len(levels) + 2), 4.2), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, len(levels) + 2)
    roc, pr = axes[-2:]
    for ax, (level, (label, score, threshold)) in zip(axes, levels.items(), strict=False):
        counts = thresholds.confusion(label, score, threshold)
        display = sklearn.metrics.ConfusionMatrixDisplay(counts, display_labels=LABELS)
        display.plot(ax=ax, colorbar=False, cmap="Blues")
        ax.set_title(f"{level}s at threshold {threshold:.3f}")
        fpr, tpr, _ = sklearn.metrics.roc_curve(label, score)
        roc.plot(fpr, tpr, label=f"{level} (AUC {ranking.auc(label, score):.3f})")
        precision, recall, _ = sklearn.metrics.precision_recall_curve(label, score)
        ap = ranking.average_precision(label, score)
        pr.plot(recall, precision, drawstyle="steps-post", label=f"{level} (AP {ap:.3f})")
    roc.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
    pr.set(xlabel="recall", ylabel="precision", title="precision and recall", ylim=(0, 1.02))
    for ax in (roc, pr):
        ax.legend(loc="lower left" if ax is pr else "lower right")
    return figure
