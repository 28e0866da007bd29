"""The clips of a prepared dataset that gave no crop: errors.jsonl next to it."""

import json
import os
import pathlib
from typing import Any

FILE = "errors.jsonl"


def read(data_dir: str | os.PathLike, split: str) -> list[dict[str, Any]]:
    """Returns the rows of a split: `key`, `label`, `code` and others; none where the file is gone.

    The code is "no_face", or says why the file could not be read.
    """
    path = pathlib.Path(data_dir, FILE)
    lines = path.read_text().splitlines() if path.is_file() else []
    return [row for row in map(json.loads, lines) if row["split"] == split]
