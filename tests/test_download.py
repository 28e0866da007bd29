import collections
import hashlib
import http.server
import json
import pathlib
import re
import threading

import httpx
import pytest

from dfjax import corpora, registry
from scripts import download
from tests.corpora import trees

CONTENT = bytes(range(256)) * 40_000  # 10 MB: more than sockets hold back
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; the first part of the path says what goes wrong."""

    def do_GET(self):
        behaviour = self.path.split("/")[1]
        asked = self.headers.get("Range")
        self.server.ranges[behaviour].append(asked)
        attempt = len(self.server.ranges[behaviour])
        if behaviour == "busy" and attempt == 1:
            return self.send_error(503)
        if behaviour == "gone":
            return self.send_error(404)
        if behaviour == "moved":
            self.send_response(302)
            self.send_header("Location", "/works/labels.json")
            return self.end_headers()
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if behaviour == "plain":
            start = 0
        elif asked and start >= len(CONTENT):
            return self.send_error(416)
        end = len(CONTENT)
        if (behaviour, attempt) in {("drops", 1), ("drops", 2)} or behaviour == "always_drops":
            end = min(start + 2_000_000, end - 1)
        self.send_response(206 if asked and behaviour != "plain" else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:end])  # the connection then closes, promised bytes or not

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.ranges = collections.defaultdict(list)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def file_of(server, behaviour: str, sha256: str = SHA256) -> download.File:
    url = f"http://127.0.0.1:{server.server_port}/{behaviour}/labels.json"
    return download.File(url, "lists/labels.json", sha256)


def fetch(server, out, behaviour: str, **kwargs) -> None:
    download.fetch(file_of(server, behaviour, **kwargs), out, pause=0.001)


def names(out) -> list[str]:
    return sorted(path.name for path in out.rglob("*") if path.is_file())


def test_a_file_comes_whole_and_once(server, tmp_path):
    for _ in range(2):
        fetch(server, tmp_path, "works")
    assert (tmp_path / "lists/labels.json").read_bytes() == CONTENT
    assert names(tmp_path) == ["labels.json"]
    assert server.ranges["works"] == [None]


def test_a_redirection_that_is_not_https_is_not_followed(server, tmp_path):
    with pytest.raises(download.DownloadError, match=r"/works/labels.json, which is not https"):
        fetch(server, tmp_path, "moved")
    assert "works" not in server.ranges
    assert names(tmp_path) == []


def test_no_more_is_kept_than_a_label_file_has(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_MAX_BYTES", 5_000_000)
    with pytest.raises(download.DownloadError, match="has more than 5,000,000 bytes"):
        fetch(server, tmp_path, "works")
    (part,) = names(tmp_path)
    assert (tmp_path / "lists" / part).stat().st_size <= 5_000_000


def test_dropped_connections_are_taken_up_where_they_broke(server, tmp_path):
    fetch(server, tmp_path, "drops")
    assert (tmp_path / "lists/labels.json").read_bytes() == CONTENT
    assert server.ranges["drops"] == [None, "bytes=2000000-", "bytes=4000000-"]


def test_an_earlier_run_is_continued(server, tmp_path):
    part = tmp_path / "lists" / "labels.json.part"
    with pytest.raises(
        download.DownloadError, match=r"labels.json: .*: the same command continues"
    ):
        fetch(server, tmp_path, "always_drops")
    assert server.ranges["always_drops"][-1] == "bytes=8000000-"
    assert part.read_bytes() == CONTENT[:10_000_000]
    fetch(server, tmp_path, "works")
    assert server.ranges["works"] == ["bytes=10000000-"]
    assert (tmp_path / "lists/labels.json").read_bytes() == CONTENT
    assert names(tmp_path) == ["labels.json"]


@pytest.mark.parametrize(
    ("behaviour", "held"),
    [("plain", CONTENT[:1000]), ("works", CONTENT), ("busy", b""), ("busy", CONTENT[:5])],
)
def test_whatever_is_held_the_file_comes_out_right(server, tmp_path, behaviour, held):
    """A server that knows no Range, nothing left to send, and one that is busy at first."""
    part = tmp_path / "lists" / "labels.json.part"
    part.parent.mkdir()
    part.write_bytes(held)
    fetch(server, tmp_path, behaviour)
    assert (tmp_path / "lists/labels.json").read_bytes() == CONTENT
    assert names(tmp_path) == ["labels.json"]


def test_another_content_is_not_kept(server, tmp_path):
    with pytest.raises(download.DownloadError, match=r"was published with 0123"):
        fetch(server, tmp_path, "works", sha256="0123" * 16)
    assert names(tmp_path) == []
    trees.write_tree(tmp_path, "lists/labels.json")  # the user's own
    with pytest.raises(download.DownloadError, match=r"labels.json has sha256 .* move it away"):
        fetch(server, tmp_path, "works")
    assert names(tmp_path) == ["labels.json"]


def test_a_refusal_is_not_asked_again(server, tmp_path):
    with pytest.raises(download.DownloadError, match="404"):
        fetch(server, tmp_path, "gone")
    assert server.ranges["gone"] == [None]


def test_every_corpus_has_a_source_and_every_address_a_host():
    corpora.register_all()
    assert sorted(download.SOURCES) == registry.names("corpus")
    for source in download.SOURCES.values():
        for file in source.files:
            assert httpx.URL(file.url).scheme == "https"
            assert len(file.sha256) == 64


def test_the_docs_name_every_corpus_and_no_option_that_it_lacks():
    corpora.register_all()
    docs = pathlib.Path(__file__).parents[1] / "docs" / "corpora.md"
    names = []
    for row in docs.read_text().splitlines():
        if row.startswith("| ") and not row.startswith("| corpus"):
            line = row.rstrip(" |").rpartition(" | ")[2]
            names.append(re.match(r"`(\w+)", line)[1])
            flags = set(re.findall(r"--(ffpp|celebdf|compression|methods|strict|identities)", line))
            flags = {f"{flag}_root" if flag in ("ffpp", "celebdf") else flag for flag in flags}
            assert flags <= set(registry.options("corpus", names[-1])), names[-1]
    assert sorted(names) == registry.names("corpus")


def test_the_command_fetches_and_names_the_next_steps(server, tmp_path, monkeypatch, capsys):
    source = download.Source("Run the script: DIR -d all.", None, (file_of(server, "works"),))
    monkeypatch.setitem(download.SOURCES, "ffpp", source)
    assert download.main(["ffpp", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert f"{tmp_path}/lists/labels.json: as published" in shown
    assert f"Run the script: {tmp_path} -d all." in shown
    assert f"download.py ffpp --verify {tmp_path}" in shown
    gone = download.Source("", None, (file_of(server, "gone"),))
    monkeypatch.setitem(download.SOURCES, "ffpp", gone)
    assert download.main(["ffpp", "--out", str(tmp_path / "other")]) == 2
    assert capsys.readouterr().err.startswith("download: error: http://127.0.0.1")


def test_verify_counts_what_the_importer_reads(tmp_path, monkeypatch, capsys):
    trees.write_tree(tmp_path, "real/0000.mp4", "real/0001.mp4", "fake/0000_fake.mp4")
    assert download.main(["uadfv", "--verify", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "real: 2 of 49 published\nfake: 1 of 49 published\n" in shown.out
    assert "download: note: uadfv: real: 2 of 49 clips\n" in shown.err
    monkeypatch.setitem(download.SOURCES, "uadfv", download.Source("", (2, 1)))
    assert download.main(["uadfv", "--verify", str(tmp_path)]) == 0
    assert download.main(["uadfv", "--verify", str(tmp_path / "absent")]) == 2
    assert "absent is not a folder" in capsys.readouterr().err
    assert download.main(["uadfv", "--verify", str(tmp_path), "--ffpp", "x"]) == 2
    assert "uadfv takes no --ffpp: leave it out" in capsys.readouterr().err


def test_options_of_verify_are_refused_without_it(tmp_path, capsys):
    assert download.main(["ffpp", "--out", str(tmp_path), "--compression", "raw"]) == 2
    assert "--compression is for --verify: leave it out" in capsys.readouterr().err


def test_verify_hands_on_where_the_reals_are(tmp_path, capsys):
    labels = {"train": [], "val": [], "test": [["000", "003"]]}
    for split, pairs in labels.items():
        (tmp_path / f"{split}.json").write_text(json.dumps(pairs))
    assert download.main(["deeperforensics", "--verify", str(tmp_path)]) == 2
    assert "--ffpp DIR" in capsys.readouterr().err
    assert download.main(["deeperforensics", "--verify", str(tmp_path), "--ffpp", "x"]) == 2
    assert "--ffpp DIR" not in capsys.readouterr().err
