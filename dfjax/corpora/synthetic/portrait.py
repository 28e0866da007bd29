"""A head in a pose: turned with parallax, talking, blinking, looking about, painted into frames."""

import dataclasses
import math

import cv2
import numpy as np

from dfjax.corpora.synthetic import head
from dfjax.corpora.synthetic.head import MOUTH, Identity, Light, blend, bump, inside, ramp

# Rows of `Portrait.landmarks` whose convex hull is a part of the face. 0 to 12 are brow, eye, nose,
# mouth, cheek and chin of one side, 13 to 25 of the other, the rest lies in between.
PARTS = {
    "face": (0, 1, 2, 10, 11, 12, 13, 14, 15, 23, 24, 25),
    "eyes": (0, 1, 2, 5, 6, 13, 14, 15, 18, 19),
    "nose": (3, 16, 7, 8, 20, 21, 31, 32),
    "mouth": (11, 12, 24, 25, 31, 32),
}


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where a head is in a frame and what the face does.

    `x`, `y` in pixels: the point between the eyes; `scale` in pixels between the pupils; angles in
    radians; mouth, smile and blink from 0 to 1, gaze from -1 to 1.
    """

    x: float
    y: float
    scale: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    mouth: float = 0.0
    smile: float = 0.0
    blink: float = 0.0
    gaze: float = 0.0


class Portrait:
    """One identity under one light, ready to be posed."""

    def __init__(self, identity: Identity, light: Light):
        self.identity = identity
        self.light = light
        self._height, self._canvas = head.draw(identity, light)
        self._back_hair = head.draw_back_hair(identity)

    def paint(self, frame: np.ndarray, pose: Pose) -> None:
        """Paints the head over `frame`, float32 [H, W, 3] in 0..1, in place."""
        u, v, window = self._look_up(frame.shape[:2], pose)
        source_u, source_v, gap = _mouth_motion(self.identity, u, v, pose)
        layer = _sample(self._canvas, source_u, source_v)
        colour = layer[..., :3]
        _paint_mouth(colour, self.identity, u, gap, pose)
        for side in (-1, 1):
            _paint_eye(colour, self.identity, self.light, side, u, v, pose)
        blend(frame[window], colour, layer[..., 3])

    def paint_back_hair(self, frame: np.ndarray, pose: Pose) -> None:
        """Paints the hair that hangs behind neck and shoulders, in place; few styles have any."""
        if self._back_hair is None:
            return
        u, v, window = self._look_up(frame.shape[:2], pose)
        layer = _sample(self._back_hair, u, v)
        blend(frame[window], layer[..., :3], layer[..., 3])

    def landmarks(self, pose: Pose) -> np.ndarray:
        """Returns inner-face points in frame pixels, float32 [33, 2], in the order of `PARTS`."""
        points = _landmarks(self.identity, pose)
        z = _sample(self._height, points[:, :1], points[:, 1:])
        turned = np.column_stack([points, z]) @ _rotation(pose)[:2].T
        return np.float32(pose.scale * turned + (pose.x, pose.y))

    def _look_up(self, shape: tuple[int, int], pose: Pose) -> tuple[np.ndarray, np.ndarray, tuple]:
        """The head coordinates that each pixel of a window of the frame sees, and that window."""
        rotation = _rotation(pose)
        sides = (head.LEFT, head.RIGHT), (head.TOP, head.BOTTOM)
        corners = np.array([[u, v, 0.5] for u in sides[0] for v in sides[1]])
        corners = pose.scale * (corners @ rotation[:2].T) + (pose.x, pose.y)
        x0, y0 = np.maximum(corners.min(0), 0).astype(int)
        x1, y1 = np.minimum(corners.max(0) + 1, shape[::-1]).astype(int)
        y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        x, y = (x - pose.x) / pose.scale, (y - pose.y) / pose.scale
        (a, b), (c, d) = np.linalg.inv(rotation[:2, :2]).tolist()
        e, f = rotation[:2, 2].tolist()
        # What stands out moves by its height: three rounds settle where the line of sight meets it.
        z = np.float32(0.6)
        for _ in range(3):
            u, v = a * (x - e * z) + b * (y - f * z), c * (x - e * z) + d * (y - f * z)
            z = _sample(self._height, u, v)
        return u, v, np.s_[y0:y1, x0:x1]


def _landmarks(identity: Identity, pose: Pose) -> np.ndarray:
    """Inner-face points in head coordinates, float64 [33, 2]."""
    eye, lid = 0.235 * math.sqrt(identity.eye_size), (1 - pose.blink) * 0.1 * identity.eye_size
    nose, mouth = 0.2 * identity.nose_width, 0.4 * identity.mouth_width
    brow, base = identity.brow_height, 0.72 * identity.nose_length
    lip, chin = 0.12 * identity.lip_fullness, head.CHIN * identity.chin
    side = np.array([
        (0.2, brow - 0.3), (0.5, brow - 0.42), (0.85, brow - 0.3),
        (0.5 - eye, 0.02), (0.5, -lid), (0.5 + eye, identity.eye_tilt * eye), (0.5, 0.06),
        (nose, base - 0.1), (0.09, base), (mouth, MOUTH), (0.8, 0.45), (0.68, MOUTH),
        (0.3, chin - 0.12),
    ])  # fmt: skip
    middle = np.array([
        (0, 0), (0, 0.3), (0, base - 0.15), (0, MOUTH - lip), (0, MOUTH + 1.2 * lip),
        (-0.45, base), (0.45, base),
    ])  # fmt: skip
    u, v = np.concatenate([side, side * (-1, 1), middle]).T
    rise, drop = _lip_travel(identity, u, v, pose.mouth)
    corners = bump(np.abs(u), v, mouth, MOUTH, 0.2, 0.25)
    v = v + np.where(v > MOUTH, drop, -rise) - 0.09 * pose.smile * corners
    return np.column_stack([u, v])


def _lip_travel(
    identity: Identity, u: np.ndarray, v: np.ndarray | float, mouth: float
) -> tuple[np.ndarray, np.ndarray]:
    """How far the upper lip has moved up and the jaw down at a point of the face at rest."""
    gap = 0.3 * mouth
    lips = (1 - (u / (0.38 * identity.mouth_width)) ** 2).clip(0)
    near, deep = np.exp(-(((v - MOUTH) / 0.18) ** 2)), ramp(v, MOUTH, MOUTH + 0.4)
    return 0.2 * gap * lips * near, 0.8 * gap * (lips + deep * (np.exp(-((u / 0.8) ** 2)) - lips))


def _mouth_motion(
    identity: Identity, u: np.ndarray, v: np.ndarray, pose: Pose
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each point of the moved face lies on the face at rest, and where the mouth is open.

    The last array runs from 0 at the upper to 1 at the lower lip, and is NaN outside the opening.
    """
    v = v + 0.09 * pose.smile * bump(np.abs(u), v, 0.4 * identity.mouth_width, MOUTH, 0.2, 0.25)
    source_u = u * (1 - 0.1 * pose.smile * bump(u, v, 0, MOUTH, 0.5, 0.3))
    rise, drop = _lip_travel(identity, u, np.float32(MOUTH), pose.mouth)
    width = rise + drop
    gap = (v - (MOUTH - rise)) / np.maximum(width, 1e-6)
    gap[(width < 1e-4) | (gap < 0) | (gap > 1)] = np.nan
    up, _ = _lip_travel(identity, u, v, pose.mouth)
    _, down = _lip_travel(identity, u, v - drop, pose.mouth)
    upper, lower = np.minimum(v + up, MOUTH), np.maximum(v - down, MOUTH)
    return source_u, np.where(v < MOUTH, upper, lower), gap


