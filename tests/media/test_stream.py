import contextlib
import http.server
import io
import socket
import threading
import time

import av
import numpy as np
import pytest

from dfjax.media import stream, video
from dfjax.media.errors import MediaError


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
        next(iter(source))
    assert not source._thread.is_alive()


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
    monkeypatch.setattr(stream, "_OPEN_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/live"
        began = time.monotonic()
        with stream.LiveSource(url) as source, pytest.raises(MediaError, match="does not open"):
            next(iter(source))
    assert time.monotonic() - began < 10


@contextlib.contextmanager
def serving(data, content_type):
    """An HTTP server that answers everything with `data`: (its address, the paths asked for)."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(data)))
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
        serving(as_transport_stream(clip), "video/mp2t") as (url, requests),
        stream.LiveSource(f"{url}/clip.ts") as source,
    ):
        for frame in source:
            if frame.number > 130:
                break
        assert source.num_reconnects >= 2
        assert len(requests) >= 3


def test_playlist_behind_an_address_opens_no_local_file(clip, monkeypatch):
    monkeypatch.setattr(stream, "_OPEN_SECONDS", 2.0)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{clip}\n#EXT-X-ENDLIST\n"
    with (
        serving(playlist.encode(), "application/vnd.apple.mpegurl") as (url, requests),
        stream.LiveSource(f"{url}/list.m3u8") as source,
        pytest.raises(MediaError),
    ):
        next(iter(source))
    assert requests
