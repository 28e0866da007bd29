"""The gate of a run: found where an earlier evaluation left it, or fitted to its training data."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from dfjax import models, progress, tree
from dfjax.data.training import Training
from dfjax.errors import UserError
from dfjax.familiarity import features, fit, gate, store, strangers
from dfjax.familiarity.gate import Statistics
from dfjax.media import image as media_image
from dfjax.model_card import Embedding, ModelCard
from dfjax.run import Run

MIN_CROPS = 100  # fewer do not show what faces may be like

_METHOD = (
    "coordinates on the principal axes of training features, how much fine detail there is, the "
    "squares of both, and what lies beside the axes, weighted by a logistic regression against "
    "strangers made from training crops and, unless training crops are drawn, drawn faces"
)
_DRAWN_SHARE = 1 / 3  # drawn faces for each training crop: half of it refused fewer of others
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Gate:
    """What a model card says of a gate, and what it is computed with."""

    embedding: Embedding
    statistics: Statistics

    def add_to(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Returns the variables that `gate.predict` takes."""
        return {**variables, gate.COLLECTION: self.statistics._asdict()}

    def held_out(self, count: int) -> "Gate":
        """Returns the gate whose limit so many held-out crops set."""
        fitted_on = {**self.embedding.fitted_on, "held_out": count}
        return Gate(dataclasses.replace(self.embedding, fitted_on=fitted_on), self.statistics)


def require_num_crops(num_crops: int) -> None:
    """Checks `config.eval.gate_crops`.

    Raises:
      UserError: it is too few for a gate, and not 0.
    """
    if num_crops and num_crops < MIN_CROPS:
        raise UserError(
            f"eval.gate_crops is {num_crops}: use {MIN_CROPS} or more training crops, or 0 for no "
            "gate"
        )


def find_or_fit(
    run: Run,
    variables: dict[str, Any],
    card: ModelCard | None,
    training: Training,
    num_crops: int,
) -> Gate | None:
    """Returns a gate learnt from at most `num_crops` crops, in the proportions of training.

    An earlier one of the same weights, as `card` says, is taken again. None: there are fewer than
    `MIN_CROPS`, or `num_crops` is.
    """
    rows = training.spread(num_crops)
    count = sum(map(len, rows))
    if count < MIN_CROPS:
        return None
    found = _find(run, variables, card, count)
    return found or _fit(run, variables, _read(training, rows), is_drawn=_is_drawn(training))


def _find(run: Run, variables: dict[str, Any], card: ModelCard | None, count: int) -> Gate | None:
    if card is None or card.embedding is None or card.weights != tree.digest(variables):
        return None
    if (card.embedding.method, card.embedding.fitted_on["training"]) != (_METHOD, count):
        return None
    try:
        return Gate(card.embedding, store.read(run.workdir, card.embedding))
    except UserError:  # it is missing or damaged: another one is fitted
        return None


def _read(training: Training, rows: Sequence[np.ndarray]) -> np.ndarray:
    """The crops, uint8 [N, S, S, 3], in these rows of each split."""
    crops = []
    for (dataset, split), chosen in zip(training.splits, rows, strict=True):
        records = dataset.records(split)
        crops += [media_image.decode_image(records[int(row)]["image"]) for row in chosen]
    return np.stack(crops)


def _is_drawn(training: Training) -> bool:
    """Whether some training crops are drawn: then drawn faces are no strangers."""
    return any(dataset.metadata["synthetic"] for dataset, _ in training.splits)


def _fit(run: Run, variables: dict[str, Any], crops: np.ndarray, *, is_drawn: bool) -> Gate:
    count = len(crops)
    strange = strangers.make(crops, np.random.default_rng(0))
    if not is_drawn:
        from dfjax.familiarity import drawn  # loads decoders, which evaluating does without

        faces = drawn.make(round(_DRAWN_SHARE * count), run.crop_spec, np.random.default_rng(1))
        strange = np.concatenate([strange, faces])
    model, image_size = models.for_backend(run.model), run.config.data.image_size
    maps = features.choose_maps(model, variables, image_size)
    look = jax.jit(functools.partial(gate.look, model=model, image_size=image_size, maps=maps))
    found = _in_batches(lambda batch: look(variables, batch)[1], np.concatenate([crops, strange]))
    statistics = fit.fit(found[:count], found[count:], features.count_details(maps))
    fitted_on = {"training": count, "strangers": len(strange)}
    return Gate(Embedding(_METHOD, maps, store.digest(statistics), fitted_on), statistics)


def _in_batches(look: Callable[[np.ndarray], jax.Array], crops: np.ndarray) -> np.ndarray:
    """The features [N, D] of crops; all batches have one size, so that JAX compiles once."""
    found = []
    with progress.Progress("learn what faces are like", len(crops)) as bar:
        for start in range(0, len(crops), _BATCH):
            batch = crops[start : start + _BATCH]
            padded = np.pad(batch, ((0, _BATCH - len(batch)), (0, 0), (0, 0), (0, 0)))
            found.append(np.asarray(look(padded))[: len(batch)])
            bar.update(start + len(batch))
    return np.concatenate(found)
