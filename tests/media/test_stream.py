import base64
import contextlib
import http.server
import io
import os
import re
import signal
import socket
import struct
import threading
import time

import av
import numpy as np
import pytest

from dfjax.media import stream, video
from dfjax.media.errors import MediaError

LOGIN = "Basic " + base64.b64encode(b"user:p@ss").decode()


@pytest.fixture
def clip(tmp_path):
    """60 frames at 30 a second; frame i has the brightness 4 i."""
    frames = [np.full((64, 96, 3), 4 * number, np.uint8) for number in range(60)]
    video.write_video(tmp_path / "clip.mp4", frames, fps=30, crf=10)
    return tmp_path / "clip.mp4"


def as_transport_stream(clip):
    target = io.BytesIO()
    with av.open(str(clip)) as source, av.open(target, "w", format="mpegts") as copy:
        stream_of_copy = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream_of_copy
                copy.mux(packet)
    return target.getvalue()


def brightness(frame):
    return round(float(frame.image.mean()) / 4)


def test_every_frame_of_a_file_in_order_when_all_are_wanted(clip):
    with stream.LiveSource(str(clip), keep_all=True) as source:
        frames = list(source)
    assert [frame.number for frame in frames] == list(range(60))
    assert [brightness(frame) for frame in frames] == list(range(60))
    assert [frame.captured for frame in frames] == sorted(frame.captured for frame in frames)


def test_a_file_is_played_at_the_times_of_its_frames(tmp_path):
    times = [0.0, 0.05, 0.1, 0.8, 0.9]
    frames = [np.full((64, 96, 3), 40 * number, np.uint8) for number in range(5)]
    video.write_timed(tmp_path / "a.mp4", zip(times, frames, strict=True), fps=25, crf=10)
    with stream.LiveSource(str(tmp_path / "a.mp4")) as source:
        captured = {frame.number: frame.captured for frame in source}
    assert captured[4] - captured[0] > 0.85  # evenly, the five frames would take 0.2 s


def test_a_slow_viewer_gets_the_newest_frame_and_not_the_next(clip):
    numbers, lag = [], []
    with stream.LiveSource(str(clip)) as source:
        for frame in source:
            lag.append(source.num_received - 1 - frame.number)
            numbers.append(frame.number)
            assert brightness(frame) == frame.number
            time.sleep(0.15)
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 59  # the last one is never lost
    assert max(np.diff(numbers)) > 1
    assert max(lag) <= 1


