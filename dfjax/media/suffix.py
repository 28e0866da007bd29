"""Which files of a folder are listed as pictures and as videos, by the suffix of their names.

Imports nothing that decodes: corpora list thousands of files and open none of them. What a file
really is, `media.kind` says when it is read.
"""

import os

_JPEG = {".jfif", ".jpe", ".jpeg", ".jpg"}
_HEIF = {".avif", ".heic", ".heif", ".hif"}
_IMAGES = _JPEG | _HEIF | {".bmp", ".gif", ".png", ".tif", ".tiff", ".webp"}
_MPEG = {".m2ts", ".mpeg", ".mpg", ".mts", ".ts", ".vob"}
_VIDEOS = _MPEG | {".3g2", ".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"}

ACCEPTED = " ".join(sorted(_IMAGES | _VIDEOS))  # for messages


def is_image(path: str | os.PathLike) -> bool:
    """Returns whether the name of `path` is that of a picture; the file need not exist."""
    return _suffix(path) in _IMAGES


def is_video(path: str | os.PathLike) -> bool:
    """Returns whether the name of `path` is that of a video; the file need not exist."""
    return _suffix(path) in _VIDEOS


def _suffix(path: str | os.PathLike) -> str:
    """Returns what `os.path.splitext` does, lower, in a third of the time; "" for hidden names."""
    stem, dot, suffix = os.fspath(path).rpartition(".")
    return f".{suffix.lower()}" if dot and stem and stem[-1] != "/" else ""
