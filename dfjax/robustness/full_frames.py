"""The full frames of the files of a corpus, distorted before faces are found in them."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

from dfjax.corpora.clip import Clip
from dfjax.distortions.suite import Condition
from dfjax.errors import UserError
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.media import image as media_image
from dfjax.preparation import workers
from dfjax.preparation.crop_store import CropStore
from dfjax.preparation.workers import Cropping
from dfjax.robustness.source import ClipFaces


class FullFrames:
    """A `Source` of the files that a prepared split was made of, cropped as that was."""

    kind = "frames"
    note = "full frames were distorted, then searched for faces; a clip that shows none scores 0.5"

    def __init__(self, target: EvalTarget, clips: Sequence[Clip], jobs: int):
        """`clips` are those of the corpus, `jobs` the number of processes.

        Raises:
          UserError: a clip of the split is not among `clips`, or the dataset has no such split.
        """
        by_key = {clip.key: clip for clip in clips}
        wanted = sorted(set(target.records.column("clip").tolist()))
        if missing := [key for key in wanted if key not in by_key]:
            raise UserError(
                f"{len(missing)} of {len(wanted)} clips of {target.name} are not in the corpus, "
                f"such as {missing[0]}: give the --corpus and the --root that it was prepared from"
            )
        self._clips = [by_key[key] for key in wanted]
        self._spec = target.dataset.crop_spec
        self._num_frames = int(target.dataset.metadata["frames"])
        self._jobs = jobs

    def __len__(self) -> int:
        return len(self._clips)

    def read(self, condition: Condition, work: pathlib.Path) -> Iterator[ClipFaces]:
        """Yields the faces of every clip.

        Raises:
          UserError: a file cannot be used any more.
        """
        work.mkdir(parents=True, exist_ok=True)
        path = work / str(condition)
        cropping = Cropping(
            self._spec,
            self._num_frames,
            module="dfjax.robustness.tasks",
            distortion=dataclasses.asdict(condition),
        )
        with CropStore(path) as store:
            finished = {clip.key for clip in self._clips if store.outcome(clip) is not None}
            yield from (_faces(clip, store) for clip in self._clips if clip.key in finished)
            unfinished = [clip for clip in self._clips if clip.key not in finished]
            for clip, outcome in workers.crop_clips(unfinished, store, cropping, jobs=self._jobs):
                if outcome.failed:
                    raise UserError(f"{clip.key}, {condition}: {outcome.message}")
                yield _faces(clip, store)
        path.unlink()


def _faces(clip: Clip, store: CropStore) -> ClipFaces:
    records = store.crops(clip)
    crops = [media_image.decode_image(record["image"]) for record in records]
    return ClipFaces.of(clip.key, clip.label, clip.method, records, crops)
