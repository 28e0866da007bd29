"""The crops of finished clips on disk, and the outcome of every clip.

Must not import TFDS or JAX, because every worker process imports it.
"""

import dataclasses
import errno
import fcntl
import json
import os
import pathlib
import zlib
from collections.abc import Mapping
from typing import Any

from dfjax.corpora.clip import Clip
from dfjax.errors import UserError
from dfjax.preparation import crop_rows
from dfjax.preparation.crop_clip import ClipCrops


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a clip.

    Attributes:
      code: "" if it gave crops; "no_face", the code of a `MediaError`, "internal" or "worker_died"
        if it did not.
      message: why it gave none.
      frames: how many frames were searched.
      frames_with_face: how many of them gave a crop.
      crops: how many crops it gave.
      damaged, notes, own_boxes: as in `ClipCrops`.
    """

    code: str = ""
    message: str = ""
    frames: int = 0
    frames_with_face: int = 0
    crops: int = 0
    damaged: bool = False
    notes: tuple[str, ...] = ()
    own_boxes: bool = False

    @property
    def failed(self) -> bool:
        """Whether the file could not be used; a file without a face could."""
        return self.code not in ("", "no_face")


def outcome_of(fields: Mapping[str, Any]) -> Outcome:
    """Returns an outcome of its fields, as JSON has them."""
    return Outcome(**{**fields, "notes": tuple(fields["notes"])})


def make_outcome(clip_crops: ClipCrops) -> Outcome:
    """Returns the outcome of a clip that gave these crops, or none."""
    code = message = ""
    if not clip_crops.crops:
        code = "no_face"
        where = f" in any of {clip_crops.num_frames} frames" if clip_crops.num_frames > 1 else ""
        message = f"no face found{where}: try upsample 1, or leave the file out"
    return Outcome(
        code=code,
        message=message,
        frames=clip_crops.num_frames,
        frames_with_face=len({crop["frame"] for crop in clip_crops.crops}),
        crops=len(clip_crops.crops),
        damaged=clip_crops.damaged,
        notes=clip_crops.notes,
        own_boxes=clip_crops.own_boxes,
    )


class CropStore:
    """The crops of finished clips, appended to one file as they come; a context manager.

    The file holds, for each clip, a line of JSON (its note) and then the crops as `crop_rows`. A
    clip is identified by its key and by its file's size and time of change: a file that was
    replaced counts as unfinished, and so does a folder in which a frame came, went or was replaced.
    What a killed run left half-written at the end is cut off.
    """

    def __init__(self, path: str | os.PathLike):
        """Opens the file `path`, or makes it.

        Raises:
          UserError: another process has it open.
          OSError: it cannot be opened or made.
        """
        self.path = pathlib.Path(path)
        self._end = open(path, "ab", buffering=0)  # noqa: SIM115  closed by __exit__
        try:
            fcntl.flock(self._end, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._end.close()
            raise UserError(f"{path} is in use by another run: wait for it, or stop it") from error
        self._notes: dict[tuple, dict[str, Any]] = {}
        self._end.truncate(self._index())

    def __enter__(self) -> "CropStore":
        return self

    def __exit__(self, *_: Any) -> None:
        self._end.close()

    def save(self, clip: Clip, clip_crops: ClipCrops) -> None:
        """Stores the crops of a clip, all of them or nothing.

        Raises:
          OSError: there is no room.
        """
        num_landmarks = crop_rows.num_landmarks(clip_crops.crops)
        data = crop_rows.encode(clip_crops.crops)
        self._append(clip, make_outcome(clip_crops), num_landmarks, data)

    def outcome(self, clip: Clip) -> Outcome | None:
        """Returns the outcome of a clip, None if none is stored."""
        note = self._notes.get(_identity(clip))
        if note is None:
            return None
        return outcome_of(note["outcome"])

    def crops(self, clip: Clip) -> list[dict[str, Any]]:
        """Returns the crops of a finished clip, as they were saved.

        Raises:
          UserError: the clip is not finished, its file was replaced, or the crops were damaged.
        """
        note = self._notes.get(_identity(clip))
        if note is None:
            raise UserError(f"{clip.path} changed while it was being read: run again")
        with open(self.path, "rb") as file:
            file.seek(note["start"])
            data = file.read(note["size"])
        if zlib.crc32(data) != note["crc32"]:
            raise UserError(f"{self.path} is damaged: delete it and run again")
        return crop_rows.decode(
            data, num_crops=note["outcome"]["crops"], num_landmarks=note["num_landmarks"]
        )

    def _append(self, clip: Clip, outcome: Outcome, num_landmarks: int, data: bytes) -> None:
        note = {
            "clip": _identity(clip),
            "outcome": dataclasses.asdict(outcome),
            "num_landmarks": num_landmarks,
            "size": len(data),
            "crc32": zlib.crc32(data),
        }
        line = f"{json.dumps(note)}\n".encode()
        before = self._end.tell()
        try:
            if self._end.write(line + data) < len(line + data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._end.truncate(before)
            reason = f"{self.path} cannot be written ({error.strerror}): make room and run again"
            raise OSError(reason) from error
        self._notes[note["clip"]] = {**note, "start": before + len(line)}

    def _index(self) -> int:
        """Indexes the clips of the file; returns where the last complete one ends."""
        end = 0
        with open(self.path, "rb") as file:
            length = os.fstat(file.fileno()).st_size
            while line := file.readline():
                start = end + len(line)
                try:
                    note = json.loads(line)
                except ValueError:
                    break
                if not line.endswith(b"\n") or start + note["size"] > length:
                    break
                self._notes[tuple(note["clip"])] = {**note, "start": start}
                end = file.seek(start + note["size"])
        return end


def _identity(clip: Clip) -> tuple[str, int, int]:
    try:
        return (clip.key, size_of(clip.path), os.stat(clip.path).st_mtime_ns)
    except OSError:
        return (clip.key, -1, -1)


def size_of(path: str) -> int:
    """Returns the bytes of a file, the number of entries of a folder, or -1 if it is unreadable."""
    try:
        # The own size of a folder depends on the file system.
        return len(os.listdir(path)) if os.path.isdir(path) else os.stat(path).st_size
    except OSError:
        return -1
