"""Files in a store: whole, compared, and in spite of connections that drop."""

import contextlib
import hashlib
import socket
import threading

import fsspec
import pytest

from dfjax import checksums
from dfjax.buckets import store
from dfjax.errors import UserError


def test_files_go_there_and_come_back(bucket, tmp_path):
    folder = store.Folder(f"{bucket}/a")
    assert folder.sizes() == {}
    assert folder.read("none") is None
    folder.write("b/small", b"12345")
    (tmp_path / "file").write_bytes(b"content")
    folder.put(tmp_path / "file", "b/file")
    assert folder.sizes() == {"b/small": 5, "b/file": 7}
    assert folder.sizes("b") == folder.sizes()
    sha256 = hashlib.sha256(b"content").hexdigest()
    folder.get("b/file", tmp_path / "deep" / "copy", sha256)
    assert (tmp_path / "deep" / "copy").read_bytes() == b"content"
    folder.move("b", "c")
    assert folder.sizes() == {"c/small": 5, "c/file": 7}
    folder.remove("c")
    folder.remove("c")
    assert folder.sizes() == {}


def test_an_object_that_is_another_is_refused_and_leaves_nothing(bucket, tmp_path):
    folder = store.Folder(bucket)
    folder.write("file", b"other")
    with pytest.raises(checksums.DamagedError, match=f"{bucket}/file is damaged"):
        folder.get("file", tmp_path / "copy", hashlib.sha256(b"content").hexdigest())
    assert not (tmp_path / "copy").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == []


class Dropping:
    """A proxy that closes so many connections half-way, and hands the others through."""

    def __init__(self, target: str, drops: int):
        host, port = target.removeprefix("http://").split(":")
        self._target, self._drops, self.dropped = (host, int(port)), drops, 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            client, _ = self._server.accept()
            threading.Thread(target=self._hand_through, args=(client,), daemon=True).start()

    def _hand_through(self, client: socket.socket) -> None:
        server = socket.create_connection(self._target)
        threading.Thread(target=self._copy, args=(client, server, False), daemon=True).start()
        self._copy(server, client, True)

    def _copy(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        while data := _receive(source):
            if is_answer and self.dropped < self._drops:
                self.dropped += 1
                data = data[: len(data) // 2]
                target.sendall(data)
                break
            target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):  # the other direction did so
                end.shutdown(socket.SHUT_RDWR)  # closing alone waits for the other thread
            end.close()


def _receive(source: socket.socket) -> bytes:
    try:
        return source.recv(65_536)
    except OSError:
        return b""


def test_connections_that_drop_are_made_again(bucket, endpoint, monkeypatch, tmp_path):
    content = bytes(range(256)) * 4_000
    store.Folder(bucket).write("file", content)
    proxy = Dropping(endpoint, drops=3)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    folder = store.Folder(bucket)
    folder.get("file", tmp_path / "copy", hashlib.sha256(content).hexdigest())
    assert (tmp_path / "copy").read_bytes() == content
    assert proxy.dropped == 3


def test_what_cannot_be_reached_is_said(bucket, monkeypatch, tmp_path):
    with pytest.raises(UserError, match=r"cannot be opened .*: use gs:// or s3://"):
        store.Folder("nowhere://a/b")
    folder = store.Folder(f"{bucket}-that-is-not-there/a")
    with pytest.raises(UserError, match="there is no such bucket; make it first"):
        folder.write("file", b"")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(UserError, match=r"cannot write s3://.*/file after 5 tries: "):
        store.Folder(bucket).write("file", b"")


def test_urls_are_told_from_paths():
    assert store.is_url("s3://bucket/a")
    assert store.is_url("gs://bucket")
    for path in ("a/b", "/a:b", "C:/a", "data:train"):
        assert not store.is_url(path)
    assert store.local_copy("s3://a/b") != store.local_copy("s3://a-b")
