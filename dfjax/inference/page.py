"""A report as one HTML page for people, which loads nothing from elsewhere."""

import functools
import pathlib
from typing import Any

import jinja2
import numpy as np

from dfjax import html_template, verdict
from dfjax.evidence import content_credentials
from dfjax.inference.report import HEADLINES


def render_html(report: dict[str, Any]) -> str:
    """Returns a report of `report.make_report` as an HTML page."""
    return _template().render(
        report=report, zones=_zones(report["model"]["decision"]), chart=_chart(report)
    )


def clock(seconds: float) -> str:
    """Returns a time in a video as m:ss.t, for example 1:05.2."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


@functools.cache
def _template() -> jinja2.Template:
    return html_template.make_template(
        pathlib.Path(__file__).with_name("report.html.jinja"),
        values={
            "reasons": verdict.REASONS,
            "words": verdict.WORDS,
            "headlines": HEADLINES,
            "signed_states": content_credentials.SIGNED,
        },
        filters={"percent": verdict.percent, "clock": clock},
    )


def _zones(decision: dict[str, float]) -> list[tuple[str, float, float]]:
    """(label, from, to) of the scores, in percent, that each label stands for."""
    sides = np.clip([0, 100 * decision["low"], 100 * decision["high"], 100], 0, 100).tolist()
    zones = zip(verdict.BY_SUSPICION, sides, sides[1:], strict=False)
    return [(label, start, end) for label, start, end in zones if end > start]


def _chart(report: dict[str, Any]) -> dict[str, Any] | None:
    """The timeline of a video, 100 wide and 200 high; None for a picture.

    "lines" has the points (x, y downwards, usable) of each track, "ticks" the (x, label) of the
    time axis.
    """
    if report["media"]["kind"] != "video":
        return None
    duration, decoded = report["media"]["duration_s"], report["media"]["frames"]["decoded"]
    lines: dict[int, list[tuple[float, float, bool]]] = {}
    for entry in report["timeline"]:
        x = 100 * (entry["time_s"] / duration if duration else entry["frame"] / decoded)
        for face in entry["faces"]:
            lines.setdefault(face["track"], []).append(
                (round(x, 2), round(200 - 200 * face["score"], 1), face["quality"] is None)
            )
    ticks = [
        (25 * i, clock(duration * i / 4) if duration else f"frame {decoded * i // 4}")
        for i in range(5)
    ]
    return {"lines": lines, "ticks": ticks}