def test_leaving_early_stops_the_reader(clip):
    with stream.LiveSource(str(clip)) as source:
        frames = iter(source)
        next(frames)
        pid = source.pid
    assert source.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_file_that_does_not_decode_says_so(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with stream.LiveSource(str(tmp_path / "text.mp4")) as source, pytest.raises(MediaError):
        next(iter(source))


def test_missing_camera_says_so():
    with (
        stream.LiveSource("63") as source,
        pytest.raises(MediaError, match="camera 63 does not open"),
    ):
        next(iter(source))


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_server_that_never_answers_is_given_up(monkeypatch, scheme):
    monkeypatch.setattr(stream, "_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/live"
        began = time.monotonic()
        with stream.LiveSource(url) as source, pytest.raises(MediaError, match="does not open"):
            next(iter(source))
    assert time.monotonic() - began < 10


@contextlib.contextmanager
def serving(*routes):
    """An HTTP server on 127.0.0.1: (its address, the paths asked for).

    A route is (path, data, headers). With a header Location, the answer is a redirect; with
    WWW-Authenticate, `LOGIN` is asked for.
    """
    requests, answers = [], {path: (data, headers) for path, data, headers in routes}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            data, headers = answers[self.path]
            status = 302 if "Location" in headers else 200
            if "WWW-Authenticate" in headers and self.headers["Authorization"] != LOGIN:
                status, data = 401, b""
            if pieces := re.match(r"bytes=(\d+)-(\d+)", self.headers["Range"] or ""):
                status, data = 206, data[int(pieces[1]) : int(pieces[2]) + 1]
            self.send_response(status)
            for header in ({"Content-Length": str(len(data))} | headers).items():
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()


def test_lost_connection_is_opened_again(clip, monkeypatch):
    monkeypatch.setattr(stream, "_FIRST_PAUSE", 0.05)
    # Every connection ends after one playing of the clip: what a camera that restarts does.
    with (
        serving(("/clip.ts", as_transport_stream(clip), {})) as (url, requests),
        stream.LiveSource(f"{url}/clip.ts") as source,
    ):
        for frame in source:
            if frame.number > 130:
                break
        assert source.num_reconnects >= 2
        assert len(requests) >= 3


@pytest.mark.parametrize("prefix", ["", "hls+"])
def test_playlist_behind_an_address_opens_no_local_file(clip, prefix):
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{clip}\n#EXT-X-ENDLIST\n"
    with (
        serving(("/list.m3u8", playlist.encode(), {})) as (url, requests),
        stream.LiveSource(f"{prefix}{url}/list.m3u8") as source,
        pytest.raises(MediaError),
    ):
        next(iter(source))
    assert requests


@pytest.fixture
def trap():
    """Host and port of a listener that nothing may reach, on another address."""
    with socket.create_server(("127.0.0.2", 0)) as listener:
        place = listener.getsockname()
        socket.create_connection(place).close()  # it can be reached
        listener.accept()[0].close()
        yield "{}:{}".format(*place)
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()


def open_and_fail(url, message):
    with stream.LiveSource(url) as source, pytest.raises(MediaError, match=message):
        next(iter(source))


def test_no_redirect_leads_to_another_host(clip, trap):
    clip = as_transport_stream(clip)
    routes = [
        ("/here", b"", {"Location": "/clip.ts"}),
        ("/clip.ts", clip, {}),
        ("/away", b"", {"Location": f"http://{trap}/x?key=secret"}),
    ]
    with serving(*routes) as (url, _):
        with stream.LiveSource(f"{url}/here") as source:
            assert next(iter(source)).image.shape == (64, 96, 3)
        open_and_fail(f"{url}/away", rf"leads to http://{trap}/x\?\*\*\*, elsewhere")


def test_a_playlist_is_read_on_request_and_within_its_origin(clip, trap):
    clip = as_transport_stream(clip)
    head, end = "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:2\n", "#EXT-X-ENDLIST\n"
    half = len(clip) // 188 // 2 * 188
    pieces = [
        f"#EXTINF:1,\n#EXT-X-BYTERANGE:{size}@{start}\nclip.ts\n"
        for start, size in ((0, half), (half, len(clip) - half))
    ]
    routes = [
        ("/near.m3u8", "".join([head, *pieces, end]).encode(), {}),
        ("/far.m3u8", f"{head}#EXTINF:2,\nhttp://{trap}/clip.ts\n{end}".encode(), {}),
        ("/clip.ts", clip, {}),
    ]
    with serving(*routes) as (url, requests):
        open_and_fail(f"{url}/near.m3u8", "does not open")
        assert requests == ["/near.m3u8"]
        with stream.LiveSource(f"hls+{url}/near.m3u8") as source:
            last = next(frame for frame in source if frame.number > 50)
            assert brightness(last) == last.number
            assert source.num_reconnects == 0
        open_and_fail(f"hls+{url}/far.m3u8", "elsewhere|does not open")


@contextlib.contextmanager
def rtsp_server(answers, packets=()):
    """An RTSP server that sends `packets` once it is told to play: (its address, the requests).

    `answers` are status and headers, and a body, by method; others are answered "200 OK".
    """
    requests = []

    def answer(connection, request):
        method = request.split()[0]
        requests.append(request)
        status, *headers, body = answers.get(method, ["200 OK", ""])
        sequence = request.partition("CSeq: ")[2].split()[0]
        head = [f"RTSP/1.0 {status}", f"CSeq: {sequence}", f"Content-Length: {len(body)}"]
        connection.sendall("\r\n".join([*head, *headers, "", body]).encode())
        for packet in packets if method == "PLAY" else ():
            connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)

    def serve(listener):
        with contextlib.suppress(OSError):
            while True:
                with (connection := listener.accept()[0]):
                    while request := connection.recv(4096).decode():
                        answer(connection, request)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=[listener], daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", requests
        listener.shutdown(socket.SHUT_RDWR)


def test_a_stream_of_rtsp_comes_through_its_one_connection(clip):
    data = as_transport_stream(clip)
    packets = [
        struct.pack(">BBHII", 0x80, 33, number, 0, 1) + data[start : start + 7 * 188]
        for number, start in enumerate(range(0, len(data), 7 * 188))
    ]
    # The data are said to come from elsewhere, by UDP: what cameras in a multicast net offer.
    sdp = "v=0\r\nc=IN IP4 127.0.0.2\r\nm=video 9999 RTP/AVP 33\r\na=control:track\r\n"
    answers = {
        "DESCRIBE": ["200 OK", "Content-Type: application/sdp", sdp],
        "SETUP": ["200 OK", "Session: 1", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1", ""],
    }
    with (
        rtsp_server(answers, packets) as (server, requests),
        stream.LiveSource(f"rtsp://{server}/live") as source,
    ):
        assert brightness(frame := next(iter(source))) == frame.number
    assert [request.split()[0] for request in requests[:4]] == [
        "OPTIONS",
        "DESCRIBE",
        "SETUP",
        "PLAY",
    ]


def test_no_redirect_of_rtsp_leads_to_another_host(trap):
    answers = {"DESCRIBE": ["302 Moved", f"Location: rtsp://{trap}/live", ""]}
    with rtsp_server(answers) as (server, requests):
        open_and_fail(f"rtsp://{server}/live", "does not open: it leads to another host")
    assert [request.split()[0] for request in requests] == ["OPTIONS", "DESCRIBE"]


@pytest.mark.parametrize("deadly", [signal.SIGSEGV, signal.SIGSTOP])
def test_a_process_that_dies_or_hangs_is_replaced(clip, monkeypatch, deadly):
    monkeypatch.setattr(stream, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(stream, "_STALL_SECONDS", 1.0)
    with (
        serving(("/clip.ts", as_transport_stream(clip), {})) as (url, _),
        stream.LiveSource(f"{url}/clip.ts") as source,
    ):
        frames = iter(source)
        first, pid = next(frames), source.pid
        os.kill(pid, deadly)
        after = next(frames)
        assert (source.pid, source.num_reconnects) != (pid, 0)
        assert after.number > first.number
        assert after.captured > first.captured


@pytest.mark.parametrize(
    "address",
    ["rtsp://user:p%40ss@127.0.0.1:{}/live?key=p%40ss", "http://user:p%40ss@127.0.0.1:{}/"],
)
def test_passwords_are_masked(address):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with stream.LiveSource(address.format(port)) as source:
        assert source.source.partition("://")[2].startswith("***@127.0.0.1:")
        with pytest.raises(MediaError, match=r"://\*\*\*@.* does not open") as caught:
            next(iter(source))
    assert "p%40ss" not in f"{source.source} {caught.value} {caught.value.__cause__}"


def test_the_login_of_an_address_is_used(clip):
    asks = {"WWW-Authenticate": 'Basic realm="camera"'}
    with (
        serving(("/clip.ts", as_transport_stream(clip), asks)) as (url, requests),
        stream.LiveSource(f"{url}/clip.ts".replace("://", "://user:p%40ss@")) as source,
    ):
        assert next(iter(source)).image.shape == (64, 96, 3)
    assert requests == ["/clip.ts"] * 2
