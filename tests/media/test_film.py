"""Which stream is the film, when its frames are shown, what is called damaged, and long files."""

import fractions
import io
import struct

import av
import numpy as np
import pytest

from dfjax.media import limits, video
from dfjax.media.errors import MediaError

MS = fractions.Fraction(1, 1000)


def gray(value: int, size=(64, 64)) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


def write(
    path, times, *, codec="libx264", rate=25, sound_s=0.0, shades=None, noise=None, **options
):
    """Writes one gray frame at each of `times`, in milliseconds; with sound of some seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        unit = MS if codec.startswith("lib") else fractions.Fraction(1, rate)
        stream.codec_context.time_base = unit
        sound = container.add_stream("aac", rate=44100, layout="mono") if sound_s else None
        for number, time in enumerate(times):
            shade = 20 + 3 * number % 200 if shades is None else shades[number]
            image = gray(shade) if noise is None else noise[number]
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = round(time / 1000 / unit), unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        for number in range(int(sound_s * 44100 / 1024)):
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            quiet.sample_rate, quiet.pts = 44100, 1024 * number
            container.mux(sound.encode(quiet))
        if sound:
            container.mux(sound.encode())
    return path


def box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def with_cover(data: bytes, cover: bytes, kind: int) -> bytes:
    """Puts a cover into the tags of an mp4, which taggers write in front of the tracks."""
    start = data.index(b"moov") - 4
    (size,) = struct.unpack_from(">I", data, start)
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    item = box(b"covr", box(b"data", struct.pack(">II", kind, 0) + cover))
    tags = box(b"udta", box(b"meta", bytes(4) + handler + box(b"ilst", item)))
    header = struct.unpack_from(">I", data, start + 8)[0]  # of mvhd, the first box
    inside = data[start + 8 : start + size]
    moov = box(b"moov", inside[:header] + tags + inside[header:])
    return data[:start] + moov + data[start + size :]


def jpeg() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(gray(200, (90, 120))).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_cover_is_not_the_film(tmp_path):
    plain = write(tmp_path / "plain.mp4", range(0, 800, 40))
    covered = tmp_path / "covered.mp4"
    covered.write_bytes(with_cover(plain.read_bytes(), jpeg(), 13))
    with av.open(str(covered)) as container:
        assert [stream.width for stream in container.streams.video] == [120, 64]
    clip = video.read_video(covered)
    assert (clip.num_decoded, clip.frames[0].shape, clip.damage) == (20, (64, 64, 3), ())
    np.testing.assert_array_equal(clip.frames, video.read_video(plain).frames)


def test_a_song_with_a_cover_has_no_film(tmp_path):
    with av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=44100, layout="mono")
        for number in range(20):
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            quiet.sample_rate, quiet.pts = 44100, 1024 * number
            container.mux(sound.encode(quiet))
        container.mux(sound.encode())
    path = tmp_path / "song.mp4"
    path.write_bytes(with_cover((tmp_path / "song.m4a").read_bytes(), jpeg(), 13))
    with pytest.raises(MediaError, match="has only pictures, such as a cover: give") as error:
        video.read_video(path)
    assert error.value.code == "no_video"


def test_the_default_stream_is_the_film(tmp_path):
    shades = {50: False, 200: True}  # of each track, and whether it is marked
    with av.open(str(tmp_path / "two.mkv"), "w") as container:
        streams = {}
        for shade, is_default in shades.items():
            stream = container.add_stream("libx264", rate=25)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            stream.disposition = av.stream.Disposition.default if is_default else 0
            streams[shade] = stream
        for shade, stream in streams.items():
            for number in range(5):
                frame = av.VideoFrame.from_ndarray(gray(shade), "rgb24")
                frame = frame.reformat(format="yuv420p")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    assert video.read_video(tmp_path / "two.mkv").frames[0].mean() == pytest.approx(200, abs=4)


SLOW_END = [*range(0, 800, 40), *range(1000, 6000, 1000)]


@pytest.mark.parametrize(
    ("name", "codec", "times", "rate"),
    [
        ("phone.mp4", "libx264", SLOW_END, 25),
        ("phone.mkv", "libx264", SLOW_END, 25),
        ("browser.webm", "libvpx", [34 * number for number in range(30)], 1000),
        ("late.mp4", "libx264", [500 + 40 * number for number in range(10)], 25),
        ("tape.ts", "mpeg2video", [40 * number for number in range(10)], 25),
        ("disc.mpg", "mpeg2video", [40 * number for number in range(10)], 25),
        ("old.avi", "mpeg4", [40 * number for number in range(10)], 25),
    ],
)
def test_every_frame_has_its_own_time(tmp_path, name, codec, times, rate):
    clip = video.read_video(write(tmp_path / name, times, codec=codec, rate=rate), 100)
    want = (np.array(times) - times[0]) / 1000
    np.testing.assert_allclose(clip.times, want, atol=0.002)
    assert clip.damage == ()
    assert clip.fps == pytest.approx(len(times) / clip.duration, rel=0.03)
    assert clip.duration == pytest.approx(want[-1] + want[-1] - want[-2], abs=0.01)


def test_times_never_go_back(tmp_path):
    """Two recordings in one stream, as when a receiver loses the signal."""
    first = write(tmp_path / "a.ts", range(5000, 5400, 40), codec="mpeg2video")
    second = write(tmp_path / "b.ts", range(0, 400, 40), codec="mpeg2video")
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    clip = video.read_video(both, 100)
    np.testing.assert_allclose(clip.times, 0.04 * np.arange(20), atol=0.002)


def test_frames_are_written_at_their_times(tmp_path):
    times = [0.0, 0.1, 0.15, 1.0, 1.0, 2.5]
    frames = [gray(40 * number) for number in range(6)]
    path = tmp_path / "a.mp4"
    video.write_timed(path, zip(times, frames, strict=True), fps=10, crf=10)
    clip = video.read_video(path)
    np.testing.assert_allclose(clip.times, times, atol=1e-4)
    np.testing.assert_allclose([frame.mean() for frame in clip.frames], 40 * np.arange(6), atol=3)
    assert clip.duration == pytest.approx(2.6, abs=1.5)


@pytest.mark.parametrize(
    ("name", "times", "options"),
    [
        ("recording.mkv", SLOW_END, {}),  # Matroska states no number of frames
        ("song.mkv", range(0, 800, 40), {"sound_s": 5.0}),
        ("song.mp4", range(0, 800, 40), {"sound_s": 5.0}),
        ("fast.mp4", [round(number / 0.06) for number in range(300)], {"rate": 60}),
        ("tape.ts", range(0, 800, 40), {}),
    ],
)
def test_a_sound_file_is_not_called_damaged(tmp_path, name, times, options):
    clip = video.read_video(write(tmp_path / name, times, **options))
    assert (clip.damage, clip.warnings) == ((), ())


def trimmed(path, *, first_ms: int, length_ms: int):
    """Sets the edit list of an mp4: what a phone's editor does when it cuts a clip."""
    data = bytearray(path.read_bytes())
    start = data.index(b"elst") + 12
    _, media_time = struct.unpack_from(">Ii", data, start)
    ticks = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0]
    edit = struct.pack(">Ii", length_ms, media_time + first_ms * ticks // 1000)
    data[start : start + 8] = edit
    path.write_bytes(data)


def test_a_trimmed_clip_is_whole(tmp_path):
    path = write(tmp_path / "a.mp4", range(0, 2000, 40), g="10")
    trimmed(path, first_ms=600, length_ms=800)
    clip = video.read_video(path)
    assert (clip.num_decoded, clip.damage) == (20, ())
    assert clip.times[:3] == pytest.approx([0, 0.04, 0.08])


def test_recordings_with_dropped_frames_are_whole(tmp_path):
    """An AVI stores a dropped frame as a chunk without bytes."""
    path = write(tmp_path / "a.avi", range(0, 800, 40), codec="mjpeg")
    data = path.read_bytes()
    start = data.index(b"movi")
    position, frames = start + 4, []
    while data[position : position + 4] == b"00dc":
        (size,) = struct.unpack_from("<I", data, position + 4)
        frames.append(data[position + 8 : position + 8 + size])
        position += 8 + size + size % 2
    kept = [b"" if number % 4 == 1 else frame for number, frame in enumerate(frames)]
    movi, index = b"movi", b""
    for frame in kept:
        index += b"00dc" + struct.pack("<III", 16, len(movi), len(frame))
        movi += b"00dc" + struct.pack("<I", len(frame)) + frame + bytes(len(frame) % 2)
    rest = data[12 : start - 8] + b"LIST" + struct.pack("<I", len(movi)) + movi
    rest += b"idx1" + struct.pack("<I", len(index)) + index
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(rest)) + b"AVI " + rest)
    clip = video.read_video(path, 100)
    assert (clip.num_decoded, clip.damage) == (15, ())
    np.testing.assert_allclose(clip.times[:5], [0, 0.08, 0.12, 0.16, 0.24], atol=1e-6)


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_what_ends_before_its_index_is_damaged(tmp_path, name):
    codec = "mpeg4" if name == "a.avi" else "libx264"
    noise = np.random.default_rng(0).integers(0, 256, (50, 64, 64, 3), np.uint8)
    path = write(tmp_path / name, range(0, 2000, 40), codec=codec, noise=noise, g="5")
    data = path.read_bytes()
    if name == "a.mp4":  # with the index in front, as for the web
        with av.open(str(path)) as source:
            target = av.open(str(tmp_path / "b.mp4"), "w", options={"movflags": "faststart"})
            with target:
                read = source.streams.video[0]
                written = target.add_stream_from_template(read)
                for packet in source.demux(read):
                    if packet.size:
                        packet.stream = written
                        target.mux(packet)
        data = (tmp_path / "b.mp4").read_bytes()
    path.write_bytes(data[: int(0.7 * len(data))])
    clip = video.read_video(path, 100)
    assert 15 < clip.num_decoded < 45
    assert clip.damage[-1].startswith("the file states 50 frames and holds ")


