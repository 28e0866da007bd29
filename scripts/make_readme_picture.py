"""Makes the README's picture: a photograph, where the detector looked, and its verdict.

    python scripts/make_readme_picture.py

Judges docs/examples/london_001.jpg by the detector that comes with dfjax, and draws what it says,
whatever that is, into docs/images/verdict.webp.
"""

import io
import pathlib
import textwrap

import matplotlib

matplotlib.use("agg")
import numpy as np
from matplotlib import axes
from matplotlib import pyplot as plt
from PIL import Image

import dfjax
from dfjax import console, files, words
from dfjax.inference import annotate, draw
from dfjax.inference.detector import Result
from dfjax.media import image as media_image
from dfjax.model_card import INCONCLUSIVE

ROOT = pathlib.Path(__file__).parents[1]
PHOTOGRAPH = ROOT / "docs" / "examples" / "london_001.jpg"
PICTURE = ROOT / "docs" / "images" / "verdict.webp"
INCHES, DPI = (11.0, 4.0), 120
# Of the three panels: left, bottom, width and height as shares of the figure.
PLACES = (0.004, 0.11, 0.291, 0.8), (0.304, 0.11, 0.291, 0.8), (0.63, 0.07, 0.36, 0.84)
QUIET = "#585d66"
BANDS = ("real", INCONCLUSIVE, "fake")


def main() -> None:
    """Writes the picture and prints the verdict that it shows."""
    detector = dfjax.Detector.load()
    photograph = media_image.read_image(PHOTOGRAPH)
    result = detector.image(photograph)
    labels = {track: found.label for track, found in detector.judge_tracks(result).items()}

    figure = plt.figure(figsize=INCHES, dpi=DPI)
    left, middle, right = (figure.add_axes(place) for place in PLACES)
    _show(left, annotate.draw_faces(photograph, result.faces, labels), "1. The face is found")
    _show_heat(middle, result.faces[0].crop.image, detector.heat_maps(result.faces)[0])
    _show_verdict(right, result)
    _write(figure)
    console.print_line(f"{result.verdict.label}, {result.verdict.score:.3f}")


def _show(panel: axes.Axes, pixels: np.ndarray, title: str) -> None:
    panel.imshow(pixels)
    panel.set_title(title, fontsize=12, loc="left")
    panel.axis("off")


def _show_heat(panel: axes.Axes, crop: np.ndarray, heat: np.ndarray) -> None:
    """The crop under its heat map, which is 0 everywhere where nothing speaks for "fake"."""
    _show(panel, draw.overlay(crop, heat), "2. The network looks at it")
    scale = panel.inset_axes((0, -0.055, 1, 0.03))
    scale.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap="inferno")
    scale.set(xticks=(), yticks=())
    found = "bright: what speaks for fake" if heat.any() else "nothing in this face lights up"
    scale.set_xlabel(f"heat map: {found}", fontsize=10.5, color=QUIET)


def _show_verdict(panel: axes.Axes, result: Result) -> None:
    """The score among the limits, and what the report says of it."""
    found = result.verdict
    color = _color(found.label)
    panel.set(xlim=(0, 1), ylim=(0, 1))
    panel.set_title("3. The score becomes a verdict", fontsize=12, loc="left")
    panel.axis("off")
    headline = textwrap.fill(words.LEVELS[found.level], 24)
    panel.text(0, 0.86, headline, fontsize=19, weight="bold", color=color, va="center")
    panel.text(0, 0.68, f"score {found.score:.3f}", fontsize=15, va="center")
    low, high = found.bounds
    for name, start, end in zip(BANDS, (0, low, high), (low, high, 1), strict=True):
        panel.barh(0.5, end - start, height=0.07, left=start, color=_color(name))
    panel.plot(found.score, 0.58, marker="v", markersize=11, color="black", clip_on=False)
    for place, text in ((low, f"real below {low:.2f}"), (high, f"fake from {high:.2f}")):
        panel.plot([place, place], [0.42, 0.465], color=QUIET, linewidth=1)
        side = "left" if place < 0.5 else "right"
        panel.text(place, 0.37, text, fontsize=10.5, color=QUIET, ha=side, va="center")
    meaning = textwrap.fill(words.MEANINGS[found.reason or found.level], 52)
    panel.text(0, 0.24, meaning, fontsize=10.5, color=QUIET, va="top", linespacing=1.35)


def _color(label: str) -> tuple[float, ...]:
    return tuple(np.array(annotate.COLORS[label]) / 255)


def _write(figure: plt.Figure) -> None:
    pixels = io.BytesIO()
    figure.savefig(pixels, format="png")
    PICTURE.parent.mkdir(exist_ok=True)
    with files.replacing(PICTURE) as unfinished:
        Image.open(pixels).convert("RGB").save(unfinished, "webp", quality=82, method=6)


if __name__ == "__main__":
    main()
