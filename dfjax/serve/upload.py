"""The one file of a form, out of a body that is all in memory."""

import dataclasses

import python_multipart
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from dfjax.serve.errors import RequestError

_MAX_NAME = 255  # characters; what file systems allow
_MAX_PARTS = 16  # fields are skipped, but not by the thousand


@dataclasses.dataclass(frozen=True)
class Upload:
    """A file's bytes, and what its sender calls it: text for the report, and for nothing else."""

    name: str
    data: bytes


def parse(body: bytes, content_type: str) -> Upload:
    """Returns the file in a multipart/form-data body, whatever its field is called.

    Raises:
      RequestError: no such body (400, or 415 for another type), no file in it, or more than one.
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
        raise RequestError(400, "bad_request", f"broken multipart body: {error}") from error
    if len(form.files) != 1 or not form.ended:
        raise RequestError(400, "bad_request", f"{len(form.files)} files: send one, whole")
    return form.files[0]


class _Form:
    """Collects the files of a form as the parser comes across them."""

    def __init__(self) -> None:
        self.files: list[Upload] = []
        self.ended = False
        self._num_parts = 0
        self.callbacks = {
            "on_part_begin": self._begin_part,
            "on_header_field": self._add_field,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._num_parts += 1
        if self._num_parts > _MAX_PARTS:
            raise RequestError(400, "bad_request", "too many fields: send the file alone")
        self._name: str | None = None
        self._field, self._value, self._data = b"", b"", bytearray()

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            name = parse_options_header(self._value)[1].get(b"filename")
            self._name = None if name is None else name.decode("utf-8", "replace")[:_MAX_NAME]
        self._field = self._value = b""

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._name is not None:
            self._data += memoryview(data)[start:end]

    def _end_part(self) -> None:
        if self._name is not None:
            self.files.append(Upload(self._name, bytes(self._data)))

    def _end(self) -> None:
        self.ended = True
