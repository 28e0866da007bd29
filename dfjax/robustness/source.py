"""Where the faces of distorted clips come from: `full_frames`, or else `stored_crops`."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dfjax.distortions.suite import Condition


@dataclasses.dataclass(frozen=True)
class ClipFaces:
    """The faces of one clip, which may be none.

    Attributes:
      clip: its whole key.
      label: 0 real, 1 fake.
      method: "real", or the forgery method.
      frame, face: int [N], the number of the frame in the clip, and of the face in the frame.
      time: float [N], seconds from the first frame; NaN: unknown.
      crops: N of them, uint8 [S, S, 3], as the model takes them.
    """

    clip: str
    label: int
    method: str
    frame: np.ndarray
    face: np.ndarray
    time: np.ndarray
    crops: Sequence[np.ndarray]

    @classmethod
    def of(
        cls,
        clip: str,
        label: int,
        method: str,
        records: Sequence[Mapping[str, Any]],
        crops: Sequence[np.ndarray],
    ) -> "ClipFaces":
        """Returns the faces of crops that were, or will be, stored as these records."""
        columns = (np.array([each[name] for each in records]) for name in ("frame", "face", "time"))
        return cls(clip, label, method, *columns, crops)

    def __len__(self) -> int:
        return len(self.crops)


class Source(Protocol):
    """The clips of a split; its `len` is their number.

    Attributes:
      kind: "frames" or "crops", of which the faces are.
      note: what that means for the results, in words.
    """

    kind: str
    note: str

    def __len__(self) -> int: ...

    def read(self, condition: Condition, work: pathlib.Path) -> Iterator[ClipFaces]:
        """Yields the faces of every clip under a condition, the same ones every time.

        What is unfinished when it is interrupted may be kept in the folder `work`.
        """
        ...
