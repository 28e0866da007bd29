"""What label files of corpora hold beside lists and tables: JSON, labels, and paths.

Lists and tables are read by `dfjax.lists`.
"""

import json
import os
import pathlib
from typing import Any

from dfjax import lists
from dfjax.errors import UserError

_LABELS = {"real": 0, "0": 0, "0.0": 0, "fake": 1, "1": 1, "1.0": 1}


def read_json(path: str | os.PathLike, kind: type = dict) -> Any:
    """Returns the content of a JSON file: a `kind`, in which no key occurs twice.

    Raises:
      UserError: it is something else.
    """
    try:
        content = json.loads(lists.read_text(path), object_pairs_hook=_unique_keys)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({error}): download it again") from error
    except KeyError as error:
        raise UserError(f"{path} has the key {error} twice: download it again") from error
    if not isinstance(content, kind):
        raise UserError(
            f"{path} holds a {type(content).__name__}, not a {kind.__name__}: download it again"
        )
    return content


def read_label(text: str, where: str) -> int:
    """Returns 0 (real) or 1 (fake); `where` is the place of the text, for messages.

    Raises:
      UserError: it is neither.
    """
    label = _LABELS.get(text.lower())
    if label is None:
        raise UserError(f"{where}: label {text!r}: use real, fake, 0 or 1")
    return label


def relative_path(text: str, where: str) -> pathlib.PurePosixPath:
    r"""Returns a path from a label file, with "/" for "\"; `where` is its place, for messages.

    Raises:
      UserError: it is empty or leads out of the corpus.
    """
    path = pathlib.PurePosixPath(os.path.normpath(text.strip().replace("\\", "/")))
    if not text.strip() or "\0" in text or path.is_absolute() or ".." in path.parts:
        raise UserError(f"{where}: path {text!r}: paths start at the folder of the corpus")
    return path


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise KeyError(next(name for name in names if names.count(name) > 1))
    return content
