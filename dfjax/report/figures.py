"""The figures of a report: numbers become lines in the coordinates of an SVG, x right, y down."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from dfjax.corpora.clip import LABELS
from dfjax.report import tables
from dfjax.report.estimate import Estimate, show

WIDTH, HEIGHT = 320, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 308, 10, 196  # the frame that holds the lines

_CALIBRATED = {
    "raw": "before temperature",
    "calibrated": "after temperature",
    "isotonic": "after isotonic table",
}
_UNIT = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a figure.

    Attributes:
      name: what the legend calls it; "" is not in the legend.
      style: its class in the page: how it is coloured and dashed.
      points: "x,y x,y ...".
      band: the outline of the interval around it; "" is none.
      dots: (x, y) of points to mark.
    """

    name: str
    style: str
    points: str
    band: str = ""
    dots: tuple[tuple[float, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Axis:
    """A scale from numbers to coordinates.

    Attributes:
      label: what it measures, with the unit.
      ticks: the numbers that are written at it; its ends are the first and the last.
      start, end: coordinates of its ends.
    """

    label: str
    ticks: tuple[float, ...]
    start: float
    end: float

    def place(self, value: float) -> float:
        """Returns the coordinate of a number; beyond an end, that of the end."""
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)


@dataclasses.dataclass(frozen=True)
class Figure:
    """A chart; `alt` says in words what it shows to whoever does not see it."""

    title: str
    alt: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]

    @property
    def legend(self) -> tuple[Line, ...]:
        """The lines that have a name."""
        return tuple(line for line in self.lines if line.name)


def of_dataset(dataset: Mapping[str, Any]) -> list[Figure]:
    """Returns the figures of a dataset: curves of its levels, reliability, histograms."""
    levels = tables.measured_levels(dataset)
    figures = [
        *(_curves(kind, levels) for kind in _CURVES),
        *(_reliability(dataset, name) for name in levels),
        *(_histogram(name, level) for name, level in levels.items()),
    ]
    return [figure for figure in figures if figure]


@dataclasses.dataclass(frozen=True)
class _Curve:
    title: str
    x: str
    y: str
    metric: str


_CURVES = {
    "roc": _Curve("ROC", "False positive rate", "True positive rate", "auc"),
    "pr": _Curve("Precision and recall", "Recall", "Precision", "ap"),
}


def _x_axis(label: str, ticks: Sequence[float] = _UNIT) -> Axis:
    return Axis(label, tuple(ticks), LEFT, RIGHT)


def _y_axis(label: str, ticks: Sequence[float] = _UNIT) -> Axis:
    return Axis(label, tuple(ticks), BOTTOM, TOP)


def _points(x: Axis, y: Axis, xs: Sequence[float], ys: Sequence[float | None]) -> str:
    """The points as SVG has them; those without a number are left out."""
    known = [(across, up) for across, up in zip(xs, ys, strict=True) if up is not None]
    return " ".join(f"{x.place(across)},{y.place(up)}" for across, up in known)


def _diagonal(x: Axis, y: Axis) -> Line:
    return Line("", "chance", _points(x, y, (0, 1), (0, 1)))


def _curves(kind: str, levels: Mapping[str, Any]) -> Figure | None:
    """The curve of each level with its band; None: no level has one."""
    about = _CURVES[kind]
    x, y = _x_axis(about.x), _y_axis(about.y)
    lines, words = [_diagonal(x, y)] if kind == "roc" else [], []
    for name, level in levels.items():
        if curve := (level.get("curves") or {}).get(kind):
            area = show(Estimate.of(level["metrics"].get(about.metric)).value)
            words.append(f"{name} {about.metric.upper()} {area}")
            points = _points(x, y, curve["x"], curve["y"])
            lines.append(Line(words[-1], name, points, _band(x, y, curve)))
    if not words:
        return None
    return Figure(about.title, f"{about.title} curve: {', '.join(words)}.", x, y, tuple(lines))


def _band(x: Axis, y: Axis, curve: Mapping[str, Any]) -> str:
    """There along the upper ends of the intervals and back along the lower."""
    if not curve.get("low") or not curve.get("high"):
        return ""
    rows = list(zip(curve["x"], curve["low"], curve["high"], strict=True))
    rows = [row for row in rows if None not in row]
    there = _points(x, y, [row[0] for row in rows], [row[2] for row in rows])
    back = _points(x, y, [row[0] for row in rows[::-1]], [row[1] for row in rows[::-1]])
    return f"{there} {back}"


