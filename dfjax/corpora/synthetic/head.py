"""A head drawn and lit: a height field with the features on it, skin, hair and a light.

Drawn once per identity and light on a canvas in the head's own coordinates: `u` to the right, `v`
down, the pupils at (-.5, 0) and (.5, 0), so that lengths are in units of the distance between them.
`portrait.py` poses the result. numpy and OpenCV only, all arrays float32.

Albedo and light are linear. Whatever is a picture holds square roots of linear light, 0..1, which
is close enough to sRGB to be shown as it is.
"""

import dataclasses
import math

import cv2
import numpy as np

UNIT = 54  # canvas pixels per distance between the pupils
LEFT, TOP, RIGHT, BOTTOM = -1.8, -2.4, 1.8, 2.7
MOUTH = 1.14  # where the lips meet
CHIN = 1.72

_SKINS = (
    (252, 222, 203), (238, 196, 168), (214, 163, 128), (168, 116, 82), (112, 73, 52), (78, 50, 38),
)  # fmt: skip
_HAIRS = (
    (22, 18, 17), (44, 30, 23), (78, 51, 34), (118, 66, 36), (176, 132, 82), (150, 148, 146),
)  # fmt: skip
_IRISES = ((58, 36, 22), (92, 60, 34), (96, 108, 62), (86, 124, 150), (110, 128, 136))
# How far down the hair falls, how far it stands off the skull, how low the fringe hangs, how curly.
_HAIR_STYLES = {
    "shaved": (0.05, 0.015, 0.0, 0.0),
    "short": (0.15, 0.09, 0.0, 0.1),
    "fringe": (0.2, 0.12, 0.45, 0.1),
    "curly": (0.25, 0.24, 0.05, 1.0),
    "bob": (1.35, 0.18, 0.2, 0.15),
    "long": (2.35, 0.17, 0.0, 0.25),
    "tied": (0.1, 0.05, 0.0, 0.0),
}


@dataclasses.dataclass(frozen=True)
class Identity:
    """What stays the same about a person from take to take.

    Colours are float32 [3], RGB in 0..1; `texture` seeds pores, brows and strands. `eye_tilt`,
    `brow_height`, `hairline` and `parting` are in head units, 0..1 run `age`, `beard`, `freckles`;
    the rest are factors around 1.
    """

    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    hair_style: str
    parting: float
    hairline: float
    width: float
    jaw: float
    chin: float
    eye_size: float
    eye_tilt: float
    brow_weight: float
    brow_height: float
    nose_width: float
    nose_length: float
    nose_height: float
    mouth_width: float
    lip_fullness: float
    age: float
    beard: float
    freckles: float
    texture: int


@dataclasses.dataclass(frozen=True)
class Light:
    """A key light from `direction` (right, down, to the camera) over an even fill, linear RGB."""

    direction: tuple[float, float, float]
    key: tuple[float, float, float]
    fill: tuple[float, float, float]

    @property
    def unit(self) -> np.ndarray:
        return np.float32(self.direction) / np.float32(math.hypot(*self.direction))


