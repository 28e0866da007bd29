"""Small trees of files in the layouts of corpora: importers look at names and label files alone."""

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from dfjax.corpora.clip import Clip


def write_tree(root: pathlib.Path, *paths: str) -> pathlib.Path:
    """Touches `paths` below `root`."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def write_labels(root: pathlib.Path, files: Mapping[str, Any]) -> pathlib.Path:
    """Writes label files by path: a str as it is, anything else as JSON."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content if isinstance(content, str) else json.dumps(content))
    return root


def rows(clips: Iterable[Clip]) -> list[tuple]:
    """Everything of the clips but their paths, which must exist."""
    clips = list(clips)
    assert all(pathlib.Path(clip.path).exists() for clip in clips)
    assert all(clip.key.endswith(pathlib.Path(clip.path).name) for clip in clips)
    return [
        (clip.key, clip.label, clip.method, clip.split, clip.origin_ids, clip.original)
        for clip in clips
    ]
