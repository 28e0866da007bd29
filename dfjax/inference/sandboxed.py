"""Strangers' pictures and videos to faces: `FaceExtractor`, in a sandboxed process for each file.

The evidence on a file is read in another process, whose end costs nothing else.

Nothing in this process parses media. What a worker answers is checked: a file may have taken it
over.
"""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dfjax import console, files
from dfjax.evidence import gather
from dfjax.evidence.gather import Evidence
from dfjax.faces import detect
from dfjax.faces.align import Crop
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import tasks
from dfjax.inference.draw import Mark
from dfjax.inference.extract import ExtractedFace, ExtractedFaces, MediaFacts
from dfjax.media.errors import MediaError
from dfjax.media.shots import Shot
from dfjax.sandbox.errors import TimeLimitError, WorkerError
from dfjax.sandbox.messages import Arrays
from dfjax.sandbox.pool import Cancellation, Sandbox

SECONDS = 3600.0  # for a file that nobody waits for
_EVIDENCE_SECONDS = 10.0  # hashing 4 GB takes less
_MIN_EVIDENCE_SECONDS = 1.0  # if decoding took all the time that there was
_MAX_COPY = 2**30  # bytes of an annotated copy: about ten minutes in full HD

Embed = Callable[[np.ndarray], np.ndarray]


class SandboxedExtractor:
    """Extracts faces in processes of its sandbox; several threads may use it.

    Attributes:
      sandbox: the processes.
    """

    def __init__(self, *, trust_list: str | None = None) -> None:
        """Starts the sandbox; raises RuntimeError if it does not start.

        `trust_list` is as in `gather.read`.
        """
        self._trust_list = trust_list
        self.sandbox = Sandbox("dfjax.inference.tasks")

    def __enter__(self) -> "SandboxedExtractor":
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.close()

    def file(
        self,
        path: str | os.PathLike,
        spec: CropSpec,
        *,
        num_frames: int,
        seconds: float,
        called: str = "",
        embed: Embed | None = None,
        progress: Callable[[float], None] | None = None,
        cancellation: Cancellation | None = None,
    ) -> ExtractedFaces:
        """Returns what `FaceExtractor.file` does, with the evidence on the file.

        `embed` is that of `FaceExtractor`, and runs in this process. Messages name the file as
        `called`, or its path.

        Raises:
          MediaError, TimeLimitError, CancelledTaskError, WorkerError: see `Sandbox.run`.
        """
        began = time.monotonic()
        absolute = os.path.abspath(path)
        arguments = {
            "path": absolute,
            "spec": spec.to_json(),
            "num_frames": num_frames,
            "reidentify": embed is not None,
        }
        with _renaming(absolute, called or os.fspath(path)):
            reply, arrays = self.sandbox.run(
                "extract_faces",
                arguments,
                seconds=seconds,
                reads=[absolute],
                progress=progress,
                answer=embed and functools.partial(_embed_chip, embed),
                cancellation=cancellation,
            )
        extracted = _unpack(reply, arrays, size=spec.size)
        seconds_left = max(seconds - (time.monotonic() - began), _MIN_EVIDENCE_SECONDS)
        began = time.monotonic()
        evidence = self._read_evidence(absolute, min(seconds_left, _EVIDENCE_SECONDS), cancellation)
        return extracted.with_evidence(evidence, time.monotonic() - began)

    def _read_evidence(
        self, path: str, seconds: float, cancellation: Cancellation | None
    ) -> Evidence:
        """What `gather.read` returns, whatever becomes of the process that reads."""
        arguments = {"path": path, "trust_list": self._trust_list}
        try:
            reply, _ = self.sandbox.run(
                "read_evidence",
                arguments,
                seconds=seconds,
                reads=[path],
                max_bytes=0,
                cancellation=cancellation,
            )
            return Evidence.from_json(reply)
        except TimeLimitError:
            return gather.failed("reader.time_limit")
        except (MediaError, WorkerError, KeyError, TypeError, ValueError, AttributeError):
            return gather.failed("reader.died")

    def crops(
        self,
        pictures: Sequence[bytes],
        spec: CropSpec,
        *,
        seconds: float,
        cancellation: Cancellation | None = None,
    ) -> np.ndarray:
        """Returns encoded pictures of faces as crops uint8 [N, S, S, 3]; raises as `file`."""
        arguments = {"spec": spec.to_json()}
        _, arrays = self.sandbox.run(
            "decode_crops", arguments, pictures, seconds=seconds, cancellation=cancellation
        )
        return _checked(arrays.get("crops"), (len(pictures), spec.size, spec.size, 3))

    def mark_picture(self, path: str | os.PathLike, marks: Sequence[Mark]) -> bytes:
        """Returns what `draw.mark_picture` does; raises as `file`."""
        return self._mark("mark_picture", path, marks)

    def mark_video(
        self, path: str | os.PathLike, marks: Sequence[Mark], facts: MediaFacts
    ) -> bytes:
        """Returns what `draw.mark_video` does with a video of these facts; raises as `file`."""
        return self._mark(
            "mark_video",
            path,
            marks,
            size=(facts.width, facts.height),
            fps=facts.fps or 1.0,
            analysed=facts.analysed,
            is_long=facts.is_long,
        )

    def _mark(
        self, task: str, path: str | os.PathLike, marks: Sequence[Mark], **settings: Any
    ) -> bytes:
        absolute = os.path.abspath(path)
        heat = np.array([mark.heat for mark in marks if mark.heat is not None], np.float32)
        arguments = {
            "path": absolute,
            "marks": [_as_json(mark) for mark in marks],
            "heat_shape": heat.shape if heat.size else None,
            **settings,
        }
        with _renaming(absolute, os.fspath(path)):
            _, arrays = self.sandbox.run(
                task,
                arguments,
                [heat.tobytes()],
                seconds=SECONDS,
                reads=[absolute],
                max_bytes=_MAX_COPY,
            )
        if "file" not in arrays:
            raise _nonsense()
        return arrays["file"].tobytes()


