"""A picture of a batch as the network sees it: pairs, their labels, and where they differ."""

import pathlib
from collections.abc import Iterator, Mapping

import cv2
import jax
import numpy as np

from dfjax import files, sharding
from dfjax.data import sampling
from dfjax.media import image as media_image

FIRST_BATCH = "first_batch.png"  # in the workdir of a run
MAX_PAIRS = 32
GAIN = 4  # of differences, which are small where a forgery is good

_COLUMNS = 4  # pairs next to each other
_MIN_SIDE = 128  # pixels of a tile, or its text would not fit below
_CAPTION = 18  # pixels of its height
_GAP = 6  # pixels
_PAPER, _INK = 245, (20, 20, 20)
_REAL, _FAKE = np.array([150, 210, 160]), np.array([240, 150, 140])
_FONT, _LETTERS = cv2.FONT_HERSHEY_SIMPLEX, 0.38


def write(
    path: pathlib.Path, read: Mapping[str, np.ndarray], seen: Mapping[str, jax.Array]
) -> None:
    """Writes `draw` of this process's rows as PNG, whole or not at all.

    `read` is a batch of `pipeline.train_stream`, `seen` what `augment.batch` makes of it.
    """
    seen = {name: sharding.local_rows(array) for name, array in seen.items()}
    with files.replacing(path) as unfinished:
        unfinished.write_bytes(media_image.encode_image(draw({**read, **seen}), "png"))


def draw(batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns RGB uint8 [H, W, 3] of the first pairs of a batch.

    `image` is uint8 [B, S, S, 3], `label` float [B], `kind` int [B] a position in `sampling.KINDS`,
    `aligned` bool [B]. A pair is three tiles: real, fake, and their absolute difference, `GAIN`
    times as large, if they show the same frame or one is a blend.
    """
    pairs = [_draw_pair(*pair) for pair in _pairs(batch)]
    blank = np.full_like(pairs[0], _PAPER)
    pairs += [blank] * (-len(pairs) % min(_COLUMNS, len(pairs)))
    columns = min(_COLUMNS, len(pairs))
    rows = [np.hstack(pairs[i : i + columns]) for i in range(0, len(pairs), columns)]
    return np.vstack(rows)


_Pair = tuple[np.ndarray, np.ndarray, str, bool]  # images, labels, kind, aligned


def _pairs(batch: Mapping[str, np.ndarray]) -> Iterator[_Pair]:
    for i in range(0, min(len(batch["image"]), 2 * MAX_PAIRS), 2):
        kind = sampling.KINDS[batch["kind"][i]]
        yield batch["image"][i : i + 2], batch["label"][i : i + 2], kind, bool(batch["aligned"][i])


def _draw_pair(images: np.ndarray, labels: np.ndarray, kind: str, aligned: bool) -> np.ndarray:
    """Three tiles with captions, and a gap to the right and below."""
    tiles = [
        _draw_tile(image, f"label {label:.2g}", _REAL + label * (_FAKE - _REAL))
        for image, label in zip(images, labels, strict=True)
    ]
    difference = np.full_like(images[0], _PAPER)
    if aligned or kind != sampling.KINDS[sampling.FORGERY]:
        difference = cv2.convertScaleAbs(cv2.absdiff(*images), alpha=GAIN)
    paper = np.full(3, _PAPER)
    tiles.append(_draw_tile(difference, f"{kind}{', aligned' * aligned}", paper))
    gap = ((0, _GAP), (0, _GAP), (0, 0))
    return np.pad(np.hstack(tiles), gap, constant_values=_PAPER)


def _draw_tile(image: np.ndarray, caption: str, color: np.ndarray) -> np.ndarray:
    """The image, small ones enlarged by repeating pixels, above one line of text."""
    times = -(-_MIN_SIDE // len(image))
    image = image.repeat(times, axis=0).repeat(times, axis=1)
    strip = np.full((_CAPTION, image.shape[1], 3), np.rint(color), np.uint8)
    cv2.putText(strip, caption, (4, 13), _FONT, _LETTERS, _INK, 1, cv2.LINE_AA)
    return np.vstack([image, strip])
