"""What the camera of the synthetic corpus sees: a talking head in a room, with blur and noise."""

import dataclasses

import cv2
import numpy as np

from dfjax.corpora.synthetic import head
from dfjax.corpora.synthetic.head import Identity, Light, blend, ramp
from dfjax.corpora.synthetic.portrait import Portrait, Pose

SIZE = 224  # dlib's HOG sees faces from 75 pixels, and these are 80 to 110
FPS = 25


@dataclasses.dataclass(frozen=True)
class Take:
    """A recording and what was in front of the camera.

    `frames` are uint8 [SIZE, SIZE, 3]; `noise` is the standard deviation of the sensor noise, of
    255.
    """

    frames: list[np.ndarray]
    sitter: Portrait
    poses: list[Pose]
    noise: float


def film(identity: Identity, num_frames: int, rng: np.random.Generator) -> Take:
    """Films an identity in a random place, light and mood."""
    light = make_light(rng)
    sitter = Portrait(identity, light)
    poses = _motion(num_frames, rng)
    background = _background(rng)
    body = _body(identity, light, poses[0], rng)
    blur, noise = rng.uniform(0.4, 1.0), rng.uniform(1.0, 4.0)
    # One sheet of noise, moved every frame: a fresh one would cost more than the head does.
    sheet = noise * rng.standard_normal((SIZE + 64, SIZE + 64, 3), np.float32)
    frames = []
    for pose in poses:
        frame = background.copy()
        sitter.paint_back_hair(frame, pose)
        _paint_body(frame, body, poses[0], pose)
        sitter.paint(frame, pose)
        x, y = rng.integers(0, 64, 2)
        frame = 255 * cv2.GaussianBlur(frame, None, blur) + sheet[y : y + SIZE, x : x + SIZE]
        frames.append(np.rint(frame.clip(0, 255)).astype(np.uint8))
    return Take(frames, sitter, poses, noise)


def make_light(rng: np.random.Generator) -> Light:
    """A key light from the left or the right and above, warm or cold, over a fill."""
    across = rng.choice([-1, 1]) * rng.uniform(0.15, 0.9)
    warm = rng.uniform(-0.09, 0.09)
    key = rng.uniform(0.75, 1.1) * np.array([1 + warm, 1, 1 - warm])
    fill = rng.uniform(0.16, 0.4) * np.array([1 - warm / 2, 1, 1 + warm / 2])
    return Light((across, -rng.uniform(0.15, 0.7), 0.85), tuple(key), tuple(fill))


def _motion(num_frames: int, rng: np.random.Generator) -> list[Pose]:
    """Poses of a head that sways, talks and now and then blinks."""
    seconds = np.arange(num_frames) / FPS
    sway = {
        "x": (SIZE / 2, 8, 1.8),
        "y": (92, 5.5, 1.4),
        "scale": (42.0, 2.5, 0.3),
        "yaw": (0, 0.13, 0.05),
        "pitch": (0, 0.07, 0.03),
        "roll": (0, 0.06, 0.02),
        "gaze": (0, 0.5, 0.15),
        "smile": (0.35, 0.35, 0.05),
    }
    tracks = {
        name: middle + rng.uniform(-1, 1) * spread + swing * _waves(seconds, 0.5, 1.5, rng)
        for name, (middle, spread, swing) in sway.items()
    }
    loud = rng.uniform(0.2, 0.9)
    tracks["mouth"] = (loud * (0.45 + 0.6 * _waves(seconds, 2.5, 5, rng))).clip(0, 1)
    shut = rng.uniform(-0.6, 1.2)
    tracks["blink"] = np.exp(-(((seconds - shut) / 0.06) ** 2))
    return [
        Pose(**{name: float(track[i]) for name, track in tracks.items()}) for i in range(num_frames)
    ]


def _waves(seconds: np.ndarray, slow: float, fast: float, rng: np.random.Generator) -> np.ndarray:
    """Two sines between `slow` and `fast` hertz, within -1 and 1."""
    (f, g), (p, q) = rng.uniform(slow, fast, 2), rng.uniform(0, 2 * np.pi, 2)
    turn = 2 * np.pi * seconds
    return 0.6 * np.sin(f * turn + p) + 0.4 * np.sin(g * turn + q)