def _as_json(mark: Mark) -> dict[str, Any]:
    return {
        "frame": mark.frame,
        "box": [float(side) for side in mark.box],
        "color": mark.color,
        "text": mark.text,
        "matrix": mark.matrix.tolist(),
        "size": mark.size,
    }


@contextlib.contextmanager
def _renaming(path: str, name: str) -> Iterator[None]:
    """Makes errors name a file as its owner does."""
    try:
        yield
    except MediaError as error:
        message = str(error).replace(files.legible(path), files.legible(name))
        raise MediaError(error.code, message) from error


def _embed_chip(embed: Embed, chip: np.ndarray) -> np.ndarray:
    if chip.dtype != np.uint8 or chip.shape != (detect.CHIP_SIZE, detect.CHIP_SIZE, 3):
        raise _nonsense()
    return embed(chip)


def _unpack(reply: dict[str, Any], arrays: Arrays, *, size: int) -> ExtractedFaces:
    try:
        count = len(reply["faces"])
        if count:
            _checked(arrays["image"], (count, size, size, 3))
        faces = tuple(
            ExtractedFace(int(frame), time, int(track), _crop(arrays, index))
            for index, (frame, time, track) in enumerate(reply["faces"])
        )
        return ExtractedFaces(_facts(reply["facts"]), faces, dict(reply["seconds"]))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise _nonsense() from error


def _facts(values: dict[str, Any]) -> MediaFacts:
    lists = {
        "warnings": tuple(map(console.one_line, values["warnings"])),
        "shots": tuple(Shot(**shot) for shot in values["shots"]),
        "analysed": tuple(map(int, values["analysed"])),
    }
    return MediaFacts(**values | lists)


def _crop(arrays: Arrays, index: int) -> Crop:
    rows = {name: arrays[name][index] for name in tasks.CROP_FIELDS}
    return Crop(**{name: row.item() if row.ndim == 0 else row for name, row in rows.items()})


def _checked(crops: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    if crops is None or crops.dtype != np.uint8 or crops.shape != shape:
        raise _nonsense()
    return crops


def _nonsense() -> WorkerError:
    return WorkerError("the process that decoded the file answered nonsense: try again")
