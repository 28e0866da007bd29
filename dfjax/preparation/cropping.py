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
import re
import signal
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import cv2
import numpy as np

from dfjax.corpora import layout
from dfjax.corpora.clip import Clip
from dfjax.faces.crop import crop_faces, cut_faces
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import Face, FaceFinder
from dfjax.faces.sequence import SequenceFinder
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

    A crop has `image` (encoded), `frame` (position among the frames of a video that decode, or
    among the pictures of a folder), `face` (within the frame, by falling size), and `landmarks`,
    `box`, `scale` and `padded` of `align.Crop`. `num_frames` were looked at; `damaged` says that
    far fewer decode than the file declares, or not every picture that was wanted of a folder.
    `own_boxes`: its original should have lent its faces, and could not.
    """

    crops: list[dict[str, Any]]
    num_frames: int
    damaged: bool
    own_boxes: bool = False


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


def crop_clip(
    clip: Clip, spec: CropSpec, num_frames: int, originals: Mapping[str, str] | None = None
) -> ClipCrops:
    """Returns the crops of one clip, a pure function of its files and of the other arguments.

    Of a video or a folder of frames, `num_frames` frames as `read_video` spreads them; of a
    picture, itself.

    With `originals`, paths by key, a fake is cut where the faces of its original are in the same
    frames, and nowhere in a frame where that has none: both then show the same part of the scene.
    A fake is searched itself, and has `own_boxes`, if its original is not among them, cannot be
    read, differs in the positions or the size of its frames, or shows no face in any.

    Raises:
      MediaError: the file cannot be used.
    """
    borrows = originals is not None and clip.label == 1
    lent = _lend_faces(originals.get(clip.original), spec, num_frames) if borrows else {}
    frames, indices, damaged = _read_frames(clip.path, num_frames)
    fits = list(lent) == _places(frames, indices)
    if spec.crops == "as-is":
        found = [crop_faces(frame, None, spec) for frame in frames]
    else:
        faces = lent.values() if fits else _find_faces(clip.path, frames, spec)
        found = [cut_faces(*each, spec) for each in zip(frames, faces, strict=True)]
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
        for index, of_frame in zip(indices, found, strict=True)
        for face, crop in enumerate(of_frame)
    ]
    return ClipCrops(crops, len(frames), damaged, borrows and not fits)


def _lend_faces(
    path: str | None, spec: CropSpec, num_frames: int
) -> dict[tuple[int, ...], list[Face]]:
    """The faces of a real clip by the places of its frames; nothing if there are none."""
    try:
        frames, indices, _ = _read_frames(path, num_frames) if path else ([], [], False)
    except MediaError:  # the clip's own outcome says why
        return {}
    faces = _find_faces(path, frames, spec) if frames else []
    return dict(zip(_places(frames, indices), faces, strict=True)) if any(faces) else {}


def _places(frames: Sequence[np.ndarray], indices: Sequence[int]) -> list[tuple[int, ...]]:
    return [(index, *frame.shape) for index, frame in zip(indices, frames, strict=True)]


def _find_faces(path: str, frames: Sequence[np.ndarray], spec: CropSpec) -> list[list[Face]]:
    finder = FaceFinder(spec)
    if not _is_picture(path):
        finder = SequenceFinder(finder)
    return [finder.find(frame) for frame in frames]


def _is_picture(path: str) -> bool:
    suffix = pathlib.PurePath(path).suffix.lower()
    return suffix in media_image.IMAGE_SUFFIXES and not os.path.isdir(path)


def _read_frames(path: str, num_frames: int) -> tuple[list[np.ndarray], list[int], bool]:
    """Returns frames, their positions, and whether the clip is damaged."""
    if os.path.isdir(path):
        return _read_folder(path, num_frames)
    suffix = pathlib.PurePath(path).suffix.lower()
    if suffix in media_video.VIDEO_SUFFIXES:
        video = media_video.read_video(path, num_frames)
        expected = min(video.num_declared, limits.MAX_VIDEO_FRAMES)
        return video.frames, video.indices, video.num_decoded < _DAMAGED_BELOW * expected
    if _is_picture(path):
        return [media_image.read_image(path)], [0], False
    accepted = " ".join(sorted(media_image.IMAGE_SUFFIXES | media_video.VIDEO_SUFFIXES))
    raise MediaError("unsupported", f"{path}: its suffix is none of {accepted}")


def _read_folder(path: str, num_frames: int) -> tuple[list[np.ndarray], list[int], bool]:
    try:
        pictures = sorted(layout.list_pictures(path), key=_numbers)
    except OSError as error:
        raise MediaError(
            "unreadable", f"{path}: {error.strerror}: give a readable folder"
        ) from error
    if not pictures:
        raise MediaError("empty", f"{path}: the folder holds no picture: unpack the frames into it")
    wanted = np.linspace(0, len(pictures) - 1, min(num_frames, len(pictures)), dtype=int).tolist()
    frames, broken = {}, []
    for index in wanted:
        try:
            frames[index] = media_image.read_image(pictures[index])
        except MediaError as error:
            broken.append(error)
    if not frames:
        raise MediaError(broken[0].code, f"none of {len(broken)} frames decodes: {broken[0]}")
    return list(frames.values()), list(frames), bool(broken)


def _numbers(picture: pathlib.Path) -> list[int]:
    """Orders frame_9.png before frame_10.png."""
    return [int(number) for number in re.findall(r"\d+", picture.stem)]


class Work:
    """The crops of finished clips, appended to one file as they come; a context manager.

    A clip is known by its key and its file's size and time of change: a file that was replaced
    counts as unfinished, and so does a folder in which a frame came, went or was replaced. What a
    killed run left half-written at the end is cut off. Other hosts write files of their own, each
    a `Work`, in the folder `parts`; `collect` takes in what they hold so far.
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
        self._notes: dict[tuple, dict[str, Any]] = {}
        self._end.truncate(self._index(self.path))
        self.collect()

    def __enter__(self) -> "Work":
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
        self._append(clip, _outcome(found), num_landmarks, data)

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
          ValueError: the clip is not finished, its file was replaced, or the crops were damaged.
        """
        note = self._notes.get(_identity(clip))
        if note is None:
            raise ValueError(f"{clip.path} changed while it was being read: run again")
        with open(note["path"], "rb") as file:
            file.seek(note["start"])
            data = file.read(note["size"])
        if zlib.crc32(data) != note["crc32"]:
            raise ValueError(f"{note['path']} is damaged: delete it and run again")
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
        own_boxes=found.own_boxes,
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
            initargs=(task,),
        )
        try:
            while waiting or running:
                while waiting and len(running) < ahead * jobs:
                    running[pool.submit(_work, waiting[0])] = waiting[0]
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


def _start_worker(task: Callable[[Clip], Any]) -> None:
    _of_worker["task"] = task
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches every process: no traceback here
    cv2.setNumThreads(1)
    # A pool's worker waits for work for ever if its parent is killed.
    threading.Thread(target=_follow_parent, daemon=True).start()


_of_worker: dict[str, Callable[[Clip], Any]] = {}  # sent once: it may name every original


def _work(clip: Clip) -> Any:
    return _of_worker["task"](clip)


def _follow_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
