"""Decoded frames to RGB as an SDR screen shows it: BT.709 primaries, white at 255.

The matrix and the range of a stream are FFmpeg's work. Its scaler could convert primaries and
transfers, too, but it cuts highlights of HDR off, and computes for 2.7 s before the first frame.
"""

import dataclasses
import functools

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

# Without these, colors are up to 3 of 256 too dark and differ between processors.
EXACT = (
    Interpolation.BILINEAR
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)

# ITU-T H.273, tables 2 to 4. PyAV has no names for these.
_RGB_MATRIX, _UNSPECIFIED = 0, 2
_CHROMATICITY_DERIVED = 12
_MATRIX_NAMES = {
    8: "YCgCo",
    10: "BT.2020 constant luminance",
    11: "SMPTE ST 2085",
    13: "chromaticity-derived constant luminance",
    14: "ICtCp",
    15: "IPT-C2",
    16: "YCgCo-Re",
    17: "YCgCo-Ro",
}
_TRANSFER_NAMES = {ColorTrc.LOG: "log", ColorTrc.LOG_SQRT: "log", ColorTrc.SMPTE428: "SMPTE 428"}

_D65 = (0.3127, 0.3290)
_C = (0.310, 0.316)
_DCI = (0.314, 0.351)
_BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65)
_SMPTE_C = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
# x and y of red, green, blue and white.
_PRIMARIES = {
    ColorPrimaries.BT470M: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    ColorPrimaries.BT470BG: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    ColorPrimaries.SMPTE170M: _SMPTE_C,
    ColorPrimaries.SMPTE240M: _SMPTE_C,
    ColorPrimaries.FILM: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    ColorPrimaries.BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    ColorPrimaries.SMPTE431: (*_P3, _DCI),
    ColorPrimaries.SMPTE432: (*_P3, _D65),
    ColorPrimaries.EBU3213: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.03]]
)

_GAMMA = 2.4  # of a screen that shows video (BT.1886)
_WHITE = 203.0  # cd/m2: what BT.2408 shows at the white of SDR
_PEAK = 1000.0 / _WHITE  # highlights up to here keep their differences, of whites
_KNEE = 0.8  # of white: what is darker stays as it is
_LEVELS = 2**16
_FULL = 255 * 256  # what FFmpeg makes of the signal 1 in 16 bits


@dataclasses.dataclass(frozen=True)
class Coding:
    """How the values of a frame stand for light, in the numbers of ITU-T H.273.

    Attributes:
      matrix, primaries, transfer: as the stream names them, or as players guess them.
      unknown: what of it cannot be converted, in words; BT.709 stands for it.
    """

    matrix: int
    primaries: int
    transfer: int
    unknown: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether a screen shows the values as they are, once they are RGB."""
        return self.primaries not in _PRIMARIES and self.transfer not in _TO_LIGHT


def to_rgb(frame: av.VideoFrame) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns a frame as RGB uint8 [H, W, 3], and what of its coding could not be converted."""
    coding = coding_of(frame)
    if coding.is_plain:
        return _convert(frame, coding, "rgb24"), coding.unknown
    values = _convert(frame, coding, "gbrp16le")  # FFmpeg's rgb48le has rows of wrong chroma
    return to_screen(values, coding), coding.unknown


def to_screen(values: np.ndarray, coding: Coding) -> np.ndarray:
    """Returns RGB uint16 [H, W, 3] of this coding, in which 255 * 256 stands for 1, as uint8."""
    return _encode(_light(values, coding))


def coding_of(frame: av.VideoFrame) -> Coding:
    """Returns the coding that a stream names; what it does not name is guessed as players do.

    Without a matrix, that of the primaries counts; without either, BT.709 from 1280 pixels of
    width or 577 of height, else BT.601. Without primaries or a transfer, those of the screen count.
    """
    unknown = []
    primaries, transfer = int(frame.color_primaries), int(frame.color_trc)
    matrix = int(frame.colorspace)
    if matrix in (_UNSPECIFIED, _CHROMATICITY_DERIVED):
        matrix = _guess_matrix(frame, primaries)
    elif matrix in _MATRIX_NAMES:
        unknown.append(f"color matrix {_MATRIX_NAMES[matrix]}")
        matrix = Colorspace.ITU709
    if transfer in _TRANSFER_NAMES:
        unknown.append(f"transfer {_TRANSFER_NAMES[transfer]}")
    return Coding(matrix, primaries, transfer, tuple(unknown))


