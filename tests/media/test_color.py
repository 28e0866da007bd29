"""Colors are those of an SDR screen: by values of the standards, and by FFmpeg's own scaler."""

import fractions

import av
import numpy as np
import pytest
from av.filter import Graph
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from dfjax.media import color, video

HLG, PQ = ColorTrc.ARIB_STD_B67, ColorTrc.SMPTE2084


def flat(y, u=512, v=512, *, matrix=9, primaries=9, transfer=HLG, size=(64, 64)) -> av.VideoFrame:
    """A frame of one color, given as 10-bit limited Y'CbCr (ITU-T H.273 numbers)."""
    frame = av.VideoFrame(*size, "yuv420p10le")
    for plane, value in zip(frame.planes, (y, u, v), strict=True):
        plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
    frame.colorspace, frame.color_range = matrix, ColorRange.MPEG
    frame.color_primaries, frame.color_trc = primaries, transfer
    return frame


def shown(frame: av.VideoFrame) -> np.ndarray:
    image, unknown = color.to_rgb(frame)
    assert (image.dtype, image.shape, unknown) == (np.uint8, (64, 64, 3), ())
    assert np.ptp(image, axis=(0, 1)).max() == 0
    return image[0, 0]


def luma(signal: float) -> int:
    """10-bit limited luma of a signal in 0..1 (BT.2100)."""
    return round(64 + 876 * signal)


# Signals of BT.2408, tables 1 and 2; the screen shows light L, relative to white, as 255 L^(1/2.4).
@pytest.mark.parametrize(
    ("transfer", "signal", "light"),
    [
        (PQ, 0.0, 0.0),
        (PQ, 0.508, 100 / 203),
        (PQ, 0.380, 26 / 203),  # gray card
        (HLG, 0.38, 26 / 203),
        (PQ, 0.58, 0.9024),  # HDR's reference white, on the way from the knee to the peak
        (HLG, 0.75, 0.9024),
        (HLG, 1.0, 1.0),  # 1000 cd/m2
        (PQ, 0.7518, 1.0),
        (PQ, 1.0, 1.0),  # 10,000 cd/m2
    ],
)
def test_grays_of_hdr_have_the_light_of_the_standard(transfer, signal, light):
    expected = 255 * light ** (1 / 2.4)
    np.testing.assert_allclose(shown(flat(luma(signal), transfer=transfer)), expected, atol=1.6)


def scaled(frames: list[av.VideoFrame]) -> list[np.ndarray]:
    """What FFmpeg's scaler makes of frames: BT.709, with highlights cut off at 203 cd/m2."""
    graph, frame = Graph(), frames[0]
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=fractions.Fraction(1, 25),
    )
    intent = "intent=absolute_colorimetric:flags=bilinear+full_chroma_int+accurate_rnd+bitexact"
    scale = graph.add("scale", f"out_transfer=bt709:out_primaries=bt709:out_range=pc:{intent}")
    rgb, sink = graph.add("format", "rgb24"), graph.add("buffersink")
    source.link_to(scale)
    scale.link_to(rgb)
    rgb.link_to(sink)
    graph.configure()
    made = []
    for pts, frame in enumerate(frames):  # one graph: its table of colors takes a second to make
        frame.pts = pts
        source.push(frame)
        made.append(sink.pull().to_ndarray()[0, 0].astype(int))
    return made


@pytest.mark.parametrize(
    ("primaries", "matrix", "transfer"),
    [
        (ColorPrimaries.BT2020, 9, HLG),
        (ColorPrimaries.BT2020, 9, PQ),
        (ColorPrimaries.BT2020, 9, ColorTrc.BT2020_10),
        (ColorPrimaries.SMPTE432, 1, ColorTrc.BT709),  # Display P3
        (ColorPrimaries.SMPTE170M, 6, ColorTrc.SMPTE170M),
        (ColorPrimaries.BT470BG, 5, ColorTrc.GAMMA28),
    ],
)
def test_muted_colors_are_those_of_ffmpeg(primaries, matrix, transfer):
    colors = ((400, 500, 560), (350, 560, 490), (300, 470, 540))  # skin, sky, leaves
    names = {"matrix": matrix, "primaries": primaries, "transfer": transfer}
    ours = [shown(flat(*color, **names)) for color in colors]
    theirs = scaled([flat(*color, **names) for color in colors])
    np.testing.assert_allclose(ours, theirs, atol=5)  # a coarse table


def test_highlights_keep_their_order_and_hue():
    grays = [shown(flat(luma(signal)))[0] for signal in np.linspace(0, 1, 60)]
    assert (np.diff(np.int32(grays)) >= 0).all()
    red, green, blue = shown(flat(800, 480, 560)).astype(int)
    assert 255 >= red > green > blue > 0


def test_plain_frames_are_what_ffmpeg_makes_of_them():
    rng = np.random.default_rng(0)
    frame = av.VideoFrame(64, 64, "yuv420p")
    for plane in frame.planes:
        plane.update(rng.integers(16, 236, plane.buffer_size, np.uint8).tobytes())
    frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
    frame.color_primaries = frame.color_trc = 1
    want = frame.reformat(format="rgb24", interpolation=color.EXACT, threads=1).to_ndarray()
    np.testing.assert_array_equal(color.to_rgb(frame)[0], want)


# Without a name, as players guess it: the same Y'CbCr, red of BT.709 or of BT.601.
@pytest.mark.parametrize(
    ("size", "primaries", "matrix"),
    [
        ((640, 480), 2, Colorspace.ITU601),
        ((720, 576), 2, Colorspace.ITU601),
        ((1280, 720), 2, Colorspace.ITU709),
        ((480, 640), 2, Colorspace.ITU709),
        ((640, 480), ColorPrimaries.BT709, Colorspace.ITU709),
        ((640, 480), ColorPrimaries.BT2020, Colorspace.BT2020),
    ],
)
def test_an_unnamed_matrix_is_guessed_as_players_do(size, primaries, matrix):
    frame = flat(300, 480, 700, matrix=2, primaries=primaries, transfer=2, size=size)
    assert color.coding_of(frame).matrix == matrix


def test_what_cannot_be_converted_is_said():
    constant_intensity = flat(500, matrix=14, transfer=PQ)
    image, unknown = color.to_rgb(constant_intensity)
    assert (image.shape, unknown) == ((64, 64, 3), ("color matrix ICtCp",))
    assert color.to_rgb(flat(500, matrix=1, primaries=1, transfer=10))[1] == ("transfer log",)


def test_an_hlg_file_of_a_phone_looks_like_its_sdr_twin(tmp_path):
    # 100 cd/m2, by the inverse OOTF and OETF of BT.2100: a gray of 190 on an SDR screen.
    scene = (100 / 1000) ** (1 / 1.2)
    signal = 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073
    params = "colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc:log-level=none"
    with av.open(tmp_path / "hlg.mov", "w") as container:
        stream = container.add_stream("libx265", rate=25, options={"x265-params": params})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p10le"
        for number in range(3):
            frame = flat(luma(signal))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    clip = video.read_video(tmp_path / "hlg.mov")
    assert (len(clip.frames), clip.warnings) == (3, ())
    np.testing.assert_allclose(clip.frames[0], 190, atol=2)
