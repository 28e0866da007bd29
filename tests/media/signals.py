"""RGB pictures as signals of video, by the formulas of the ITU: luma and chroma, SDR, HLG, PQ."""

import numpy as np

# Weights of red and blue in the luma of ITU-R BT.709 and BT.2020.
KR_KB_709, KR_KB_2020 = (0.2126, 0.0722), (0.2627, 0.0593)
# BT.2087: linear light of BT.709 primaries to BT.2020 primaries.
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
WHITE_NITS = 203  # BT.2408: diffuse white of HDR, which is the white of SDR
HLG_PEAK_NITS, HLG_GAMMA = 1000, 1.2  # BT.2100: of the nominal display


def hlg_signal(light: np.ndarray) -> np.ndarray:
    """The HLG signal (0 to 1) of display light in nits [..., 3], BT.2020: BT.2100, table 5."""
    display = light / HLG_PEAK_NITS
    luminance = display @ np.array([0.2627, 0.6780, 0.0593])
    scene_luminance = np.maximum(luminance, 1e-9) ** (1 / HLG_GAMMA)
    scene = display * (scene_luminance / np.maximum(luminance, 1e-9))[..., None]
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    above = a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
    return np.where(scene <= 1 / 12, np.sqrt(3 * np.maximum(scene, 0)), above)


def pq_signal(light: np.ndarray) -> np.ndarray:
    """The PQ signal (0 to 1) of display light in nits: SMPTE ST 2084."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = (np.maximum(light, 0) / 10_000) ** m1
    return ((c1 + c2 * power) / (1 + c3 * power)) ** m2


def nits(image: np.ndarray) -> np.ndarray:
    """The light [H, W, 3] of an SDR picture in BT.2020, its white at `WHITE_NITS`.

    Display-referred, as BT.2408 has it: what a reference monitor (BT.1886) shows, made brighter.
    """
    return WHITE_NITS * (image / 255) ** 2.4 @ TO_2020.T


def to_planes(
    rgb: np.ndarray, kr_kb: tuple[float, float] = KR_KB_709, bits: int = 8, *, fields: bool = False
) -> np.ndarray:
    """RGB signals [H, W, 3] of 0 to 1 as Y, Cb and Cr, limited, 4:2:0, stacked: [H * 3 / 2, W].

    With `fields`, the chroma of even and of odd lines is kept apart.
    """
    kr, kb = kr_kb
    luma = rgb @ np.array([kr, 1 - kr - kb, kb])
    blue, red = (rgb[..., 2] - luma) / (2 - 2 * kb), (rgb[..., 0] - luma) / (2 - 2 * kr)
    unit = 1 << (bits - 8)
    chroma = [128 + 224 * _halved(plane, fields=fields) for plane in (blue, red)]
    width = luma.shape[1]
    stacked = np.concatenate([16 + 219 * luma, *(plane.reshape(-1, width) for plane in chroma)])
    return np.rint(unit * stacked).astype(np.uint8 if bits == 8 else np.uint16)


def _halved(plane: np.ndarray, *, fields: bool) -> np.ndarray:
    """A plane of half the sides; its samples stand on the left ones of each pair, as in MPEG-2."""
    around = np.pad(plane, ((0, 0), (1, 1)), "edge")
    across = (around[:, :-2] + 2 * plane + around[:, 2:])[:, ::2] / 4
    if not fields:
        return (across[::2] + across[1::2]) / 2
    even, odd = ((field[::2] + field[1::2]) / 2 for field in (across[::2], across[1::2]))
    return np.stack([even, odd], axis=1).reshape(-1, across.shape[1])
