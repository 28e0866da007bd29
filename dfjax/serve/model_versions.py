"""Which model is served: the highest version on disk that passes a check."""

import asyncio
import dataclasses
import functools
import logging
import os
import pathlib
from collections.abc import Callable

import numpy as np

from dfjax import console, model_card, run_folder
from dfjax.errors import UserError
from dfjax.inference.detector import Detector
from dfjax.inference.report import NUM_SHOWN
from dfjax.inference.scorer import MAX_BATCH, Scorer

_log = logging.getLogger(__name__)

# A version and its files (path, size, time). Once loaded or refused, it is left alone until they
# change.
_State = tuple[int, tuple[tuple[str, int, int], ...]]


@dataclasses.dataclass(frozen=True)
class ModelVersion:
    """A model that serves.

    Attributes:
      number: the name of its folder, or the step of a model without versions.
      detector: the model.
    """

    number: int
    detector: Detector


class ModelVersions:
    """The versions in one folder.

    Attributes:
      current: the one that serves. Replaced as a whole: a request keeps what it began with.
      num_refused: versions that did not load or did not pass the check.
      num_poll_errors: looks at the folder that failed.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        runtime: str | None = None,
        expect: str | None = None,
        on_change: Callable[[ModelVersion], None] = lambda _: None,
    ):
        """Loads the highest version that passes; calls `on_change` with it and with later ones.

        Raises:
          UserError: there is none, or none passes; the message has the reason of the lowest.
        """
        self._path, self._on_change = pathlib.Path(path), on_change
        self._load = functools.partial(load_version, runtime=runtime, expect=expect)
        self._refused: set[_State] = set()
        self._poll_errors: set[str] = set()  # those that the log has
        self.num_refused = self.num_poll_errors = 0
        folders = find_versions(self._path)
        if not folders:
            raise UserError(
                f"{path} holds no model: give a finished run, an export, or a folder of integer "
                "versions of them"
            )
        for number, folder in sorted(folders.items(), reverse=True):
            self._state = _state_of(number, folder)
            try:
                self.current = self._load(number, folder)
                break
            except Exception as error:
                if number == min(folders):
                    raise UserError(f"{folder} does not serve: {_short(error)}") from error
                self._refuse(number, self._state, error)
        on_change(self.current)

    async def watch(self, seconds: float) -> None:
        """Polls every so many seconds until it is cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.poll()
            except Exception as error:  # others write these files: they may hold anything
                self._note_poll_error(error)

    async def poll(self) -> None:
        """Changes to the highest version that passes, unless it serves already."""
        folders = await asyncio.to_thread(find_versions, self._path)
        for number in sorted(folders, reverse=True):
            state = await asyncio.to_thread(_state_of, number, folders[number])
            if state == self._state:
                return
            if state not in self._refused and await self._try(number, folders[number], state):
                return

    async def _try(self, number: int, folder: pathlib.Path, state: _State) -> bool:
        try:
            version = await asyncio.to_thread(self._load, number, folder)
        except Exception as error:  # a damaged file makes a runtime raise anything
            self._refuse(number, state, error)
            return False
        self.current, self._state = version, state
        self._on_change(version)
        _log.info("version %d serves", number)
        return True

    def _note_poll_error(self, error: Exception) -> None:
        self.num_poll_errors += 1
        message = f"{type(error).__name__}: {_short(error)}"
        if message not in self._poll_errors:
            self._poll_errors.add(message)
            _log.error("cannot look for versions of the model, and goes on trying: %s", message)

    def _refuse(self, number: int, state: _State, error: Exception) -> None:
        self._refused.add(state)
        self.num_refused += 1
        _log.error("version %d refused: %s", number, _short(error))


def find_versions(path: pathlib.Path) -> dict[int, pathlib.Path]:
    """Returns the models at `path` by version: the one in `path` itself, or its subfolders."""
    if (path / model_card.FILE).is_file():
        return {max(1, model_card.read(path).step): path}
    if not path.is_dir():
        return {}
    return {
        int(folder.name): folder
        for folder in path.iterdir()
        if folder.name.isdecimal() and (folder / model_card.FILE).is_file()
    }


def load_version(
    number: int, folder: pathlib.Path, *, runtime: str | None = None, expect: str | None = None
) -> ModelVersion:
    """Returns the model in `folder`, checked and compiled for every batch size.

    Raises:
      UserError: its scores are not probabilities, or not the same twice.
    """
    detector = Detector.load(folder, runtime=runtime, expect=expect)
    _check(detector.scorer)
    return ModelVersion(number, detector)


def _check(scorer: Scorer) -> None:
    size = scorer.card.crop_spec.size
    crops = np.random.default_rng(0).integers(0, 256, (MAX_BATCH, size, size, 3), np.uint8)
    # A runtime compiles once per power of two: do it now, so that no request waits for it.
    for count in (1 << power for power in range(MAX_BATCH.bit_length())):
        scores = scorer.scores(crops[:count])
        if not (np.isfinite(scores) & (scores >= 0) & (scores <= 1)).all():
            raise UserError(f"scores of a test batch are not probabilities: {scores[:3]}")
    if not np.allclose(scores, scorer.scores(crops), rtol=0, atol=1e-6):
        raise UserError("the same batch has other scores the second time")
    for count in range(1, NUM_SHOWN + 1):
        scorer.heat_maps(crops[:count])


def _state_of(number: int, folder: pathlib.Path) -> _State:
    # A run goes on writing checkpoints: only its card says which of them is the model.
    files = [folder / model_card.FILE] if run_folder.is_run(folder) else folder.rglob("*")
    states = []
    for file in files:
        status = file.lstat()  # a link may lead nowhere
        states.append((str(file.relative_to(folder)), status.st_size, status.st_mtime_ns))
    return number, tuple(sorted(states))


def _short(error: Exception) -> str:
    return console.one_line(error)[:500]