def make_identity(rng: np.random.Generator) -> Identity:
    """Returns a person drawn at random, from ranges in which two are told apart at a glance."""
    tone = rng.uniform(0, 1)
    age = rng.uniform(0, 1) ** 1.5
    skin = (_between(_SKINS, tone) * rng.uniform(0.96, 1.04, 3)).clip(0, 1)
    grey = age > 0.6 and rng.uniform() < 0.7
    fair = 1.0 if grey else rng.uniform(0, 0.85) * (1 - 0.8 * tone)
    style = str(rng.choice(list(_HAIR_STYLES)))
    bearded = style in ("shaved", "short", "fringe", "curly") and rng.uniform() < 0.55
    return Identity(
        skin=skin.astype(np.float32),
        hair=np.float32(_between(_HAIRS, fair) * rng.uniform(0.85, 1.15)),
        iris=np.float32(_between(_IRISES, rng.uniform(0, 0.25 if tone > 0.5 else 1))),
        lips=np.float32(skin * (0.88, 0.64, 0.63) * rng.uniform(0.92, 1.08, 3)).clip(0, 1),
        hair_style=style,
        parting=rng.uniform(-0.5, 0.5),
        hairline=rng.uniform(-1.12, -0.88) - 0.18 * bearded * age,
        width=rng.uniform(0.92, 1.08),
        jaw=rng.uniform(0.86, 1.06),
        chin=rng.uniform(0.94, 1.05),
        eye_size=rng.uniform(0.85, 1.2),
        eye_tilt=rng.uniform(-0.14, 0.1),
        brow_weight=rng.uniform(0.5, 1.25) if bearded else rng.uniform(0.35, 1.0),
        brow_height=rng.uniform(-0.06, 0.05),
        nose_width=rng.uniform(0.82, 1.25),
        nose_length=rng.uniform(0.9, 1.08),
        nose_height=rng.uniform(0.8, 1.2),
        mouth_width=rng.uniform(0.85, 1.15),
        lip_fullness=rng.uniform(0.65, 1.35),
        age=age,
        beard=rng.uniform(0.15, 1.0) if bearded else 0.0,
        freckles=max(0.0, rng.uniform(-1.0, 1.0)) * (1 - tone),
        texture=int(rng.integers(2**31)),
    )


def draw(identity: Identity, light: Light) -> tuple[np.ndarray, np.ndarray]:
    """Returns the height to the camera [H, W] and the lit head [H, W, 4], colour and coverage."""
    rng = np.random.default_rng(identity.texture)
    u, v = _grid()
    reach = _reach(identity, u, v)
    height = _relief(identity, u, v, reach)
    albedo, gloss = _skin(identity, u, v, rng)
    skin = _shade(albedo, gloss, height, light)
    face, ears = inside(1 - reach, 0.02), _ears(identity, u, v)
    skin *= (1 - 0.5 * ears * (1 - face) * (np.abs(u) < 1.12))[..., None]
    hair, cover = _hair(identity, u, v, reach, height, light, rng)
    # Hair shades the skin that it hangs over.
    skin *= 1 - 0.45 * cv2.GaussianBlur(cover, None, 0.09 * UNIT)[..., None]
    blend(skin, hair, cover)
    return height, np.dstack([skin.clip(0, 1), np.maximum(np.maximum(face, ears), cover)])


def draw_back_hair(identity: Identity) -> np.ndarray | None:
    """Returns the hair behind the neck [H, W, 4], colour and coverage; None if there is none."""
    fall, volume, _, curl = _HAIR_STYLES[identity.hair_style]
    if fall < 1:
        return None
    u, v = _grid()
    width = (1.0 + volume) * identity.width + 0.05 * np.sin(4 * v)
    cover = inside(width - np.abs(u), 0.06) * inside(fall - v, 0.1) * (v > -0.5)
    strands = _strands(identity, u, v, curl, np.random.default_rng(identity.texture + 1))
    colour = 0.55 * identity.hair * np.sqrt(strands)[..., None]
    return np.dstack([colour.clip(0, 1), cover])


def surface(colour: np.ndarray, light: Light, u: np.ndarray, v: float) -> np.ndarray:
    """Returns `colour`, [3] or [H, W, 3], as lit on a surface whose normals lean by `u` and `v`."""
    normals = np.dstack([u, np.full_like(u, v), np.sqrt((1 - u**2 - v**2).clip(0.05))])
    lambert = (normals @ light.unit).clip(0)[..., None]
    linear = np.square(colour) * (np.float32(light.fill) + np.float32(light.key) * lambert)
    return np.sqrt(linear.clip(0, 1))