def _guess_matrix(frame: av.VideoFrame, primaries: int) -> int:
    if primaries == ColorPrimaries.BT2020:
        return Colorspace.BT2020
    if primaries == ColorPrimaries.BT709 or frame.width >= 1280 or frame.height > 576:
        return Colorspace.ITU709
    return Colorspace.ITU601


def _convert(frame: av.VideoFrame, coding: Coding, pixels: str) -> np.ndarray:
    is_rgb = frame.format.name.startswith(("gbr", "rgb", "bgr"))
    return frame.reformat(
        format=pixels,
        src_colorspace=None if is_rgb or coding.matrix == _RGB_MATRIX else coding.matrix,
        dst_color_range=ColorRange.JPEG,
        interpolation=EXACT,
        threads=1,
    ).to_ndarray()


def _light(values: np.ndarray, coding: Coding) -> np.ndarray:
    """RGB uint16 [H, W, 3] as linear light float32 in BT.709 primaries, 1 = white."""
    light = cv2.LUT(values, _light_table(coding.transfer))
    if coding.transfer == ColorTrc.ARIB_STD_B67:
        light = _on_screen(light)
    if coding.primaries in _PRIMARIES:
        light = cv2.transform(light, _to_bt709(coding.primaries))
    if coding.transfer in (ColorTrc.ARIB_STD_B67, ColorTrc.SMPTE2084):
        light = _tone_mapped(light)
    return light


@functools.cache
def _light_table(transfer: int) -> np.ndarray:
    signal = np.minimum(np.arange(_LEVELS) / _FULL, 1)
    light = _TO_LIGHT.get(transfer, _bt1886)(signal)
    return light.astype(np.float32).reshape(1, _LEVELS)


def _bt1886(signal: np.ndarray) -> np.ndarray:
    """Every curve of a camera for SDR is made to be shown by this one of a screen."""
    return signal**_GAMMA


def _pq(signal: np.ndarray) -> np.ndarray:
    """The EOTF of BT.2100, PQ."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = signal ** (1 / m2)
    return 10_000 / _WHITE * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)


def _hlg(signal: np.ndarray) -> np.ndarray:
    """The inverse OETF of BT.2100, HLG: the light of the scene, in 0..1."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


_TO_LIGHT = {
    ColorTrc.GAMMA28: lambda signal: signal**2.8,
    ColorTrc.LINEAR: lambda signal: signal,
    ColorTrc.SMPTE2084: _pq,
    ColorTrc.ARIB_STD_B67: _hlg,
}


def _on_screen(scene: np.ndarray) -> np.ndarray:
    """The OOTF of BT.2100, HLG, on a screen of 1000 cd/m2."""
    luminance = cv2.transform(scene, np.array([[0.2627, 0.6780, 0.0593]], np.float32))
    return _PEAK * scene * cv2.pow(luminance, 0.2)[..., None]


@functools.cache
def _to_bt709(primaries: int) -> np.ndarray:
    """The matrix [3, 3] from RGB of these primaries to RGB of BT.709, both linear."""
    source, target = _PRIMARIES[primaries], _BT709
    white = _BRADFORD @ _xyz(source[3]), _BRADFORD @ _xyz(target[3])
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(white[1] / white[0]) @ _BRADFORD
    matrix = np.linalg.inv(_rgb_to_xyz(target)) @ adapt @ _rgb_to_xyz(source)
    return matrix.astype(np.float32)


def _rgb_to_xyz(primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    columns = np.stack([_xyz(point) for point in primaries[:3]], axis=1)
    return columns * np.linalg.solve(columns, _xyz(primaries[3]))


def _xyz(point: tuple[float, float]) -> np.ndarray:
    x, y = point
    return np.array([x / y, 1, (1 - x - y) / y])


def _tone_mapped(light: np.ndarray) -> np.ndarray:
    """Light of HDR with its highlights, from the knee to the peak, pressed below white.

    The strongest of the three colors counts, so that hues stay. The curve leaves the knee with the
    slope 1, is 0.9 at SDR's white and 1 at the peak. What is brighter becomes white.
    """
    strongest = np.maximum(light.max(axis=2), _KNEE)
    x = np.minimum((strongest - _KNEE) / (_PEAK - _KNEE), 1)
    slope = (_PEAK - _KNEE) / (1 - _KNEE)
    pressed = _KNEE + (1 - _KNEE) * slope * x / (1 + (slope - 1) * x)
    return light * (pressed / strongest)[..., None]


def _encode(light: np.ndarray) -> np.ndarray:
    """Linear light, 1 = white, as the uint8 that a screen shows as this light."""
    signal = cv2.pow(np.clip(light, 0, 1), 1 / _GAMMA)
    return np.rint(255 * signal).astype(np.uint8)
