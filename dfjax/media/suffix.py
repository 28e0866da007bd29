"""Which files are pictures and which are videos, by the suffix of their names.

Imports nothing that decodes: corpora list thousands of files and open none of them.
"""

import os

from dfjax.media.errors import MediaError

_IMAGES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"})
_IMAGES |= {".avif", ".heic", ".heif", ".hif"}
_VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".ts", ".webm"})

ACCEPTED = " ".join(sorted(_IMAGES | _VIDEOS))  # for messages


def is_image(path: str | os.PathLike) -> bool:
    """Returns whether the name of `path` is that of a picture; the file need not exist."""
    return _suffix(path) in _IMAGES


def is_video(path: str | os.PathLike) -> bool:
    """Returns whether the name of `path` is that of a video; the file need not exist."""
    return _suffix(path) in _VIDEOS


def kind_of(path: str | os.PathLike) -> str:
    """Returns "image" or "video", by the name of `path`; the file need not exist.

    Raises:
      MediaError: the suffix is not accepted (code "unsupported").
    """
    if is_image(path):
        return "image"
    if is_video(path):
        return "video"
    raise MediaError("unsupported", f"{path}: the suffix is none of {ACCEPTED}: convert it")


def _suffix(path: str | os.PathLike) -> str:
    """Returns what `os.path.splitext` does, lower, in a third of the time; "" for hidden names."""
    stem, dot, suffix = os.fspath(path).rpartition(".")
    return f".{suffix.lower()}" if dot and stem and stem[-1] != "/" else ""