def _reliability(dataset: Mapping[str, Any], name: str) -> Figure | None:
    """The share of fakes by score; None: no bin is known."""
    level, isotonic = dataset["levels"][name], _isotonic(dataset, name)
    bins = {**(level.get("reliability") or {}), **isotonic}
    x, y = _x_axis("Mean score of a bin"), _y_axis("Share of fakes")
    lines = [_bins_line(x, y, kind, bins[kind]) for kind in _CALIBRATED if bins.get(kind)]
    if not lines:
        return None
    errors = [Estimate.of(level["metrics"].get(key)) for key in ("ece", "ece_calibrated")]
    alt = (
        f"Reliability at the {name} level: the share of fakes by score. ECE {errors[0]}, after "
        f"temperature {errors[1]}."
    )
    return Figure(f"Reliability, {name} level", alt, x, y, (_diagonal(x, y), *lines))


def _isotonic(dataset: Mapping[str, Any], level: str) -> dict[str, Any]:
    """The bins after the isotonic table, if the model has one."""
    found = (dataset.get("calibration") or {}).get(level) or {}
    return {"isotonic": found["isotonic"]["reliability"]} if "isotonic" in found else {}


def _bins_line(x: Axis, y: Axis, kind: str, bins: Sequence[Mapping[str, Any]]) -> Line:
    full = [each for each in bins if each["n"]]
    scores, shares = ([each[key] for each in full] for key in ("score", "share"))
    dots = tuple(zip(map(x.place, scores), map(y.place, shares), strict=True))
    return Line(_CALIBRATED[kind], kind, _points(x, y, scores, shares), dots=dots)


def _histogram(name: str, level: Mapping[str, Any]) -> Figure | None:
    found = level.get("histogram")
    if not found:
        return None
    shares = {c: [n / max(sum(found[c]), 1) for n in found[c]] for c in LABELS}
    top = max(max(each) for each in shares.values())
    step = next(each for each in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if 4 * each >= top)
    x = _x_axis("Score")
    y = _y_axis("Share of the class", [step * i for i in range(5)])
    edges = [edge for edge in found["edges"] for _ in (0, 1)]
    lines = [
        Line(c, c, _points(x, y, edges, [0, *(s for s in shares[c] for _ in (0, 1)), 0]))
        for c in LABELS
    ]
    if (threshold := level.get("threshold")) is not None:
        upright = _points(x, y, (threshold, threshold), (0, 4 * step))
        lines.append(Line(f"threshold {show(threshold)}", "threshold", upright))
    alt = f"Histogram of the scores of real and fake at the {name} level."
    return Figure(f"Scores, {name} level", alt, x, y, tuple(lines))


def of_robustness(measured: Mapping[str, Any]) -> list[Figure]:
    """Returns a figure for each distortion: the AUC along its levels, all on one scale."""
    clean = [{"level": 0, "auc": measured["clean"]["auc"]}] if measured.get("clean") else []
    rows = {kind["name"]: [*clean, *kind["levels"]] for kind in measured["types"]}
    y = _auc_axis([Estimate.of(each["auc"]) for all_levels in rows.values() for each in all_levels])
    return [_distortion(kind, rows[kind["name"]], y) for kind in measured["types"]]


def _auc_axis(aucs: Sequence[Estimate]) -> Axis:
    """From 0.5, or the tenth below the lowest number, to 1."""
    numbers = [number for auc in aucs for number in (auc.low, auc.value) if number is not None]
    low = math.floor(10 * min([0.5, *numbers])) / 10
    return _y_axis("AUC", [low + (1 - low) * step / 5 for step in range(6)])


def _distortion(kind: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], y: Axis) -> Figure:
    x = _x_axis("Level", sorted({0, *(each["level"] for each in rows)}))
    found = [(each["level"], Estimate.of(each["auc"])) for each in rows]
    levels = [level for level, auc in found if auc.value is not None]
    aucs = [auc for _, auc in found if auc.value is not None]
    values, lows, highs = ([getattr(a, end) for a in aucs] for end in ("value", "low", "high"))
    dots = tuple(zip(map(x.place, levels), map(y.place, values), strict=True))
    band = _band(x, y, {"x": levels, "low": lows, "high": highs})
    line = Line("", "auc", _points(x, y, levels, values), band, dots)
    title = f"{kind['name']}: mean {Estimate.of(kind['mean'])}, worst {Estimate.of(kind['worst'])}"
    return Figure(title, f"AUC by level under {title}.", x, y, (line,))
