"""The crops of finished clips on disk, and how it went with every clip."""

import dataclasses
import errno
import fcntl
import json
import os
import pathlib
import zlib
from typing import Any

import numpy as np

from dfjax.corpora.clip import Clip
from dfjax.errors import UserError
from dfjax.preparation.crop_clip import ClipCrops

_ROW_FIELDS = ("frame", "face", "landmarks", "box", "scale", "padded")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How it went with a clip: crops where `code` is "", else `message` says why there are none."""

    code: str = ""
    message: str = ""
    frames: int = 0
    frames_with_face: int = 0
    crops: int = 0
    damaged: bool = False
    own_boxes: bool = False

    @property
    def failed(self) -> bool:
        """Whether the file could not be used; one without a face could."""
        return self.code not in ("", "no_face")


def make_outcome(found: ClipCrops) -> Outcome:
    """Returns how it went with a clip that gave these crops."""
    code = message = ""
    if not found.crops:
        code = "no_face"
        where = f" in any of {found.num_frames} frames" if found.num_frames > 1 else ""
        message = f"no face found{where}: try upsample 1, or leave the file out"
    return Outcome(
        code=code,
        message=message,
        frames=found.num_frames,
        frames_with_face=len({crop["frame"] for crop in found.crops}),
        crops=len(found.crops),
        damaged=found.damaged,
        own_boxes=found.own_boxes,
    )


class CropStore:
    """The crops of finished clips, appended to one file as they come; a context manager.

    A clip is known by its key and its file's size and time of change: a file that was replaced
    counts as unfinished, and so does a folder in which a frame came, went or was replaced. What a
    killed run left half-written at the end is cut off. Other hosts write files of their own, each
    a `CropStore`, in the folder `parts`; `collect` takes in what they hold so far.
    """

    def __init__(self, path: str | os.PathLike):
        """Opens the file `path`, or makes it.

        Raises:
          UserError: another process works with it.
          OSError: it cannot be opened or made.
        """
        self.path = pathlib.Path(path)
        self._end = open(path, "ab", buffering=0)  # noqa: SIM115  closed by __exit__
        try:
            fcntl.flock(self._end, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{path} is in use by another run: wait for it, or stop it") from error
        self._notes: dict[tuple, dict[str, Any]] = {}
        self._end.truncate(self._index(self.path))
        self.collect()

    def __enter__(self) -> "CropStore":
        return self

    def __exit__(self, *_: Any) -> None:
        self._end.close()

    @property
    def parts(self) -> pathlib.Path:
        """The folder in which other hosts write."""
        return self.path.with_name(f"{self.path.name}.parts")

    @property
    def num_known(self) -> int:
        """How many clips it knows the outcome of."""
        return len(self._notes)

    def collect(self) -> None:
        """Takes in the parts, of which a later one counts more, as far as they are written."""
        for part in sorted(self.parts.glob("*"), key=os.path.getmtime):
            self._index(part)

    def save(self, clip: Clip, found: ClipCrops) -> None:
        """Keeps what a clip gave, all of it or nothing.

        Raises:
          OSError: there is no room.
        """
        num_landmarks = len(found.crops[0]["landmarks"]) if found.crops else 0
        rows = np.zeros(len(found.crops), _row_dtype(num_landmarks))
        for row, crop in zip(rows, found.crops, strict=True):
            for name in _ROW_FIELDS:
                row[name] = crop[name]
            row["image_size"] = len(crop["image"])
        data = rows.tobytes() + b"".join(crop["image"] for crop in found.crops)
        self._append(clip, make_outcome(found), num_landmarks, data)

    def save_failure(self, clip: Clip, outcome: Outcome) -> None:
        """Keeps why a clip gave nothing, for whoever collects this part.

        Raises:
          OSError: there is no room.
        """
        self._append(clip, outcome, 0, b"")

    def outcome(self, clip: Clip) -> Outcome | None:
        """Returns how it went with a clip, None if that is not known."""
        note = self._notes.get(_identity(clip))
        return Outcome(**note["outcome"]) if note else None

    def crops(self, clip: Clip) -> list[dict[str, Any]]:
        """Returns the crops of a finished clip, as saved.

        Raises:
          UserError: the clip is not finished, its file was replaced, or the crops were damaged.
        """
        note = self._notes.get(_identity(clip))
        if note is None:
            raise UserError(f"{clip.path} changed while it was being read: run again")
        with open(note["path"], "rb") as file:
            file.seek(note["start"])
            data = file.read(note["size"])
        if zlib.crc32(data) != note["crc32"]:
            raise UserError(f"{note['path']} is damaged: delete it and run again")
        rows = np.frombuffer(data, _row_dtype(note["num_landmarks"]), note["outcome"]["crops"])
        ends = rows.nbytes + np.cumsum(rows["image_size"])
        return [
            {
                "image": data[end - row["image_size"] : end],
                **{name: row[name] for name in _ROW_FIELDS},
            }
            for row, end in zip(rows, ends, strict=True)
        ]

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
        self._notes[note["clip"]] = {**note, "path": self.path, "start": before + len(line)}

    def _index(self, path: pathlib.Path) -> int:
        """Notes where the clips are in a file; returns where the last complete one ends."""
        end = 0
        with open(path, "rb") as file:
            length = os.fstat(file.fileno()).st_size
            while line := file.readline():
                start = end + len(line)
                try:
                    note = json.loads(line)
                except ValueError:
                    break
                if not line.endswith(b"\n") or start + note["size"] > length:
                    break
                self._notes[tuple(note["clip"])] = {**note, "path": path, "start": start}
                end = file.seek(start + note["size"])
        return end


def _identity(clip: Clip) -> tuple[str, int, int]:
    try:
        return (clip.key, size_of(clip.path), os.stat(clip.path).st_mtime_ns)
    except OSError:
        return (clip.key, -1, -1)


def size_of(path: str) -> int:
    """Returns the bytes of a file, the number of entries of a folder, -1 where nothing is."""
    if os.path.isdir(path):
        return len(os.listdir(path))  # its own size depends on the file system
    return os.stat(path).st_size if os.path.exists(path) else -1


def _row_dtype(num_landmarks: int) -> np.dtype:
    return np.dtype(
        [
            ("frame", np.int32),
            ("face", np.int32),
            ("landmarks", np.float32, (num_landmarks, 2)),
            ("box", np.float32, 4),
            ("scale", np.float32),
            ("padded", np.float32),
            ("image_size", np.int64),
        ]
    )
