"""Which model is served: the highest version on disk that passes a test, changed while serving."""

import asyncio
import dataclasses
import logging
import os
import pathlib
from collections.abc import Callable

import numpy as np

from dfjax import model_card, run
from dfjax.errors import UserError
from dfjax.inference.detector import Detector
from dfjax.inference.scorer import MAX_BATCH, Scorer

_log = logging.getLogger(__name__)

_NUM_STRONGEST = 4  # faces of a report that get a heat map
# What a version's files looked like: loaded or refused, it is left alone until they change.
_State = tuple[int, tuple[tuple[str, int, int], ...]]


@dataclasses.dataclass(frozen=True)
class Version:
    """A model that serves; `number` is its folder's, or the step of a model without versions."""

    number: int
    detector: Detector


class Versions:
    """The versions below one path.

    Attributes:
      current: the one that serves. Replaced as a whole: a request keeps what it began with.
      num_refused: versions that were found and not taken.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        runtime: str | None = None,
        changed: Callable[[Version], None] = lambda _: None,
    ):
        """Loads the highest version that passes; `changed` is called with it and all that follow.

        Raises:
          UserError: there is none, or none passes; the message has the reason of the lowest.
        """
        self._path, self._runtime, self._changed = pathlib.Path(path), runtime, changed
        self._refused: set[_State] = set()
        self.num_refused = 0
        found = find_versions(self._path)
        if not found:
            raise UserError(
                f"{path} holds no model: give a finished run, an export, or a folder of integer "
                "versions of them"
            )
        for number, folder in sorted(found.items(), reverse=True):
            self._state = _state_of(number, folder)
            try:
                self.current = load_version(number, folder, runtime)
                break
            except Exception as error:
                if number == min(found):
                    raise UserError(f"{folder} does not serve: {_one_line(error)}") from error
                self._refuse(number, self._state, error)
        changed(self.current)

    async def poll(self) -> None:
        """Takes the highest version that passes, if it is not the one that serves already."""
        found = await asyncio.to_thread(find_versions, self._path)
        for number in sorted(found, reverse=True):
            state = await asyncio.to_thread(_state_of, number, found[number])
            if state == self._state:
                return
            if state not in self._refused and await self._try(number, found[number], state):
                return

    async def _try(self, number: int, folder: pathlib.Path, state: _State) -> bool:
        try:
            version = await asyncio.to_thread(load_version, number, folder, self._runtime)
        except Exception as error:  # of whatever kind a damaged file makes a runtime raise
            self._refuse(number, state, error)
            return False
        self.current, self._state = version, state
        self._changed(version)
        _log.info("version %d serves", number)
        return True

    def _refuse(self, number: int, state: _State, error: Exception) -> None:
        self._refused.add(state)
        self.num_refused += 1
        _log.error("version %d refused: %s", number, _one_line(error))


def find_versions(path: pathlib.Path) -> dict[int, pathlib.Path]:
    """Returns the models at `path` by version: the one that it holds itself, or its subfolders."""
    if (path / model_card.FILE).is_file():
        return {max(1, model_card.read(path).step): path}
    if not path.is_dir():
        return {}
    return {
        int(folder.name): folder
        for folder in path.iterdir()
        if folder.name.isdecimal() and (folder / model_card.FILE).is_file()
    }


def load_version(number: int, folder: pathlib.Path, runtime: str | None = None) -> Version:
    """Returns the model in `folder`, tested and compiled for every batch size.

    Raises:
      UserError: its scores are no probabilities, or not the same twice.
    """
    detector = Detector.load(folder, runtime=runtime)
    _test(detector.scorer)
    return Version(number, detector)


def _test(model: Scorer) -> None:
    size = model.card.crop_spec.size
    crops = np.random.default_rng(0).integers(0, 256, (MAX_BATCH, size, size, 3), np.uint8)
    # A runtime compiles once per power of two: no request shall wait for that.
    for count in (1 << power for power in range(MAX_BATCH.bit_length())):
        scores = model.scores(crops[:count])
        if not (np.isfinite(scores) & (scores >= 0) & (scores <= 1)).all():
            raise UserError(f"scores of a test batch are no probabilities: {scores[:3]}")
    if not np.allclose(scores, model.scores(crops), rtol=0, atol=1e-6):
        raise UserError("the same batch scores otherwise the second time")
    for count in range(1, _NUM_STRONGEST + 1):
        model.heat_maps(crops[:count])


def _state_of(number: int, folder: pathlib.Path) -> _State:
    # A run goes on writing checkpoints: its card alone says which of them is the model.
    is_run = (folder / run.CONFIG_FILE).is_file()
    files = [folder / model_card.FILE] if is_run else folder.rglob("*")
    seen = []
    for file in files:
        status = file.stat()
        seen.append((str(file.relative_to(folder)), status.st_size, status.st_mtime_ns))
    return number, tuple(sorted(seen))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