def _background(rng: np.random.Generator) -> np.ndarray:
    """A room or a garden out of focus, float32 [H, W, 3] in 0..1."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32) / SIZE
    base = rng.uniform(0.25, 0.75) + rng.uniform(-0.13, 0.13, 3)
    picture = np.full((SIZE, SIZE, 3), base, np.float32)
    rng.choice([_plain, _shelf, _lamps, _panes, _leaves])(picture, rng)
    picture = cv2.GaussianBlur(picture, None, rng.uniform(1.4, 4.2), borderType=cv2.BORDER_REFLECT)
    fall = 1 + rng.uniform(-0.3, 0.3) * (x - 0.5) - rng.uniform(0, 0.35) * (y - 0.4)
    return (picture * fall[..., None]).clip(0, 1)


def _plain(picture: np.ndarray, rng: np.random.Generator) -> None:
    edge = int(rng.uniform(-0.5, 1.2) * SIZE)
    colour = tuple((picture[0, 0] + rng.uniform(-0.08, 0.08)).tolist())
    cv2.rectangle(picture, (edge, 0), (SIZE, SIZE), colour, -1)


def _shelf(picture: np.ndarray, rng: np.random.Generator) -> None:
    for top in range(-int(rng.integers(14)), SIZE, 50):
        x = 0
        while x < SIZE:
            wide, tall = rng.integers(5, 14), rng.integers(31, 43)
            colour = tuple(rng.uniform(0.1, 0.75) + rng.uniform(-0.2, 0.2, 3))
            cv2.rectangle(picture, (x, int(top + 45 - tall)), (int(x + wide), top + 45), colour, -1)
            x += int(wide) + (int(rng.integers(21)) if rng.uniform() < 0.12 else 1)
        cv2.rectangle(picture, (0, top + 45), (SIZE, top + 49), (0.36, 0.26, 0.18), -1)


def _lamps(picture: np.ndarray, rng: np.random.Generator) -> None:
    picture *= 0.35
    for _ in range(rng.integers(10, 24)):
        centre = tuple(rng.integers(0, SIZE, 2).tolist())
        glow = np.array([1.0, 0.8, 0.5]) * rng.uniform(0.4, 1) + rng.uniform(-0.15, 0.15, 3)
        disc = np.zeros_like(picture)
        cv2.circle(disc, centre, int(rng.integers(4, 14)), tuple(glow), -1, cv2.LINE_AA)
        picture += 0.6 * disc


def _panes(picture: np.ndarray, rng: np.random.Generator) -> None:
    left, wide = int(rng.uniform(-0.1, 0.6) * SIZE), int(rng.uniform(0.3, 0.6) * SIZE)
    sky = (0.78, 0.86, 0.93)
    for column in range(2):
        for row in range(3):
            corner = left + column * wide // 2, -20 + row * 60
            end = corner[0] + wide // 2 - 6, corner[1] + 54
            cv2.rectangle(picture, corner, end, sky, -1)


def _leaves(picture: np.ndarray, rng: np.random.Generator) -> None:
    picture[:] = (0.3, 0.42, 0.24)
    for _ in range(260):
        centre = tuple(rng.integers(0, SIZE, 2).tolist())
        axes = tuple(rng.integers(3, 16, 2).tolist())
        green = np.array([0.35, 0.5, 0.22]) * rng.uniform(0.4, 1.7) + rng.uniform(-0.06, 0.06, 3)
        cv2.ellipse(picture, centre, axes, float(rng.uniform(0, 180)), 0, 360, tuple(green), -1)


def _body(
    identity: Identity,
    light: Light,
    pose: Pose,
    rng: np.random.Generator,
) -> np.ndarray:
    """Neck, shoulders and clothes below a head at `pose`, float32 [H, W, 4], colour, coverage."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    u, v = (x - pose.x) / pose.scale, (y - pose.y) / pose.scale
    side = np.abs(u)
    neck = 0.62 * identity.width + 0.5 * ((v - 1.9).clip(0)) ** 2
    shoulder = 2.12 + 0.42 * ((side - 0.5).clip(0)) ** 0.8 + 1.2 * (side - 1.9).clip(0) ** 2
    skin = head.surface(identity.skin, light, u / neck.clip(0.1), 0.25)
    skin *= (0.55 + 0.45 * ramp(v, 1.55, 2.3))[..., None]
    cloth = head.surface(_cloth(u, v, rng), light, u / 2.8, -0.3)
    neckline = 2.1 + rng.uniform(0.05, 0.45) - rng.uniform(0.2, 0.75) * (side / 0.62) ** 2
    dressed = ramp(v - np.maximum(shoulder - 0.03, neckline), -0.015, 0.015)
    cover = np.maximum(ramp(neck - side, -0.02, 0.02), ramp(v - shoulder, -0.02, 0.02))
    colour = skin + dressed[..., None] * (cloth - skin)
    return np.dstack([colour, cover * (v > 0.8)]).astype(np.float32)


def _cloth(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    colour = rng.uniform(0.1, 0.8) + rng.uniform(-0.2, 0.2, 3)
    folds = 1 + 0.06 * np.sin(5 * u + 3 * np.sin(2 * v + rng.uniform(0, 6)))
    stripes = 1 - 0.3 * (np.sin(v * 22) > 0.4) * (rng.uniform() < 0.25)
    return (colour * (folds * stripes)[..., None]).clip(0.03, 0.95)


def _paint_body(frame: np.ndarray, body: np.ndarray, start: Pose, pose: Pose) -> None:
    """Lays the body under a head that has moved from `start`: it follows half the way."""
    shift = np.float32([[1, 0, (pose.x - start.x) / 2], [0, 1, (pose.y - start.y) / 2]])
    layer = cv2.warpAffine(body, shift, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
    rows = np.s_[int(start.y) :]  # nothing of it is higher
    blend(frame[rows], layer[rows][..., :3], layer[rows][..., 3])
