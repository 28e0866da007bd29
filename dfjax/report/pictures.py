"""The faces that a model got most wrong, as small pictures for a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from dfjax.data.builder import Records
from dfjax.media import image as media_image

SIDE = 128  # pixels

_Face = tuple[str, int, int]


def add(worst: Sequence[Mapping[str, Any]], records: Records) -> list[dict[str, Any]]:
    """Returns the entries of `worst` in report.json with their pictures, from a prepared split.

    `picture` is a JPEG of `SIDE` pixels as a data URI; None where the split lacks the face.
    """
    wanted = {_face(each) for each in worst}
    pictures = {
        face: _picture(record)
        for record in (records[row] for row in range(len(records)))
        if (face := _face(record)) in wanted
    }
    return [{**each, "picture": pictures.get(_face(each))} for each in worst]


def _face(entry: Mapping[str, Any]) -> _Face:
    return entry["clip"], int(entry["frame"]), int(entry["face"])


def _picture(record: Mapping[str, Any]) -> str:
    return media_image.data_uri(media_image.decode_image(record["image"]), side=SIDE)
