"""What happens to a stored crop on its way into a batch: decode, degrade, resize.

Everything is numpy and OpenCV on uint8 [H, W, 3]; randomness comes only from the generator that
Grain derives from (seed, index), so an example looks the same in any worker and on any host.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from dfjax.data import sampling
from dfjax.data.degrade import Degrade
from dfjax.faces import quality
from dfjax.media import image as media_image


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """The square image at side `size`: area average when it shrinks, bilinear when it grows."""
    if image.shape[0] == size:
        return image
    interpolation = cv2.INTER_AREA if size < image.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=interpolation)


@dataclasses.dataclass(frozen=True)
class TrainPair:
    """Pair → its two rows of a batch, as `pipeline.train_stream` describes them.

    Attributes:
      records: what the numbers in a pair are records of.
      size: side of the images.
      degrade: makes both stored crops worse, alike.
    """

    records: Sequence[dict[str, Any]]
    size: int
    degrade: Degrade

    def __call__(self, pair: sampling.Pair, rng: np.random.Generator) -> dict[str, np.ndarray]:
        real = self.records[pair.real]
        other = _most_alike(real, [self.records[row] for row in pair.others])
        images, landmarks = zip(*map(decode_crop, (real, other)), strict=True)
        images = self.degrade(images, rng)
        # Rounded to uint8, a quarter of the bytes of float32, where `steps.predict` resizes in
        # float: logits of the quickstart's network differ by up to 0.056 over 50 crops.
        images = [resize(image, self.size) for image in images]
        return {
            "image": np.stack(images),
            "label": np.array([0, 1], np.int32),
            "kind": np.full(2, pair.kind, np.int32),
            "aligned": np.full(2, pair.aligned),
            "landmarks": np.stack(landmarks),
            "index": np.full(2, pair.index, np.int32),
        }


def decode_crop(record: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Record → its image, uint8 [S, S, 3], and its landmarks [L, 2] by the side of the crop."""
    image = media_image.decode_image(record["image"])
    return image, (record["landmarks"] + np.float32(0.5)) / np.float32(image.shape[0])


def _most_alike(record: dict[str, Any], others: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The one whose landmarks are nearest to those of a record; the first where there are none."""
    if len(others) == 1:
        return others[0]
    distances = [np.square(other["landmarks"] - record["landmarks"]).sum() for other in others]
    return others[int(np.argmin(distances))]


def decode_record(record: dict[str, Any]) -> dict[str, Any]:
    """Record → the same record with its image decoded, uint8 [S, S, 3] at the stored size.

    `steps.predict` resizes, as part of the model: every runtime then does it alike. `brightness`
    and `sharpness` are added: what a verdict asks of a face is asked in evaluation too. So are the
    `bits_per_pixel` of the stored crop, of which compression before it has left few. Records from
    before `time` get one that is unknown.
    """
    image = media_image.decode_image(record["image"])
    brightness, sharpness = quality.measure(image)
    return {
        "time": np.float32(np.nan),
        **record,
        "image": image,
        "brightness": brightness,
        "sharpness": sharpness,
        "bits_per_pixel": 8 * len(record["image"]) / (image.shape[0] * image.shape[1]),
    }
