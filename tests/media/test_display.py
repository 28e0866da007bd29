"""Frames look as a player shows them: turned, mirrored, with square pixels, cut, deinterlaced."""

import fractions
import struct

import av
import cv2
import numpy as np
import pytest

from dfjax.media import display, video

ONE = 1 << 16
WIDTH, HEIGHT = 128, 96


def picture() -> np.ndarray:
    """No turn or mirror image of it looks like it: red grows to the right, green downwards."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    image[..., 0], image[..., 1] = 200 * columns / WIDTH, 200 * rows / HEIGHT
    image[:24, :36] = 250
    return image


def encode(path, stored, *, codec="libx264", rate=25, aspect=None, **options):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = stored[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for number, image in enumerate(stored):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def put_matrix(path, a, b, c, d):
    """Overwrites the matrix of the track header: (x, y) goes to (a x + c y, b x + d y)."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    values = [round(value * ONE) for value in (a, b, 0, c, d, 0, 0, 0)]
    data[start : start + 36] = struct.pack(">9i", *values, 1 << 30)
    path.write_bytes(data)


def assert_same(got, want):
    assert got.shape == want.shape
    assert np.abs(got.astype(int) - want.astype(int)).mean() < 4


# The eight ways in which a phone can be held and a selfie be stored; by numpy, from the matrix.
@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), lambda a: a),
        ((0, 1, -1, 0), lambda a: np.rot90(a, -1)),  # clockwise
        ((-1, 0, 0, -1), lambda a: a[::-1, ::-1]),
        ((0, -1, 1, 0), np.rot90),
        ((-1, 0, 0, 1), lambda a: a[:, ::-1]),
        ((1, 0, 0, -1), lambda a: a[::-1]),
        ((0, 1, 1, 0), lambda a: a.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda a: a[::-1, ::-1].swapaxes(0, 1)),
    ],
)
def test_the_whole_display_matrix_is_applied(tmp_path, matrix, shown):
    path = encode(tmp_path / "a.mp4", [picture()] * 2, crf="8")
    put_matrix(path, *matrix)
    clip = video.read_video(path)
    assert_same(clip.frames[0], shown(picture()))
    assert clip.warnings == ()


def test_a_matrix_that_is_no_right_angle_turns_like_opencv():
    angle = np.radians(30)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = display.turn(picture(), matrix)
    width = WIDTH * np.cos(angle) + HEIGHT * np.sin(angle)
    height = WIDTH * np.sin(angle) + HEIGHT * np.cos(angle)
    assert turned.shape == (np.ceil(height), np.ceil(width), 3)
    center = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    around = cv2.getRotationMatrix2D(center, -30, 1)  # OpenCV counts counterclockwise
    around[:, 2] += (width / 2 - WIDTH / 2, height / 2 - HEIGHT / 2)
    assert_same(turned, cv2.warpAffine(picture(), around, turned.shape[1::-1]))


@pytest.mark.parametrize("matrix", [(0, 0, 0, 0), (1, 1, 1, 1), (1, 0, 0, 0)])
def test_a_matrix_without_an_inverse_is_said_and_left(tmp_path, matrix):
    path = encode(tmp_path / "a.mp4", [picture()] * 2, crf="8")
    put_matrix(path, *matrix)
    clip = video.read_video(path)
    assert_same(clip.frames[0], picture())


# Players make one side longer and none shorter (Chromium, mpv).
@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (fractions.Fraction(64, 45), (182, 96)),  # 16:9 on a PAL DVD
        (fractions.Fraction(4, 3), (171, 96)),  # HDV
        (fractions.Fraction(10, 11), (128, 106)),  # 4:3 on an NTSC DVD
        (fractions.Fraction(1, 1), (128, 96)),
    ],
)
@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.ts", "mpeg2video"), ("a.mkv", "libx264")]
)
def test_pixels_become_square(tmp_path, name, codec, aspect, size):
    if codec == "mpeg2video":  # states that of the picture: 4:3, 16:9 or 2.21:1
        shape, aspect = (16, 9), fractions.Fraction(16, 9) / fractions.Fraction(WIDTH, HEIGHT)
        size = (round(HEIGHT * shape[0] / shape[1]), HEIGHT)
    path = encode(tmp_path / name, [picture()] * 3, codec=codec, aspect=aspect)
    clip = video.read_video(path)
    assert clip.frames[0].shape[1::-1] == size
    assert_same(cv2.resize(clip.frames[0], (WIDTH, HEIGHT)), picture())


