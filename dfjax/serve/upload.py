"""Parses the one file out of a multipart form that is in memory."""

import dataclasses
import re
import urllib.parse

import python_multipart
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from dfjax.serve.errors import RequestError, bad_request

_MAX_NAME = 255  # characters, as in file systems
_MAX_PARTS = 16  # other fields are skipped, but not thousands of them
_EXTENDED_NAME = re.compile(rb"filename\*\s*=\s*utf-8'[^']*'([^;\s]*)", re.IGNORECASE)  # RFC 8187


@dataclasses.dataclass(frozen=True)
class Upload:
    """An uploaded file.

    Attributes:
      name: as its sender calls it; text for the report, never part of a path.
      data: its bytes.
    """

    name: str
    data: bytes


def parse(body: bytes, content_type: str) -> Upload:
    """Returns the file in a multipart/form-data body; the name of its field does not matter.

    A file is a part with a file name, or with a type that is not text. Browsers send an empty one
    for a field without a choice: it does not count.

    Raises:
      RequestError: another type of body (415), a broken one, or not exactly one file in it (400).
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or b"boundary" not in options:
        message = "send the file as multipart/form-data: curl -F file=@clip.mp4"
        raise RequestError(415, "unsupported", message)
    form = _Form()
    try:
        parser = python_multipart.MultipartParser(options[b"boundary"], form.callbacks)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise bad_request(f"broken multipart body: {error}") from error
    if len(form.files) != 1 or not form.ended:
        raise bad_request(f"{len(form.files)} files: send one, whole")
    return form.files[0]


class _Form:
    """Collects the files of a form from the parser's callbacks."""

    def __init__(self) -> None:
        self.files: list[Upload] = []
        self.ended = False
        self._num_parts = 0
        self.callbacks = {
            "on_part_begin": self._begin_part,
            "on_header_field": self._add_field,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._num_parts += 1
        if self._num_parts > _MAX_PARTS:
            raise bad_request("too many fields: send the file alone")
        self._name: str | None = None  # of a part that is a file
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value, self._data = b"", b"", bytearray()

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _end_headers(self) -> None:
        name = _file_name(self._headers.get(b"content-disposition", b""))
        kind = self._headers.get(b"content-type", b"text/plain").lower()
        if name is not None or not kind.startswith(b"text/"):
            self._name = (name or b"").decode("utf-8", "backslashreplace")[:_MAX_NAME]

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._name is not None:
            self._data += memoryview(data)[start:end]

    def _end_part(self) -> None:
        if self._name or self._data:
            self.files.append(Upload(self._name, bytes(self._data)))

    def _end(self) -> None:
        self.ended = True


def _file_name(disposition: bytes) -> bytes | None:
    name = parse_options_header(disposition)[1].get(b"filename")
    if name is None and (extended := _EXTENDED_NAME.search(disposition)):
        return urllib.parse.unquote_to_bytes(extended[1])
    return name
