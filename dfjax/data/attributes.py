"""What is known of the clips of a prepared dataset besides its records: attributes.csv next to it.

A row is a clip by its key (`clip`), and every other column an attribute, such as a gender or a
camera, empty where it is unknown. `dfjax prepare` writes there what a manifest says. The table may
be edited, or written for a corpus that has none: it decides nothing, and results are parted by it.
"""

import os
import pathlib
from collections.abc import Sequence

from dfjax import files, lists
from dfjax.corpora.clip import Clip

FILE = "attributes.csv"
KEY = "clip"


def write(data_dir: str | os.PathLike, clips: Sequence[Clip]) -> None:
    """Writes the attributes of clips into the folder of their dataset, if they have any."""
    names = sorted({name for clip in clips for name, _ in clip.attributes} - {KEY, ""})
    if names:
        rows = ([clip.key, *map(dict(clip.attributes).get, names)] for clip in clips)
        files.replace_csv(pathlib.Path(data_dir, FILE), [KEY, *names], rows)


def read(data_dir: str | os.PathLike) -> dict[str, dict[str, str]]:
    """Returns the attributes of the clips of the dataset in a folder: value by name, by clip.

    Raises:
      UserError: the table is damaged, or lacks the column `clip`.
    """
    path = pathlib.Path(data_dir, FILE)
    if not path.is_file():
        return {}
    rows = [row for _, row in lists.read_table(path, (KEY,))]
    cells = [{name: files.original_cell(cell) for name, cell in row.items()} for row in rows]
    return {row.pop(KEY): row for row in cells}
