"""How a dataset is made from clips, and whether two datasets were made alike.

Must not import TFDS or JAX, because every worker process imports it.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from dfjax.corpora.clip import Clip
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import video
from dfjax.preparation import crop_store


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a dataset is made from clips.

    Attributes:
      spec: how faces are cut out.
      num_frames: frames of a video, evenly spread.
      boxes_from_original: whether a fake is cut where its original shows faces; see `crop_clip`.
      seed: that of the splits, or of the drawing. It shaped the clips, and is noted only.
      synthetic: whether a program drew the clips; noted only.
      strict: the rule of `corpora.strict_rules`; None if the corpus takes none. Noted only.
    """

    spec: CropSpec
    num_frames: int = 32
    boxes_from_original: bool = False
    seed: int = 0
    synthetic: bool = False
    strict: bool | str | None = None

    def of_crops(self) -> dict[str, Any]:
        """Returns what decides the crops of a clip, as plain JSON."""
        return {
            "decoding": video.DECODING,
            "frames": self.num_frames,
            "boxes_from_original": self.boxes_from_original,
            "crop_spec": self.spec.to_json(),
        }

    def identity(self, clips: Sequence[Clip]) -> dict[str, Any]:
        """Returns what decides the records of the dataset of `clips`, as plain JSON."""
        return {**self.of_crops(), "clips": digest(clips)}

    def metadata(self, clips: Sequence[Clip]) -> dict[str, Any]:
        """Returns what the metadata of the dataset of `clips` say about how it was made."""
        corpus = clips[0].key.split("/")[0]
        noted = {"seed": self.seed, "synthetic": self.synthetic, "strict": self.strict}
        return {**self.identity(clips), "corpus": corpus, **noted}


def differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yields what is different in `old`, for each name in `new` and in the dicts that it holds."""
    for name, value in new.items():
        if isinstance(value, dict):
            yield from differences(old.get(name) or {}, value)
        elif old.get(name) != value:
            yield f"{name} {old.get(name)!r} instead of {value!r}"


def digest(clips: Sequence[Clip]) -> str:
    """Returns a text that changes with anything in the records that the clips decide."""
    rows = sorted(
        (
            clip.key,
            clip.label,
            clip.method,
            clip.split,
            clip.origin_ids,
            crop_store.size_of(clip.path),
            *([clip.frame] if clip.frame else []),
            *([] if clip.same_frame else ["other frame"]),
        )
        for clip in clips
    )
    return f"{len(clips)} clips, sha256 {hashlib.sha256(repr(rows).encode()).hexdigest()[:16]}"
