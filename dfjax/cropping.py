"""Clips to crops in worker processes, kept on disk as they come.

Imports no TFDS and no JAX: every worker process imports this module.
"""

import collections
import concurrent.futures
import dataclasses
import errno
import fcntl
import functools
import json
import multiprocessing
import os
import pathlib
import signal
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import cv2
import numpy as np

from dfjax.corpora.clip import Clip
from dfjax.faces.align import CropSpec
from dfjax.faces.crop import crop_faces
from dfjax.faces.detect import FaceFinder
from dfjax.media import image as media_image
from dfjax.media import limits
from dfjax.media import video as media_video
from dfjax.media.errors import MediaError

_ROW_FIELDS = ("frame", "face", "landmarks", "box", "scale", "padded")
_DAMAGED_BELOW = 0.9  # a video that decodes to a smaller share of the frames it declares
_CLIPS_AHEAD = 4  # per worker: enough to keep it busy, few to try again when one dies


@dataclasses.dataclass(frozen=True)
class ClipCrops:
    """What a clip gave: one dict per crop, in order of frame and face, and what was looked at.

    A crop has `image` (encoded), `frame` (position among the frames that decode), `face` (within
    the frame, by falling size), and `landmarks`, `box`, `scale` and `padded` of `align.Crop`.
    `num_frames` were looked at; `damaged` says that far fewer decode than the file declares.
    """

    crops: list[dict[str, Any]]
    num_frames: int
    damaged: bool


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How it went with a clip: crops where `code` is "", else `message` says why there are none."""

    code: str = ""
    message: str = ""
    frames: int = 0
    frames_with_face: int = 0
    crops: int = 0
    damaged: bool = False


def crop_clip(clip: Clip, spec: CropSpec, num_frames: int) -> ClipCrops:
    """Returns the crops of one clip, a pure function of its file and of the other arguments.

    Of a video, `num_frames` frames as `read_video` spreads them; of a picture, itself.

    Raises:
      MediaError: the file cannot be used.
    """
    suffix = pathlib.PurePath(clip.path).suffix.lower()
    if suffix in media_video.VIDEO_SUFFIXES:
        video = media_video.read_video(clip.path, num_frames)
        frames, indices = video.frames, video.indices
        expected = min(video.num_declared, limits.MAX_VIDEO_FRAMES)
        damaged = video.num_decoded < _DAMAGED_BELOW * expected
    elif suffix in media_image.IMAGE_SUFFIXES:
        frames, indices, damaged = [media_image.read_image(clip.path)], [0], False
    else:
        accepted = " ".join(sorted(media_image.IMAGE_SUFFIXES | media_video.VIDEO_SUFFIXES))
        raise MediaError("unsupported", f"{clip.path}: its suffix is none of {accepted}")
    finder = FaceFinder(spec) if spec.crops == "align" else None
    crops = [
        {
            "image": media_image.encode_image(crop.image, spec.encoding),
            "frame": index,
            "face": face,
            "landmarks": crop.landmarks,
            "box": crop.box,
            "scale": crop.scale,
            "padded": crop.padded,
        }
        for index, frame in zip(indices, frames, strict=True)
        for face, crop in enumerate(crop_faces(frame, finder, spec))
    ]
    return ClipCrops(crops, len(frames), damaged)


class Work:
    """The crops of finished clips, appended to one file as they come; a context manager.

    A clip is known by its key and its file's size and time of change: a file that was replaced
    counts as unfinished. What a killed run left half-written at the end is cut off.
    """

    def __init__(self, path: str | os.PathLike):
        """Opens the file `path`, or makes it.

        Raises:
          ValueError: another process works with it.
          OSError: it cannot be opened or made.
        """
        self.path = pathlib.Path(path)
        self._end = open(path, "ab", buffering=0)  # noqa: SIM115  closed by __exit__
        try:
            fcntl.flock(self._end, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"{path} is in use by another run: wait for it, or stop it") from error
        self._file = open(path, "rb")  # noqa: SIM115
        self._notes: dict[tuple, dict[str, Any]] = {}
        self._end.truncate(self._index())

    def __enter__(self) -> "Work":
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()
        self._end.close()

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
        note = {
            "clip": _identity(clip),
            "outcome": dataclasses.asdict(_outcome(found)),
            "num_landmarks": num_landmarks,
            "size": len(data),
            "crc32": zlib.crc32(data),
        }
        start = self._append(f"{json.dumps(note)}\n".encode(), data)
        self._notes[note["clip"]] = {**note, "start": start}

    def outcome(self, clip: Clip) -> Outcome | None:
        """Returns how it went with a finished clip, None for another."""
        note = self._notes.get(_identity(clip))
        return Outcome(**note["outcome"]) if note else None

    def crops(self, clip: Clip) -> list[dict[str, Any]]:
        """Returns the crops of a finished clip, as saved.

        Raises:
          ValueError: the clip is not finished, its file was replaced, or the crops were damaged.
        """
        note = self._notes.get(_identity(clip))
        if note is None:
            raise ValueError(f"{clip.path} changed while it was being read: run again")
        self._file.seek(note["start"])
        data = self._file.read(note["size"])
        if zlib.crc32(data) != note["crc32"]:
            raise ValueError(f"{self.path} is damaged: delete it and run again")
        rows = np.frombuffer(data, _row_dtype(note["num_landmarks"]), note["outcome"]["crops"])
        ends = rows.nbytes + np.cumsum(rows["image_size"])
        return [
            {
                "image": data[end - row["image_size"] : end],
                **{name: row[name] for name in _ROW_FIELDS},
            }
            for row, end in zip(rows, ends, strict=True)
        ]

    def _append(self, line: bytes, data: bytes) -> int:
        """Returns where the data start."""
        start = self._end.tell()
        try:
            if self._end.write(line + data) < len(line + data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._end.truncate(start)
            reason = f"{self.path} cannot be written ({error.strerror}): make room and run again"
            raise OSError(reason) from error
        return start + len(line)

    def _index(self) -> int:
        """Notes where the crops of every clip are; returns where the last complete ones end."""
        length, end = os.path.getsize(self.path), 0
        while line := self._file.readline():
            start = end + len(line)
            try:
                note = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n") or start + note["size"] > length:
                break
            self._notes[tuple(note["clip"])] = {**note, "start": start}
            end = self._file.seek(start + note["size"])
        return end


def _identity(clip: Clip) -> tuple[str, int, int]:
    try:
        status = os.stat(clip.path)
    except OSError:
        return (clip.key, -1, -1)
    return (clip.key, status.st_size, status.st_mtime_ns)


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


def crop_clips(
    clips: Sequence[Clip],
    work: Work,
    crop: Callable[[Clip], ClipCrops],
    *,
    jobs: int,
) -> Iterator[tuple[Clip, Outcome]]:
    """Yields clips with their outcomes as `jobs` processes finish them, the crops being in `work`.

    `crop` makes the crops, in a worker. Whatever it raises is that clip's outcome, and so is the
    death of its process, if it dies twice when the clip has a process to itself.

    Raises:
      OSError: crops cannot be kept; what is finished stays.
    """
    task = functools.partial(_try, crop)
    for clip, result in _in_processes(task, clips, jobs, ahead=_CLIPS_AHEAD):
        if isinstance(result, ClipCrops):
            work.save(clip, result)
            result = _outcome(result)
        yield clip, result


def _try(crop: Callable[[Clip], ClipCrops], clip: Clip) -> ClipCrops | Outcome:
    try:
        return crop(clip)
    except MediaError as error:
        return Outcome(error.code, _one_line(error))
    except Exception as error:  # one clip must not stop the others, whatever it finds in the code
        return Outcome("internal", _one_line(f"{clip.path}: {type(error).__name__}: {error}"))


def _outcome(found: ClipCrops) -> Outcome:
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
    )


def _one_line(message: Any) -> str:
    return " ".join(str(message).split())


def _in_processes(
    task: Callable[[Clip], Any], clips: Sequence[Clip], jobs: int, *, ahead: int, tries: int = 2
) -> Iterator[tuple[Clip, Any]]:
    """Yields clips with what `task` returns for them, or with the Outcome of a dead process.

    A process that dies takes those with it that share its pool: all of them are tried again, each
    by itself, and there up to `tries` times.
    """
    waiting = collections.deque(clips)
    while waiting:
        running: dict[concurrent.futures.Future, Clip] = {}
        pool = concurrent.futures.ProcessPoolExecutor(
            min(jobs, len(waiting)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
        )
        try:
            while waiting or running:
                while waiting and len(running) < ahead * jobs:
                    running[pool.submit(task, waiting[0])] = waiting[0]
                    waiting.popleft()
                done, _ = concurrent.futures.wait(running, return_when="FIRST_COMPLETED")
                for future in done:
                    result = future.result()
                    yield running.pop(future), result
        except BrokenProcessPool:
            suspects = list(running.values())
            if ahead * jobs > 1:
                yield from _in_processes(task, suspects, jobs=1, ahead=1)
            elif tries > 1:
                yield from _in_processes(task, suspects, jobs=1, ahead=1, tries=tries - 1)
            else:
                yield from ((clip, _death(clip)) for clip in suspects)
        finally:
            pool.shutdown(cancel_futures=True)


def _death(clip: Clip) -> Outcome:
    message = (
        f"{clip.path}: the process working on it died twice, by a crash or for lack of memory: "
        "look at the file, or give fewer jobs"
    )
    return Outcome("worker_died", message)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches every process: no traceback here
    cv2.setNumThreads(1)
    # A pool's worker waits for work for ever if its parent is killed.
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