def _reach(identity: Identity, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """How far out a point lies on its ray from the middle of the face: 1 is the outline."""
    outline = np.array([
        (0, -1.68), (0.5, -1.58), (0.86, -1.22), (1.04, -0.65), (1.08, -0.1), (1.05, 0.35),
        (0.98, 0.8), (0.89, 1.14), (0.7, 1.46), (0.42, 1.68), (0, CHIN),
    ])  # fmt: skip
    outline[:, 0] *= identity.width * np.interp(outline[:, 1], [0, 1.2], [1, identity.jaw])
    outline[:, 1] *= np.where(outline[:, 1] > 0, identity.chin, 1)
    outline[:, 1] -= 0.1
    angle = np.arctan2(outline[:, 0], -outline[:, 1])
    turn = np.linspace(-np.pi, 2 * np.pi, 601)
    radius = np.interp(np.arccos(np.cos(turn)), angle, np.hypot(*outline.T))
    radius = np.convolve(radius, np.hanning(45) / np.hanning(45).sum(), "same")
    ray = np.arctan2(np.abs(u), 0.1 - v)
    return np.hypot(u, v - np.float32(0.1)) / np.float32(np.interp(ray, turn, radius))


def _relief(identity: Identity, u: np.ndarray, v: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """The height of the face towards the camera: an egg, what stands out and what lies in it."""
    side, base = np.abs(u), 0.74 * identity.nose_length
    z = 1.05 * np.sqrt((1 - reach**2.6).clip(0.0025))
    ridge = ramp(v, -0.25, base - 0.16) * ramp(v, base + 0.07, base - 0.15)
    wide = identity.nose_width * (0.1 + 0.09 * ramp(v, 0.2, base - 0.1))
    z += 0.42 * identity.nose_height * ridge * np.exp(-((u / wide) ** 2))
    z += 0.1 * bump(u, v, 0, base - 0.16, 0.13 * identity.nose_width, 0.13)
    z += 0.16 * bump(side, v, 0.19 * identity.nose_width, base - 0.1, 0.075, 0.085)
    z += 0.09 * bump(side, v, 0.45, -0.36 + identity.brow_height, 0.42, 0.13)
    z -= 0.19 * bump(side, v, 0.47, -0.03, 0.3, 0.17)  # the socket, and the ball in it
    z += 0.11 * bump(side, v, 0.5, 0.0, 0.2, 0.12)
    z += 0.09 * bump(side, v, 0.66, 0.42, 0.3, 0.22)
    z += 0.12 * bump(u, v, 0, MOUTH - 0.04, 0.5, 0.32)
    z -= 0.03 * bump(u, v, 0, MOUTH - 0.22, 0.045, 0.1)
    z += 0.13 * bump(u, v, 0, CHIN * identity.chin - 0.2, 0.28, 0.17)
    z -= 0.06 * bump(u, v, 0, MOUTH + 0.27, 0.26, 0.07)
    fold = _fold(side, v, (0.26, base - 0.12), (0.52, MOUTH + 0.02), 0.05)
    z -= (0.03 + 0.04 * identity.age) * fold
    lip = 0.12 * identity.lip_fullness
    lips = (1 - (u / (0.42 * identity.mouth_width)) ** 2).clip(0)
    z += 0.09 * lips * np.exp(-(((v - MOUTH + 0.55 * lip) / (0.5 * lip)) ** 2))
    z += 0.12 * lips * np.exp(-(((v - MOUTH - 0.75 * lip) / (0.65 * lip)) ** 2))
    for row in (-0.62, -0.76, -0.9):
        furrow = np.exp(-(((v - row - 0.02 * np.sin(3 * u)) / 0.02) ** 2))
        z -= 0.012 * identity.age**2 * furrow * (side < 0.7)
    return z


def _skin(
    identity: Identity, u: np.ndarray, v: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Linear albedo [H, W, 3] with brows, lips and beard, and how much it shines [H, W]."""
    side, base = np.abs(u), 0.74 * identity.nose_length
    tone = 1 + 0.04 * _noise(rng, u.shape, 0.25) + 0.035 * _noise(rng, u.shape, 0.05)
    tone += 0.06 * _noise(rng, u.shape, 0.016)
    albedo = identity.skin**2 * tone[..., None]
    red = bump(side, v, 0.68, 0.5, 0.3, 0.25) + bump(u, v, 0, base - 0.14, 0.2, 0.14)
    _tint(albedo, 0.5 * red, (0.04, 0.22, 0.2))
    tired = bump(side, v, 0.46, 0.13, 0.2, 0.07) + 0.7 * bump(side, v, 0.5, -0.12, 0.24, 0.09)
    _tint(albedo, (0.12 + 0.14 * identity.age) * tired, (0.8, 1.0, 0.9))
    spots = ramp(_noise(rng, u.shape, 0.03), 1.3, 2.1) * bump(u, v, 0, 0.25, 0.9, 0.5)
    _tint(albedo, 0.6 * identity.freckles * spots, (0.5, 0.8, 1.0))
    dark = 0.9 * bump(side, v, 0.095 * identity.nose_width, base - 0.03, 0.06, 0.032)
    crease = v + 0.8 * (side - 0.5) ** 2
    dark += 0.35 * bump(side, crease, 0.5, -0.16 * identity.eye_size, 0.24, 0.022)
    _tint(albedo, dark, (1, 1, 1))
    lips = _lips(identity, u, v)
    blend(albedo, identity.lips**2 * tone[..., None], lips)
    seam = np.exp(-(((v - MOUTH - 0.012 * np.cos(9 * u)) / 0.016) ** 2))
    _tint(albedo, 0.75 * seam * (side < 0.4 * identity.mouth_width), (1, 1, 1))
    blend(albedo, 0.7 * identity.hair**2, _beard(identity, u, v, rng) * (1 - lips))
    blend(albedo, 0.6 * identity.hair**2, _brows(identity, rng))
    gloss = 0.35 + 0.5 * bump(u, v, 0, 0.4, 0.16, 0.4) + 0.3 * bump(u, v, 0, -0.7, 0.5, 0.25)
    return albedo.clip(0.002, 1), gloss + 0.8 * lips


def _lips(identity: Identity, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    s = u / (0.4 * identity.mouth_width)
    lip, arch = 0.12 * identity.lip_fullness, (1 - s**2).clip(0)
    bow = 1 - 0.28 * np.exp(-((s / 0.16) ** 2))
    upper = MOUTH - lip * arch**0.75 * bow
    lower = MOUTH + 1.3 * lip * arch**0.6
    return 0.85 * inside(v - upper, 0.03) * inside(lower - v, 0.04) * (arch > 0)


def _beard(
    identity: Identity, u: np.ndarray, v: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    if identity.beard == 0:
        return np.zeros_like(u)
    side = np.abs(u)
    jaw = ramp(v + 0.75 * side**2 - 0.35 * (side > 0.9), 1.02, 1.35)
    burns = ramp(side, 0.86, 1.0) * ramp(v, 0.1, 0.6)
    moustache = bump(u, v - 0.1 * side, 0, MOUTH - 0.24, 0.42, 0.1)
    strands = cv2.GaussianBlur(_noise(rng, u.shape, 0.012), None, sigmaX=0.4, sigmaY=1.6)
    cover = (jaw + burns + moustache).clip(0, 1) * identity.beard
    return (cover * (0.75 + 0.5 * strands)).clip(0, 0.92)


def _brows(identity: Identity, rng: np.random.Generator) -> np.ndarray:
    """Coverage of the brows, a few hundred strokes."""
    mask = np.zeros(_shape(), np.uint8)
    along = rng.uniform(0, 1, (150, 1))
    thick = 0.1 * identity.brow_weight * (1 - 0.75 * along**2)
    thick *= 0.6 + 0.4 * np.sin(np.pi * np.minimum(1, 3 * along))
    arch = identity.brow_height - 0.31 - 0.12 * np.sin(np.pi * along**0.85)
    start = np.hstack([0.17 + 0.72 * along, arch + thick * rng.uniform(-1, 1, along.shape)])
    end = start + 0.09 * np.hstack([0.35 + 0.65 * along, 1.2 * along - 0.6])
    for side in (-1, 1):
        strokes = np.stack([start, end], 1) * (side, 1) - (LEFT, TOP)
        for a, b in (strokes * UNIT * 16).astype(int).tolist():
            cv2.line(mask, a, b, 150, 1, cv2.LINE_AA, shift=4)
    return (1.5 / 255 * cv2.GaussianBlur(mask, None, 0.8).astype(np.float32)).clip(0, 0.9)


def _ears(identity: Identity, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    x = (np.abs(u) - 1.07 * identity.width) / 0.17
    return inside(1 - np.hypot(x, (v - 0.18) / (0.36 - 0.06 * x)), 0.08)


def _hair(
    identity: Identity,
    u: np.ndarray,
    v: np.ndarray,
    reach: np.ndarray,
    height: np.ndarray,
    light: Light,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Colour [H, W, 3] and coverage [H, W] of the hair in front of the shoulders."""
    _, _, _, curl = _HAIR_STYLES[identity.hair_style]
    cover = _hair_cover(identity, u, v, reach, rng)
    strands = _strands(identity, u, v, curl, rng)
    normals = _normals(cv2.GaussianBlur(height, None, 0.05 * UNIT))
    lambert = (normals @ light.unit).clip(0)
    sheen = 0.25 * (1 - curl) * np.exp(-(((v + 1.15 + 0.25 * u**2) / 0.16) ** 2))
    lit = np.float32(light.fill) + np.float32(light.key) * (lambert + sheen)[..., None]
    return np.sqrt((identity.hair**2 * strands[..., None] * lit).clip(0, 1)), cover


def _hair_cover(
    identity: Identity, u: np.ndarray, v: np.ndarray, reach: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    fall, volume, fringe, curl = _HAIR_STYLES[identity.hair_style]
    side, long, shaved = np.abs(u), fall > 1, identity.hair_style == "shaved"
    ragged = 0.012 * _noise(rng, u.shape, 0.035) + 0.03 * curl * _noise(rng, u.shape, 0.16)
    outer = 1 + volume * ramp(v, 0.6, -0.7) + 0.4 * volume * ramp(v, -0.9, -1.6) - reach
    if long:
        hang = (1.06 + volume) * identity.width + 0.05 * np.sin(4 * v) - side
        outer = np.where(v < 0, outer, hang - 0.3 * ramp(v, 1.4, fall))
    top = identity.hairline + fringe * (1 - 0.4 * np.abs(u - identity.parting))
    if not fringe and not shaved:
        top += 0.16 * np.cos(3 * (u - identity.parting))
    # Through this window looks the face, and below it the neck.
    wide = 1.02 * identity.width - long * 0.3 * ramp(v, 1.0, 2.4)
    window = 1 - (side / wide) ** 2 - np.where(v < 0.3, (v - 0.3) / (top - 0.3), 0) ** 4
    cover = inside(outer + ragged, 0.08) * inside(fall + 4 * ragged - v, 0.15)
    cover *= inside(ragged - window, 0.24 if shaved else 0.1)
    if shaved:
        cover *= 0.62 + 0.1 * _noise(rng, u.shape, 0.012)
    return cover.clip(0, 1)


def _strands(
    identity: Identity, u: np.ndarray, v: np.ndarray, curl: float, rng: np.random.Generator
) -> np.ndarray:
    """Brightness of the hair, around 1: noise drawn out along the way that it is combed."""
    noise = rng.standard_normal((64, 512), np.float32)
    waves = (0.3 * curl + 0.02) * np.sin(7 * v + 3 * u)
    angle = np.arctan2(u - 0.4 * identity.parting, 1.9 + v)
    x, y = 200 * angle + 40 * waves + 256, np.hypot(u, v + 1.9) * (6 + 26 * curl) + 6 * waves
    fine, coarse = (
        cv2.remap(noise, a * x, b * y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
        for a, b in ((1, 1), (0.22, 0.3))
    )
    return (1 + 0.22 * fine + 0.28 * coarse).clip(0.25, 2.2)


def _shade(albedo: np.ndarray, gloss: np.ndarray, height: np.ndarray, light: Light) -> np.ndarray:
    """The skin under the light: shine, and Lambert, wrapped as light bleeds red through skin."""
    normals = _normals(height)
    wrap = np.float32([0.3, 0.16, 0.12])
    lambert = ((normals @ light.unit)[..., None] + wrap).clip(0) / (1 + wrap)
    lambert *= _cast(height, light)[..., None]
    hollow = height - cv2.GaussianBlur(height, None, 0.11 * UNIT)
    cavity = 1 + 5.5 * hollow.clip(-0.1, 0.02)
    sky = 0.8 - 0.25 * normals[..., 1]
    halfway = light.unit + np.float32([0, 0, 1])
    shine = (normals @ (halfway / np.linalg.norm(halfway))).clip(0) ** 24 * (0.16 * gloss)
    key, fill = np.float32(light.key), np.float32(light.fill)
    diffuse = albedo * cavity[..., None] * (fill * sky[..., None] + key * lambert)
    return np.sqrt((diffuse + key * shine[..., None]).clip(0, 1))


def _cast(height: np.ndarray, light: Light) -> np.ndarray:
    """How much of the key light gets past nose and brows to each point, [H, W] in 0..1."""
    small = cv2.resize(height, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    excess = np.zeros_like(small)
    for step in np.linspace(0.04, 0.7, 12):
        x, y, z = (light.unit * step).tolist()
        shift = np.float32([[1, 0, -x * UNIT / 2], [0, 1, -y * UNIT / 2]])
        size = small.shape[::-1]
        towards = cv2.warpAffine(small, shift, size, borderMode=cv2.BORDER_REPLICATE)
        excess = np.maximum(excess, towards - small - z)
    shadow = cv2.GaussianBlur(ramp(excess, 0.0, 0.06), None, 0.02 * UNIT)
    return 1 - 0.7 * cv2.resize(shadow, height.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _normals(height: np.ndarray) -> np.ndarray:
    dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=UNIT / 8)
    dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=UNIT / 8)
    length = np.sqrt(1 + dx**2 + dy**2)
    return np.dstack([-dx / length, -dy / length, 1 / length])


def _shape() -> tuple[int, int]:
    return round((BOTTOM - TOP) * UNIT), round((RIGHT - LEFT) * UNIT)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    v, u = np.mgrid[: _shape()[0], : _shape()[1]].astype(np.float32) / UNIT
    return u + LEFT, v + TOP


def _noise(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> np.ndarray:
    """Smooth noise of about unit variance whose grains are `grain` head units wide."""
    rows, columns = (max(2, round(side / (grain * UNIT))) for side in shape)
    coarse = 1.3 * rng.standard_normal((rows, columns), np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _between(colours: tuple, position: float) -> np.ndarray:
    """The colour at `position`, 0..1, on the way through `colours`, RGB in 0..1."""
    stops = np.linspace(0, 1, len(colours))
    channels = np.array(colours).T / 255
    return np.array([np.interp(position, stops, channel) for channel in channels])


def blend(below: np.ndarray, above: np.ndarray, cover: np.ndarray) -> None:
    """Lays `above`, [3] or [H, W, 3], over `below` [H, W, 3] by the share `cover` [H, W]."""
    below += cover[..., None] * (above - below)


def _tint(below: np.ndarray, cover: np.ndarray, absorbed: tuple[float, float, float]) -> None:
    below *= 1 - cover[..., None] * np.float32(absorbed)


def bump(
    u: np.ndarray, v: np.ndarray, at_u: float, at_v: float, wide: float, tall: float
) -> np.ndarray:
    """Returns a Gaussian hill of height 1."""
    return np.exp(-(((u - at_u) / wide) ** 2) - ((v - at_v) / tall) ** 2)


def _fold(u: np.ndarray, v: np.ndarray, start: tuple, end: tuple, wide: float) -> np.ndarray:
    """A ridge of height 1 along the line from `start` to `end`."""
    du, dv = end[0] - start[0], end[1] - start[1]
    t = (((u - start[0]) * du + (v - start[1]) * dv) / (du**2 + dv**2)).clip(0, 1)
    return np.exp(-((u - start[0] - t * du) ** 2 + (v - start[1] - t * dv) ** 2) / wide**2)


def ramp(x: np.ndarray, start: float, end: float) -> np.ndarray:
    """Returns 0 up to `start`, 1 from `end` on, and a smooth step in between."""
    t = ((x - start) / (end - start)).clip(0, 1)
    return t * t * (3 - 2 * t)


def inside(distance: np.ndarray, soft: float) -> np.ndarray:
    """Returns 1 where `distance` is above 0, 0 below, over an edge that is `soft` wide."""
    return ramp(distance, -soft / 2, soft / 2)