def _paint_mouth(
    colour: np.ndarray, identity: Identity, u: np.ndarray, gap: np.ndarray, pose: Pose
) -> None:
    """Paints teeth and tongue where the mouth is open."""
    window = _bounds(~np.isnan(gap))
    if window is None:
        return
    s, gap = u[window] / (0.38 * identity.mouth_width), gap[window]
    depth = np.nan_to_num(gap)
    tongue = bump(s, depth, 0, 1.05, 0.6, 0.4)[..., None]
    inner = np.float32([0.2, 0.07, 0.07]) + tongue * np.float32([0.35, 0.16, 0.16])
    light = (0.35 + 0.65 * ramp(depth, 0, 0.35)) * (1 - 0.6 * s**2)
    between = np.abs(np.sin(12 * s)) < 0.15
    teeth = ramp(depth, 0.62, 0.5) * ramp(np.abs(s), 0.8, 0.68) * (0.9 - 0.12 * between)
    blend(inner, np.float32([0.86, 0.83, 0.78]) * light[..., None], teeth)
    cover = ramp(depth, 0, 0.12) * ramp(depth, 1, 0.9) * min(1, 12 * pose.mouth)
    blend(colour[window], inner, np.where(np.isnan(gap), 0, cover))


def _paint_eye(
    colour: np.ndarray,
    identity: Identity,
    light: Light,
    side: int,
    u: np.ndarray,
    v: np.ndarray,
    pose: Pose,
) -> None:
    """Paints ball, iris, the shadow of the lid and lashes of the eye at u = `side` / 2."""
    window = _bounds((np.abs(side * u - 0.5) < 0.32) & (np.abs(v) < 0.25))
    if window is None:
        return
    half = 0.235 * math.sqrt(identity.eye_size)
    s = (side * u[window] - 0.5) / half
    y = v[window] - identity.eye_tilt * half * (s + 1) / 2
    arch = (1 - s**2).clip(0)
    lower = 0.062 * identity.eye_size * arch * (1 + 0.2 * s)
    upper = -0.108 * identity.eye_size * arch**0.8 * (1 - 0.18 * s)
    upper += pose.blink * (lower - upper)
    ball = _eyeball(identity, light, s, half * s - 0.07 * side * pose.gaze, y, side)
    ball *= (1 - 0.55 * np.exp(-((y - upper).clip(0) / 0.035)))[..., None]
    cover = inside(y - upper, 0.025) * inside(lower - y, 0.025) * (arch > 0)
    blend(colour[window], ball, cover)
    lashes = 0.8 * bump(y, 0, upper - 0.008, 0, 0.017, 1) + 0.3 * bump(y, 0, lower, 0, 0.013, 1)
    blend(colour[window], 0.25 * identity.hair, lashes.clip(0, 1) * ramp(np.abs(s), 1.12, 0.95))