def test_errors_of_the_decoder_are_counted(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (40, 64, 64, 3), np.uint8)
    path = tmp_path / "a.mp4"
    video.write_video(path, noise, fps=25, crf=20)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat")
    middle = slice(start + (len(data) - start) // 3, start + (len(data) - start) // 2)
    data[middle] = bytes(middle.stop - middle.start)
    path.write_bytes(data)
    damage = video.read_video(path).damage
    assert len(damage) == 1
    assert "the decoder reported errors in" in damage[0]


@pytest.mark.parametrize(
    "codec", [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.ts", "mpeg2video")]
)
def test_a_long_film_is_searched_from_its_begin_to_its_end(tmp_path, monkeypatch, codec):
    name, codec = codec
    times = range(0, 40_000, 40)
    shades = [20 + number // 5 for number in range(1000)]  # brightness tells the time
    path = write(tmp_path / name, times, codec=codec, shades=shades, g="12")
    monkeypatch.setattr(limits, "LONG_VIDEO_FRAMES", 999)
    clip = video.read_video(path, 8)
    assert clip.is_long
    assert clip.num_decoded < 300
    wanted = np.linspace(0, 39.96, 8)
    np.testing.assert_allclose(clip.times, wanted, atol=0.6)
    for frame, time, index in zip(clip.frames, clip.times, clip.indices, strict=True):
        assert index == round(25 * time)
        assert frame.mean() == pytest.approx(shades[index], abs=3)
    again = video.read_video(path, 8)
    np.testing.assert_array_equal(clip.frames, again.frames)
    assert clip.times == again.times


def test_a_long_film_with_one_key_frame_is_spread_too(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", range(0, 8000, 40), g="1000", **{"sc_threshold": "0"})
    monkeypatch.setattr(limits, "LONG_VIDEO_FRAMES", 100)
    clip = video.read_video(path, 5)
    np.testing.assert_allclose(clip.times, np.linspace(0, 7.96, 5), atol=1.0)


def test_a_film_as_long_as_it_says_it_is_not_is_read_through(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mkv", range(0, 2000, 40))
    data = path.read_bytes()
    start = data.index(b"\x44\x89\x88") + 3  # Duration, a float of milliseconds
    assert struct.unpack_from(">d", data, start) == (2000.0,)
    path.write_bytes(data[:start] + struct.pack(">d", 7_200_000.0) + data[start + 8 :])
    clip = video.read_video(path, 5)
    assert (clip.is_long, clip.num_decoded) == (False, 50)
    assert clip.indices == [0, 12, 24, 36, 49]
    assert clip.damage[0].startswith("the file states a length of 7200.0 s and ends after 2.0 s")
