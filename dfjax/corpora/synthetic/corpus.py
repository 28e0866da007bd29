"""A corpus of talking heads and their forgeries, rendered from nothing: what a clone trains on.

It stands in for the corpora that need a licence: real .mp4 files, identity-disjoint splits, every
fake made from an original of the same corpus. Scores on it say that the machinery works and nothing
about real faces, so every place that prints one says "synthetic". Imports neither dlib nor JAX.
"""

import concurrent.futures
import functools
import hashlib
import multiprocessing
import os
import pathlib
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from dfjax import files, progress
from dfjax.corpora.synthetic import forgery, head, scene
from dfjax.corpora.synthetic.settings import Settings
from dfjax.errors import UserError
from dfjax.media import video

METHODS = tuple(forgery.FORGERIES)
TAKES = 2  # of each identity
COLUMNS = ("path", "label", "split", "group", "method", "pair")
# Any six identities in a row hold all splits; two thirds train.
_SPLITS = ("train", "train", "train", "train", "val", "test")


def write_corpus(root: str | os.PathLike, settings: Settings, *, jobs: int = 1) -> pathlib.Path:
    """Writes `root`/clips/*.mp4 and `root`/manifest.csv, and returns the path of the manifest.

    `TAKES` originals of each identity, and one fake of each original, by one of the `METHODS` in
    turn: with 18 identities or a multiple, every split has equally many fakes of each. The files
    depend on `settings` alone, not on `jobs`, the number of processes. Clips that an interrupted
    call has finished are kept.

    Raises:
      UserError: fewer than 12 identities; each split needs two, one to lend a face to the other.
    """
    people = settings.identities
    if people < 12:
        raise UserError(f"identities is {people}: use 12 or more, so that each split has two")
    clips = pathlib.Path(root) / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    write = functools.partial(_write_pair, clips, settings)
    takes = [(person, take) for person in range(people) for take in range(TAKES)]
    rows = []
    with progress.Progress("synthetic corpus", len(takes), unit="takes") as bar:
        for done, pair in enumerate(_map(write, takes, jobs), 1):
            rows += pair
            bar.update(done)
    return _write_manifest(clips.parent / "manifest.csv", rows)


def film(settings: Settings, person: int, take: int) -> scene.Take:
    """Returns a take of the identity number `person`, as the camera saw it."""
    rng = np.random.default_rng([settings.seed, 1, person, take])
    return scene.film(_identity(settings, person), settings.frames, rng)


def forge(settings: Settings, person: int, take: int, original: scene.Take) -> list[np.ndarray]:
    """Returns the frames of the fake of `original`, by the method that belongs to the take."""
    rng = np.random.default_rng([settings.seed, 2, person, take])
    donor = _identity(settings, _donor(settings, person, take))
    return forgery.FORGERIES[_method(person, take)](original, donor, rng)


def _identity(settings: Settings, person: int) -> head.Identity:
    return head.make_identity(np.random.default_rng([settings.seed, 0, person]))


def _donor(settings: Settings, person: int, take: int) -> int:
    """The identity whose face goes into the fake of a take: another one of the same split."""
    split = _split(person)
    others = [i for i in range(settings.identities) if i != person and _split(i) == split]
    rng = np.random.default_rng([settings.seed, 3, person, take])
    return int(rng.choice(others))


def _method(person: int, take: int) -> str:
    """The forgery of a take, in turn by blocks of identities, so that every split gets them all."""
    return METHODS[(person // len(_SPLITS) + take) % len(METHODS)]


def _split(person: int) -> str:
    return _SPLITS[person % len(_SPLITS)]


def _write_pair(
    clips: pathlib.Path, settings: Settings, person_take: tuple[int, int]
) -> list[dict[str, str]]:
    """Writes a take and its fake unless both are there; returns their rows of the manifest."""
    person, take = person_take
    method, pair = _method(person, take), f"{person:03d}_{take}"
    paths = [clips / _file_name(settings, pair, name) for name in ("real", method)]
    if not all(path.exists() for path in paths):
        original = film(settings, person, take)
        fake = forge(settings, person, take, original)
        crf = int(np.random.default_rng([settings.seed, 4, person, take]).integers(18, 26))
        for path, frames in zip(paths, (original.frames, fake), strict=True):
            _write_clip(path, frames, crf)
    people = {person} if method == "mouth" else {person, _donor(settings, person, take)}
    shared = {"split": _split(person), "pair": pair}
    return [
        shared | _row(paths[0], "real", "real", {person}),
        shared | _row(paths[1], "fake", method, people),
    ]


def _row(path: pathlib.Path, label: str, method: str, people: set[int]) -> dict[str, str]:
    group = ";".join(f"person{i:03d}" for i in sorted(people))
    return {"path": f"clips/{path.name}", "label": label, "method": method, "group": group}


def _file_name(settings: Settings, pair: str, method: str) -> str:
    """A name that tells nothing of the label, and is another one under other settings."""
    text = f"{settings} {pair} {method}"
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest() + ".mp4"


def _write_clip(path: pathlib.Path, frames: list[np.ndarray], crf: int) -> None:
    with files.replacing(path) as unfinished:
        video.write_video(unfinished, frames, fps=scene.FPS, crf=crf)


def _write_manifest(path: pathlib.Path, rows: list[dict[str, str]]) -> pathlib.Path:
    rows = sorted(rows, key=lambda row: (row["pair"], row["label"] == "fake"))
    files.replace_csv(path, COLUMNS, ([row[name] for name in COLUMNS] for row in rows))
    return path


def _map(function: Callable, items: list, jobs: int) -> Iterator:
    """Yields the results in the order of `items`."""
    if jobs == 1:
        yield from map(function, items)
        return
    # Spawned, because a fork of a process that runs JAX or OpenCV threads may hang.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, context, cv2.setNumThreads, (1,)) as pool:
        try:
            yield from pool.map(function, items)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