def _eyeball(
    identity: Identity, light: Light, s: np.ndarray, x: np.ndarray, y: np.ndarray, side: int
) -> np.ndarray:
    """The lit eye without its lids; `s` runs from -1 at the inner to 1 at the outer corner, `x` and
    `y` are measured from where it looks.
    """
    ball = np.float32([0.88, 0.85, 0.83]) * (1 - 0.3 * s**2)[..., None]
    ball -= ramp(s, -0.75, -1)[..., None] * np.float32([0.05, 0.3, 0.3])
    r = np.hypot(x, y + 0.015) / 0.098
    iris = 1.15 * identity.iris
    rings = 0.75 + 0.9 * ramp(r, 0.3, 0.8) - ramp(r, 0.8, 1.0)
    blend(ball, iris * rings[..., None], ramp(r, 1.08, 0.92))
    ball *= (1 - 0.95 * ramp(r, 0.48, 0.36))[..., None]
    key = max(0.3, light.direction[2])
    ball *= np.sqrt(0.8 * np.float32(light.fill) + 0.8 * key * np.float32(light.key))
    towards_light = 0.035 * side * math.copysign(1, light.direction[0])
    glint = np.hypot(x - towards_light, y + 0.045) / 0.022
    blend(ball, np.float32([0.97, 0.97, 0.97]), 0.9 * ramp(glint, 1.2, 0.5))
    return ball


def _rotation(pose: Pose) -> np.ndarray:
    """Roll after yaw after pitch, float64 [3, 3]."""
    (cy, cp, cr), (sy, sp, sr) = (
        [turn(angle) for angle in (pose.yaw, pose.pitch, pose.roll)]
        for turn in (math.cos, math.sin)
    )
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return roll @ yaw @ pitch


def _sample(canvas: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The canvas at head coordinates; beyond its edge heights go on, colours are transparent."""
    x, y = np.float32((u - head.LEFT) * head.UNIT), np.float32((v - head.TOP) * head.UNIT)
    border = cv2.BORDER_REPLICATE if canvas.ndim == 2 else cv2.BORDER_CONSTANT
    return cv2.remap(canvas, x, y, cv2.INTER_LINEAR, borderMode=border)


def _bounds(mask: np.ndarray) -> tuple[slice, slice] | None:
    """The smallest window that holds every true pixel; None if there is none."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
