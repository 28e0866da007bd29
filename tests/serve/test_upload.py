"""The one file of a form is found however its sender describes it."""

import pytest

from dfjax.serve import upload
from dfjax.serve.errors import RequestError

FILE = b'form-data; name="file"; filename="a.png"'
EMPTY = (b'form-data; name="other"; filename=""', b"application/octet-stream", b"")


def parse(*parts):
    """Parses a form of parts (disposition, type, data)."""
    lines = []
    for disposition, kind, data in parts:
        lines += [b"--x", b"Content-Disposition: " + disposition]
        lines += ([b"Content-Type: " + kind] if kind else []) + [b"", data]
    body = b"\r\n".join([*lines, b"--x--", b""])
    return upload.parse(body, "multipart/form-data; boundary=x")


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (FILE, "a.png"),
        (b'form-data; filename="a.png"', "a.png"),
        (b"form-data; name=f; filename*=UTF-8''%e2%82%ac%20a.png", "\u20ac a.png"),
        (b"form-data; name=f; filename*=utf-8'en'a.png; more=1", "a.png"),
        (b"form-data; name=f; filename=\"b.png\"; filename*=UTF-8''a.png", "b.png"),
        (b"form-data; name=f; filename*=UTF-8''%ff", r"\xff"),
        (b'form-data; name=f; filename=""', ""),
        (b"form-data; name=f", ""),
        (b"form-data", ""),
        (b"form-data; name=f; filename=" + b"a" * 1000, "a" * 255),
    ],
)
def test_a_file_is_found(disposition, name):
    text = (b"form-data; name=comment", b"", b"a word")
    file = parse(text, (disposition, b"image/png", b"data"), EMPTY)
    assert (file.name, file.data) == (name, b"data")


def test_a_text_is_no_file():
    for kind in (b"", b"text/plain; charset=utf-8"):
        with pytest.raises(RequestError, match="0 files: send one") as error:
            parse((b"form-data; name=comment", kind, b"a word"), EMPTY)
        assert error.value.status == 400


def test_an_empty_file_with_a_name_is_a_file():
    assert parse((FILE, b"image/png", b""), EMPTY).data == b""


def test_two_files_are_too_many():
    with pytest.raises(RequestError, match="2 files: send one"):
        parse((FILE, b"", b"a"), (FILE, b"", b"b"))
