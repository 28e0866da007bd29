"""Counts what a detector says of pictures that it was not made for.

    DFJAX_TEST_DATA=DIR python scripts/scope.py [MODEL]

Makes 200 pictures, 40 of each kind: textures and noise without a face, crowds of twelve faces,
faces of 24 pixels, faces upside down, and drawn people. The faces are those of DIR/ffhq_real.
Prints how many are "not applicable", and how many get each other level of evidence.
"""

import collections
import os
import pathlib
import sys

import cv2
import numpy as np

import dfjax
from dfjax import console
from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.media import image
from dfjax.weights import shipped

COUNT = 40  # of each kind
SIDE = 480


def main() -> None:
    """Prints one line for each kind and one for all."""
    detector = dfjax.Detector.load(sys.argv[1] if len(sys.argv) > 1 else shipped.DETECTOR)
    folder = pathlib.Path(os.environ["DFJAX_TEST_DATA"], "ffhq_real")
    faces = [image.read_image(path) for path in sorted(folder.glob("*.jpg"))]
    kinds = {
        "no face": _without_face,
        "a crowd": _crowd,
        "tiny faces": _tiny,
        "upside down": lambda faces, number: faces[number][::-1],
        "drawn people": _drawn,
    }
    total: collections.Counter[str] = collections.Counter()
    for name, make in kinds.items():
        levels = collections.Counter(
            detector.image(np.ascontiguousarray(make(faces, number))).verdict.level
            for number in range(COUNT)
        )
        total += levels
        console.print_line(f"{name}: {dict(levels)}")
    share = total["not_applicable"] / total.total()
    console.print_line(f"all: {dict(total)}, {share:.1%} not applicable")


def _without_face(_: list[np.ndarray], number: int) -> np.ndarray:
    """Coloured clouds of one scale, from single pixels to a fifth of the picture."""
    rng = np.random.default_rng(number)
    cells = (SIDE, SIDE // 4, SIDE // 16, 5)[number % 4]
    coarse = rng.integers(0, 256, (cells, cells, 3), np.uint8)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def _crowd(faces: list[np.ndarray], number: int) -> np.ndarray:
    """Three rows of four."""
    chosen = [faces[(number + 7 * i) % len(faces)] for i in range(12)]
    tiles = [cv2.resize(face, (SIDE // 2, SIDE // 2)) for face in chosen]
    return np.vstack([np.hstack(tiles[row : row + 4]) for row in (0, 4, 8)])


def _tiny(faces: list[np.ndarray], number: int) -> np.ndarray:
    """A photograph of 48 pixels, with a face half as wide, on grey."""
    picture = np.full((SIDE, SIDE, 3), 120, np.uint8)
    picture[200:248, 200:248] = cv2.resize(faces[number], (48, 48), interpolation=cv2.INTER_AREA)
    return picture


def _drawn(_: list[np.ndarray], number: int) -> np.ndarray:
    return synthetic.film(synthetic.Settings(frames=1), number, 0).frames[0]


if __name__ == "__main__":
    main()
