"""Fakes that need no fake: the reals of a split, each beside a blend of itself (`augment.blend`).

They choose a checkpoint, a temperature and thresholds where there are only reals. Both of a pair
come out of one draw, and are the same outside the mask; nothing else is done to them. What is drawn
for a record depends on its number alone, and is drawn once. A real whose blend does not show is
left out.
"""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from dfjax.augment import batch as augment_batch
from dfjax.augment.settings import Settings
from dfjax.data import builder, sampling, transforms
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.media import image as media_image

METHOD = "self_blend"
MAX_REALS = 2_000  # of a split: the first, as records are shuffled when they are written

_PAIRS = 16  # blended at a time
_Pair = tuple[int, tuple[bytes, bytes]]  # number of the record; PNGs of the real and its blend


class SelfBlends:
    """Records of reals and of their blends in turn, as `builder.Records` are; stored without loss.

    A blend has the key of its clip and METHOD before it.
    """

    def __init__(self, records: builder.Records):
        """Blends the reals of `records`: milliseconds of a core for each."""
        self._records = records
        self._pairs: list[_Pair] = []
        rows = np.flatnonzero(records.labels == 0)[:MAX_REALS]
        for start in range(0, len(rows), _PAIRS):
            self._pairs += _blend(records, rows[start : start + _PAIRS])

    @property
    def labels(self) -> np.ndarray:
        """The labels, int32 [N]: 0 and 1 in turn."""
        return np.tile(np.array([0, 1], np.int32), len(self._pairs))

    def __len__(self) -> int:
        return 2 * len(self._pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row, images = self._pairs[index // 2]
        record = self._records[row]
        blended = {"label": 1, "method": METHOD, "clip": f"{METHOD}/{record['clip']}"}
        return {**record, "image": images[index % 2], **(blended if index % 2 else {})}


@dataclasses.dataclass(frozen=True)
class SelfBlendedTarget(EvalTarget):
    """The reals of a split and their self-blends; the fakes of the split are left out."""

    @classmethod
    def beside(cls, target: EvalTarget) -> "SelfBlendedTarget":
        """Returns the reals of a target, and their self-blends."""
        name = f"the reals of {target.name} and blends of each with itself"
        return cls(name, target.dataset, target.split)

    @functools.cached_property
    def records(self) -> SelfBlends:
        """The records to score, which take their time to be made."""
        return SelfBlends(super().records)


def _blend(records: builder.Records, rows: np.ndarray) -> list[_Pair]:
    """The reals in these rows and their blends, of those whose blends show."""
    # Always of one shape, or the last ones would be compiled for.
    filled = np.resize(rows, _PAIRS)
    crops = [transforms.decode_crop(records[int(row)]) for row in filled]
    pairs = {
        "image": np.stack([crop for crop, _ in crops]),
        "landmarks": np.stack([landmarks for _, landmarks in crops]),
        "kind": np.full(_PAIRS, sampling.SELF_BLEND, np.int32),
        "aligned": np.zeros(_PAIRS, bool),
        "index": filled.astype(np.int32),
    }
    batch = {name: column.repeat(2, axis=0) for name, column in pairs.items()}
    made = jax.device_get(_augment(batch, jax.random.key(0)))
    images = [media_image.encode_image(image, "png") for image in made["image"]]
    places = [place for place in range(len(rows)) if made["label"][2 * place + 1]]
    return [(int(rows[n]), (images[2 * n], images[2 * n + 1])) for n in places]


_augment = jax.jit(functools.partial(augment_batch.augment, settings=Settings(blends=True)))