def test_pixels_become_square_before_the_frame_is_turned(tmp_path):
    path = encode(tmp_path / "a.mp4", [picture()] * 2, aspect=fractions.Fraction(2, 1), crf="8")
    put_matrix(path, 0, 1, -1, 0)
    assert video.read_video(path).frames[0].shape == (2 * WIDTH, HEIGHT, 3)


def test_a_pixel_as_no_camera_has_it_is_not_believed(tmp_path):
    path = encode(tmp_path / "a.mp4", [picture()] * 2, aspect=fractions.Fraction(50, 1))
    clip = video.read_video(path)
    assert clip.frames[0].shape == (HEIGHT, WIDTH, 3)
    assert clip.warnings == ("pixels are stated to be 50 times as wide as high: not believed",)


def test_a_frame_is_cut_to_what_its_codec_states(tmp_path):
    path = encode(tmp_path / "a.h264", [picture()] * 3, crf="8")
    cut = "h264_metadata=crop_left=16:crop_right=8:crop_top=4:crop_bottom=12"
    with av.open(str(path)) as source, av.open(str(tmp_path / "a.ts"), "w") as target:
        read = source.streams.video[0]
        written = target.add_stream_from_template(read)
        cutting = av.BitStreamFilterContext(cut, read, written)
        for number, packet in enumerate(p for p in source.demux(read) if p.size):
            for changed in cutting.filter(packet):
                changed.stream, changed.pts, changed.dts = written, number, number
                changed.time_base = fractions.Fraction(1, 25)
                target.mux(changed)
    frames = video.read_video(tmp_path / "a.ts").frames
    assert_same(frames[0], picture()[4 : HEIGHT - 12, 16 : WIDTH - 8])


def moving(number: int) -> np.ndarray:
    """A white bar that moves by 4 pixels from one field to the next."""
    image = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
    image[:, 20 + 4 * number : 40 + 4 * number] = 230
    return image


def combed(image) -> float:
    """How much lines differ from their neighbors."""
    gray = image[..., 1].astype(int)
    return np.abs(2 * gray[1:-1] - gray[:-2] - gray[2:]).mean()


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"x264-params": "interlaced=1", "crf": "8"}),
        ("a.ts", "mpeg2video", {"flags": "+ildct+ilme", "b": "4M"}),
    ],
)
def test_fields_are_joined_and_times_are_kept(tmp_path, name, codec, options):
    woven = []
    for number in range(10):
        image = moving(2 * number)
        image[::2] = moving(2 * number + 1)[::2]  # PyAV encodes the lower field as the first
        woven.append(image)
    path = encode(tmp_path / name, woven, codec=codec, **options)
    clip = video.read_video(path)
    assert (len(clip.frames), clip.num_decoded) == (10, 10)
    np.testing.assert_allclose(clip.times, np.arange(10) / 25, atol=1e-6)
    assert clip.warnings == (
        "the video is interlaced: the two fields of each frame were joined (bwdif)",
    )
    for number, frame in enumerate(clip.frames):
        assert combed(frame) < 4 < 20 < combed(woven[number])
        assert np.abs(frame.astype(int) - moving(2 * number)).mean() < 2


def test_progressive_frames_pass_unchanged_though_others_are_interlaced(tmp_path):
    path = encode(tmp_path / "a.mp4", [picture()] * 5, crf="8")
    assert video.read_video(path).warnings == ()
