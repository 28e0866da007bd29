"""A report as one HTML page for people, which loads nothing from elsewhere."""

import base64
import bisect
import functools
import pathlib
from typing import Any

import jinja2
import numpy as np

from dfjax import files, html_template, phrases, words
from dfjax.evidence import content_credentials

_COLUMNS = ("frame", "time_s", "shot", "person", "score", "not_counted_for", "x0", "y0", "x1", "y1")


def render_html(report: dict[str, Any]) -> str:
    """Returns a report of `report.make_report` as an HTML page."""
    chart, template = _chart(report), _template()
    drawing = _template("report_chart.svg.jinja").module
    return template.render(
        report=report,
        zones=_zones(report["model"]["decision"]),
        chart=chart,
        chart_uri=chart and _uri("image/svg+xml", drawing.file(chart, report["model"]["decision"])),
        table_uri=_uri("text/csv", _table(report)),
    )


@functools.cache
def _template(name: str = "report.html.jinja") -> jinja2.Template:
    return html_template.make_template(
        pathlib.Path(__file__).with_name(name),
        values={"words": words, "signed_states": content_credentials.SIGNED},
        filters={
            each.__name__: each
            for each in (
                phrases.clock,
                phrases.moment,
                phrases.percent,
                phrases.person,
                phrases.scope,
                phrases.sentence,
            )
        },
    )


def _uri(kind: str, content: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.encode()).decode()}"


def _zones(decision: dict[str, float]) -> list[tuple[str, float, float]]:
    """(level, from, to) of the scores, in percent, that each level stands for."""
    names = ("low", "high", "strong", "very_strong")
    sides = np.clip([0, *(100 * decision[name] for name in names), 100], 0, 100).tolist()
    levels = ("none_found", "no_verdict", "moderate", "strong", "very_strong")
    zones = zip(levels, sides, sides[1:], strict=False)
    return [(level, start, end) for level, start, end in zones if end > start]


def _chart(report: dict[str, Any]) -> dict[str, Any] | None:
    """The timeline of a video, 100 wide and 200 high; None for a picture.

    "lines" has the points (x, y downwards, usable) of each track, "ticks" the (x, label) of the
    time axis, "cuts" the x of cuts, "moments" the (x, x, track) that look manipulated.
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
    ticks = [(25 * i, _tick(duration, decoded, i / 4)) for i in range(5)]
    chart = {"lines": lines, "ticks": ticks, "cuts": [], "moments": []}
    if duration:
        starts = [shot["start_s"] for shot in report["shots"][1:]]
        chart["cuts"] = [round(100 * start / duration, 2) for start in starts]
        chart["moments"] = [
            (*(round(100 * moment[side] / duration, 2) for side in ("first_s", "last_s")), track)
            for moment in report["moments"]
            for track in [moment["track"]]
        ]
    return chart


def _tick(duration: float | None, decoded: int, share: float) -> str:
    if duration:
        return phrases.clock(duration * share)
    return words.PHRASES["frame"].format(number=int(decoded * share))


def _table(report: dict[str, Any]) -> str:
    """The scores of all faces as CSV."""
    starts, rows = [shot["start_s"] for shot in report["shots"]], []
    for entry in report["timeline"]:
        time = entry["time_s"]
        shot = bisect.bisect_right(starts, time) if starts and time is not None else None
        for face in entry["faces"]:
            person, reason = face["track"] + 1, face["quality"]
            rows.append((entry["frame"], time, shot, person, face["score"], reason, *face["box"]))
    return files.csv_text(_COLUMNS, rows)
