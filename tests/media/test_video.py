"""Frames are those that the indices say, upright, in their colours; hostile files are refused."""

import struct

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from dfjax.media import limits, video
from dfjax.media.errors import MediaError


def counting(num_frames: int, height=64, width=96) -> list[np.ndarray]:
    """Flat frames whose brightness is 10 + 2 x the number of the frame."""
    return [np.full((height, width, 3), 10 + 2 * n, np.uint8) for n in range(num_frames)]


def numbers(frames: list[np.ndarray]) -> list[int]:
    return [round((float(frame.mean()) - 10) / 2) for frame in frames]


def encode(path, frames, codec="libx264", pix_fmt="yuv420p", matrix=None, colour_range=None):
    """Writes frames with PyAV alone; every frame a key frame, so that cuts cost few."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"g": "1", "crf": "8"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if matrix:
            stream.codec_context.colorspace = matrix
            stream.codec_context.color_range = colour_range
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, "rgb24")
            picture = picture.reformat(
                format=pix_fmt, dst_colorspace=matrix, dst_color_range=colour_range
            )
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def patch(path, old: bytes, offset: int, new: bytes):
    """Overwrites bytes at an offset from the only occurrence of `old`."""
    data = bytearray(path.read_bytes())
    assert data.count(old) == 1
    start = data.index(old) + offset
    data[start : start + len(new)] = new
    path.write_bytes(data)


def code_of(path) -> str:
    with pytest.raises(MediaError) as error:
        video.read_video(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return error.value.code


def test_frames_are_evenly_spread_with_both_ends(tmp_path):
    path = tmp_path / "a.mp4"
    video.write_video(path, counting(100), fps=25, crf=10)
    clip = video.read_video(path, 7)
    assert clip.indices == [0, 16, 33, 49, 66, 82, 99]
    assert numbers(clip.frames) == clip.indices
    assert (clip.num_decoded, clip.num_declared, clip.fps) == (100, 100, 25.0)
    assert (clip.frames[0].shape, clip.frames[0].dtype) == ((64, 96, 3), np.uint8)
    assert len(video.read_video(path).frames) == 32
    assert video.read_video(path, 1).indices == [0]
    with pytest.raises(ValueError, match="num_frames is 0"):
        video.read_video(path, 0)


def test_a_short_video_gives_every_frame_once(tmp_path):
    video.write_video(tmp_path / "a.mp4", counting(5), fps=25, crf=10)
    clip = video.read_video(tmp_path / "a.mp4", 32)
    assert clip.indices == numbers(clip.frames) == [0, 1, 2, 3, 4]


def test_writing_is_deterministic_and_checked(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    for name in "ab":
        video.write_video(tmp_path / name, frames, fps=29.97, crf=23)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert video.read_video(tmp_path / "a").fps == pytest.approx(29.97)
    with pytest.raises(ValueError, match="even"):
        video.write_video(tmp_path / "c", counting(1, height=33), fps=25, crf=23)
    with pytest.raises(ValueError, match="empty"):
        video.write_video(tmp_path / "c", [], fps=25, crf=23)
    with pytest.raises(ValueError, match="frame 1 is"):
        video.write_video(tmp_path / "c", counting(1) + counting(1, height=32), fps=25, crf=23)


def test_a_wrong_frame_count_in_the_header_changes_nothing(tmp_path):
    path = encode(tmp_path / "a.avi", counting(40), codec="mjpeg", pix_fmt="yuvj420p")
    right = video.read_video(path, 6)
    # dwLength of the stream header, 32 bytes after "vids": ten hours' worth.
    patch(path, b"vids", 32, struct.pack("<I", 25 * 36_000))
    wrong = video.read_video(path, 6)
    assert (right.num_declared, wrong.num_declared) == (40, 900_000)
    assert right.damage == ()
    assert wrong.damage[0].startswith("the file states 900000 frames and holds 40: it is damaged")
    assert right.num_decoded == wrong.num_decoded == 40
    assert right.indices == wrong.indices == numbers(wrong.frames) == [0, 7, 15, 23, 31, 39]


def test_a_video_cut_in_the_middle_gives_what_is_left(tmp_path):
    path = encode(tmp_path / "a.mkv", counting(60))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    clip = video.read_video(path, 5)
    assert clip.num_declared == 0  # Matroska states none, but a length
    assert clip.damage[0].startswith("the file states a length of 2.4 s and ends after 1.")
    assert 15 < clip.num_decoded < 45
    want = np.linspace(0, clip.num_decoded - 1, 5, dtype=int).tolist()
    assert clip.indices == numbers(clip.frames) == want


def test_no_more_than_the_limit_is_decoded(tmp_path, monkeypatch):
    video.write_video(tmp_path / "a.mp4", counting(30), fps=25, crf=10)
    monkeypatch.setattr(limits, "MAX_VIDEO_FRAMES", 11)
    clip = video.read_video(tmp_path / "a.mp4", 3)
    assert clip.indices == numbers(clip.frames) == [0, 5, 10]
    assert (clip.num_decoded, clip.num_declared, clip.damage) == (11, 30, ())
    assert "only its first 0 s were looked at, a limit of this program" in clip.warnings[0]


# A matrix [a b; c d] of ISO/IEC 14496-12 sends pixel (x, y) to (a x + c y, b x + d y), y downwards.
@pytest.mark.parametrize(
    ("matrix", "turned"),
    [
        ((0, 1, -1, 0), lambda image: image[::-1].swapaxes(0, 1)),  # clockwise
        ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
        ((0, -1, 1, 0), lambda image: image.swapaxes(0, 1)[::-1]),  # counterclockwise
    ],
)
def test_display_rotation_is_applied(tmp_path, matrix, turned):
    path = tmp_path / "a.mp4"
    image = np.zeros((64, 96, 3), np.uint8)
    image[:32, :48], image[32:, :48] = 250, 120
    video.write_video(path, [image] * 3, fps=25, crf=5)
    a, b, c, d = (value * 0x10000 for value in matrix)
    packed = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    patch(path, b"tkhd", 44, packed)
    got = video.read_video(path).frames[0]
    np.testing.assert_allclose(got.astype(int), turned(image), atol=24)
    assert np.abs(got.astype(int) - turned(image)).mean() < 3


@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
@pytest.mark.parametrize("colour_range", [ColorRange.MPEG, ColorRange.JPEG])
def test_colours_follow_matrix_and_range(tmp_path, matrix, colour_range):
    colours = [(200, 30, 40), (30, 180, 60), (20, 40, 220), (250, 250, 250), (5, 5, 5)]
    frames = [np.full((32, 32, 3), colour, np.uint8) for colour in colours]
    path = encode(tmp_path / "a.mp4", frames, matrix=matrix, colour_range=colour_range)
    for frame, colour in zip(video.read_video(path).frames, colours, strict=True):
        np.testing.assert_allclose(frame.mean((0, 1)), colour, atol=5)


def test_what_is_written_keeps_its_colours(tmp_path):
    image = np.full((32, 32, 3), (200, 30, 40), np.uint8)
    video.write_video(tmp_path / "a.mp4", [image], fps=25, crf=5)
    got = video.read_video(tmp_path / "a.mp4").frames[0]
    np.testing.assert_allclose(got.mean((0, 1)), (200, 30, 40), atol=5)


def test_a_file_without_pictures(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    assert code_of(tmp_path / "a.mp4") == "no_video"


def test_what_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    assert code_of(path) == code_of(tmp_path) == "unreadable"
    path.write_bytes(b"")
    assert code_of(path) == "empty"
    path.write_text("hello " * 1000)
    assert code_of(path) in ("corrupt", "unsupported")
    video.write_video(path, counting(20), fps=25, crf=23)
    path.write_bytes(path.read_bytes()[:2000])  # the index of an .mp4 is at its end
    assert code_of(path) == "corrupt"


@pytest.mark.parametrize("name", ["a.m3u8", "a.mp4"])
def test_a_playlist_opens_no_other_file(tmp_path, name):
    secret = encode(tmp_path / "secret.ts", counting(5))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n"
    (tmp_path / name).write_text(playlist)
    assert code_of(tmp_path / name) in ("corrupt", "unsupported")


def test_an_unusual_codec_is_refused(tmp_path):
    path = encode(tmp_path / "a.avi", counting(2), codec="ffv1")
    with pytest.raises(MediaError, match="codec ffv1: encode it as one of av1, h264"):
        video.read_video(path)


def test_huge_frames_are_refused(tmp_path, monkeypatch):
    path = encode(tmp_path / "a.mp4", counting(2, 128, 128))
    monkeypatch.setattr(limits, "MAX_FRAME_PIXELS", 128 * 128)
    assert len(video.read_video(path).frames) == 2
    monkeypatch.setattr(limits, "MAX_FRAME_PIXELS", 128 * 128 - 1)
    assert code_of(path) == "too_large"


def test_frames_that_grow_after_the_first_are_refused_by_the_decoder(tmp_path, monkeypatch):
    path = encode(tmp_path / "a.avi", counting(3, 64, 64), codec="mjpeg", pix_fmt="yuvj420p")
    header = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 64, 64)
    first, *others = path.read_bytes().split(header)
    assert len(others) == 3
    grown = header[:5] + struct.pack(">HH", 96, 96)
    path.write_bytes(first + header + grown.join(others))
    assert [frame.shape[0] for frame in video.read_video(path).frames] == [64, 96, 96]
    monkeypatch.setattr(limits, "MAX_FRAME_PIXELS", 64 * 64)
    assert [frame.shape[0] for frame in video.read_video(path).frames] == [64]


def test_metadata_in_another_encoding_does_no_harm(tmp_path):
    path = tmp_path / "a.mkv"
    encode(path, counting(3))
    path.write_bytes(path.read_bytes().replace(b"Lavf", b"L\xe4vf"))
    assert video.read_video(path).num_decoded == 3
