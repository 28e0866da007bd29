"""A contact sheet shows the pixels of a batch, and what they are said to be."""

import jax.numpy as jnp
import numpy as np
import pytest

from dfjax import contact_sheet
from dfjax.data import sampling
from dfjax.media import image as media_image

SIDE, STRIP, GAP = 128, 18, 6


@pytest.fixture
def batch() -> dict[str, np.ndarray]:
    """Five pairs of 32 px: a fake is 10 levels brighter."""
    image = np.random.default_rng(0).integers(0, 200, (10, 32, 32, 3), np.uint8)
    image[1::2] = image[::2] + 10
    kind = np.repeat([0, 0, 1, 2, 3], 2).astype(np.int32)
    aligned = np.repeat([True, False, False, False, False], 2)
    label = np.array([0, 0.25, 0, 1, 0, 1, 0, 1, 0, 1], np.float32)
    return {"image": image, "label": label, "kind": kind, "aligned": aligned}


def _tile(sheet: np.ndarray, pair: int, column: int) -> np.ndarray:
    """A tile of a pair, without its caption."""
    top = pair // 4 * (SIDE + STRIP + GAP)
    left = pair % 4 * (3 * SIDE + GAP) + column * SIDE
    return sheet[top : top + SIDE, left : left + SIDE]


def test_tiles_are_the_images_enlarged_without_a_filter(batch):
    sheet = contact_sheet.draw(batch)
    assert sheet.shape == (2 * (SIDE + STRIP + GAP), 4 * (3 * SIDE + GAP), 3)
    for pair in range(5):
        for row in range(2):
            np.testing.assert_array_equal(
                _tile(sheet, pair, row)[::4, ::4], batch["image"][2 * pair + row]
            )


def test_differences_are_shown_where_they_mean_something(batch):
    sheet = contact_sheet.draw(batch)
    shown = [np.unique(_tile(sheet, pair, 2)).tolist() for pair in range(5)]
    assert shown == [[40], [245], [40], [40], [40]]  # the second is a forgery of another frame


def test_large_batches_are_cut(batch):
    many = {name: np.concatenate([column] * 20) for name, column in batch.items()}
    rows = contact_sheet.MAX_PAIRS // 4
    assert contact_sheet.draw(many).shape[0] == rows * (SIDE + STRIP + GAP)


def test_captions_are_of_the_labels(batch):
    """A strip is green at 0, red at 1, and between at a soft label."""
    sheet = contact_sheet.draw(batch)
    strips = [sheet[SIDE + 1, column * SIDE + 100].astype(float) for column in (0, 1)]
    hard = sheet[SIDE + 1, 3 * SIDE + GAP + SIDE + 100].astype(float)
    np.testing.assert_allclose(strips[1], strips[0] + 0.25 * (hard - strips[0]), atol=1)
    assert sampling.KINDS[0] == "forgery"


def test_a_file_is_what_was_drawn(batch, tmp_path):
    seen = {name: jnp.asarray(batch.pop(name)) for name in ("image", "label")}
    contact_sheet.write(tmp_path / "sheet.png", batch, seen)
    read = media_image.read_image(tmp_path / "sheet.png")
    both = {**batch, **{name: np.asarray(column) for name, column in seen.items()}}
    np.testing.assert_array_equal(read, contact_sheet.draw(both))
