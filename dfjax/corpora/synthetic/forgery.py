"""The three forgeries of the synthetic corpus, made as forgers make them: from a recorded clip.

A rendered donor picture is bent onto the landmarks of the frame, matched in colour and blended in
under a soft mask; no pixel beyond the mask changes. What gives these away is what gives real ones
away: light from another side, skin that is smoother than its surroundings, a cast of colour and a
seam.
"""

import dataclasses
import math
from collections.abc import Callable

import cv2
import numpy as np

from dfjax.corpora.synthetic import portrait, scene
from dfjax.corpora.synthetic.head import Identity, Light
from dfjax.corpora.synthetic.portrait import Portrait, Pose


@dataclasses.dataclass(frozen=True)
class Craft:
    """How well a forger works.

    `resolution` of the donor picture, as a share of the frame's. `grow`: by how many pixels the
    mask reaches past the landmarks; `seam`: how many the soft edge is wide. `match`: which share of
    the difference in colour is corrected; `cast`: what is off in CIELAB after that, [3]. `noise`:
    standard deviation of the noise of the donor's own camera, of 255.
    """

    resolution: float
    grow: int
    seam: int
    match: float
    cast: np.ndarray
    noise: float


def swap(take: scene.Take, donor: Identity, rng: np.random.Generator) -> list[np.ndarray]:
    """Returns the frames of the take with the inner face of the donor, who acts as the sitter."""
    return _forge(take, take.poses, donor, "face", rng)


def splice(take: scene.Take, donor: Identity, rng: np.random.Generator) -> list[np.ndarray]:
    """Returns the frames of the take with one part of the donor's face: eyes, nose or mouth."""
    part = str(rng.choice(["eyes", "nose", "mouth"]))
    return _forge(take, take.poses, donor, part, rng)


def mouth(take: scene.Take, donor: Identity, rng: np.random.Generator) -> list[np.ndarray]:
    """Returns the frames of the take with the sitter's own mouth saying something else.

    As a lip-sync model does that has learned the sitter elsewhere; nothing of the donor is seen.
    """
    loud, phase, speed = rng.uniform(0.3, 0.9), rng.uniform(0, 6), rng.uniform(0.6, 1.2)
    spoken = [
        dataclasses.replace(pose, mouth=loud * (0.5 + 0.5 * math.sin(phase + speed * i)))
        for i, pose in enumerate(take.poses)
    ]
    return _forge(take, spoken, take.sitter.identity, "mouth", rng)


FORGERIES: dict[str, Callable[..., list[np.ndarray]]] = {
    "swap": swap,
    "splice": splice,
    "mouth": mouth,
}


def _forge(
    take: scene.Take, poses: list[Pose], donor: Identity, part: str, rng: np.random.Generator
) -> list[np.ndarray]:
    """Lays a part of the donor, filmed elsewhere and a little turned, over the sitter."""
    craft = _make_craft(take, part, rng)
    lender = Portrait(donor, _light_from_elsewhere(take.sitter.light, rng))
    yaw, pitch = rng.uniform(-0.12, 0.12, 2).tolist()
    forged = []
    for frame, pose in zip(take.frames, poses, strict=True):
        turned = dataclasses.replace(pose, yaw=pose.yaw + yaw, pitch=pose.pitch + pitch)
        picture, picture_points = _photograph(lender, turned, craft.resolution)
        points = take.sitter.landmarks(pose)
        mask = part_mask(frame.shape[:2], points, part, craft.grow, craft.seam)
        forged.append(_paste(frame, points, picture, picture_points, mask, craft, rng))
    return forged


def _make_craft(take: scene.Take, part: str, rng: np.random.Generator) -> Craft:
    cast = rng.normal(0, (1, 0.4, 0.5))
    coarse, fine = (0.35, 0.6) if part == "face" else (0.25, 0.45)
    return Craft(
        resolution=rng.uniform(coarse, fine),
        grow=int(rng.integers(2, 5)),
        seam=int(rng.integers(3, 7)),
        match=rng.uniform(0.9, 1),
        cast=np.float32(rng.uniform(2, 5) * cast / np.linalg.norm(cast)),
        noise=take.noise * rng.uniform(0, 1.2),
    )


def _light_from_elsewhere(light: Light, rng: np.random.Generator) -> Light:
    other = scene.make_light(rng)
    x, y, z = other.direction
    across = abs(x) if light.direction[0] < 0 else -abs(x)
    return dataclasses.replace(other, direction=(across, y, z))


def _photograph(lender: Portrait, pose: Pose, resolution: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture of the lender, float32 [H, W, 3] in 0..1, and the landmarks in it."""
    near = dataclasses.replace(
        pose, x=pose.x * resolution, y=pose.y * resolution, scale=pose.scale * resolution
    )
    side = round(scene.SIZE * resolution)
    picture = np.full((side, side, 3), lender.identity.skin)
    lender.paint(picture, near)
    return picture.clip(0, 1), lender.landmarks(near)


def part_mask(
    shape: tuple[int, int], points: np.ndarray, part: str, grow: int, seam: int
) -> np.ndarray:
    """Returns how much of each pixel a forgery replaces, float32 [H, W] in 0..1.

    `points` are `Portrait.landmarks`, `part` is a key of `portrait.PARTS`. The mask reaches `grow`
    pixels past the convex hull of the part, and half its soft edge of `seam` pixels each way.
    """
    mask = np.zeros(shape, np.uint8)
    hull = cv2.convexHull(np.rint(points[list(portrait.PARTS[part])]).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 255)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grow + 1, 2 * grow + 1))
    mask = cv2.dilate(mask, disc)
    size = 2 * seam + 1
    return cv2.GaussianBlur(mask, (size, size), seam / 2).astype(np.float32) / 255


def _paste(
    frame: np.ndarray,
    points: np.ndarray,
    picture: np.ndarray,
    picture_points: np.ndarray,
    mask: np.ndarray,
    craft: Craft,
    rng: np.random.Generator,
) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    mask, around = mask[window], frame[window]
    bent = warp(picture, picture_points, points, window)
    matched = match_colour(bent, around, mask, craft.match, craft.cast)
    matched += craft.noise * rng.standard_normal(matched.shape, np.float32)
    mixed = around + mask[..., None] * (matched - around)
    forged = frame.copy()
    forged[window] = np.rint(mixed.clip(0, 255))
    return forged


def warp(
    picture: np.ndarray, points: np.ndarray, new_points: np.ndarray, window: tuple[slice, slice]
) -> np.ndarray:
    """Returns the window of `picture` bent so that `points` [L, 2] lie on `new_points` [L, 2].

    A thin-plate spline (Bookstein 1989, doi:10.1109/34.24792) from the new points back to the old,
    evaluated on every eighth pixel.
    """
    centre, spread = new_points.mean(0), np.ptp(new_points)
    knots = (new_points - centre) / spread
    plane = np.column_stack([np.ones(len(knots)), knots])
    kernel = _thin_plate(knots, knots) + 1e-4 * np.eye(len(knots))
    system = np.block([[kernel, plane], [plane.T, np.zeros((3, 3))]])
    weights = np.linalg.solve(system, np.vstack([points, np.zeros((3, 2))]))
    top, left = window[0].start, window[1].start
    height, width = window[0].stop - top, window[1].stop - left
    y, x = np.mgrid[: height + 8 : 8, : width + 8 : 8]
    query = (np.column_stack([x.ravel() + left, y.ravel() + top]) - centre) / spread
    field = np.hstack([_thin_plate(query, knots), np.ones((len(query), 1)), query]) @ weights
    every_eighth = np.float32([[1 / 8, 0, 0], [0, 1 / 8, 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    field = field.reshape(*x.shape, 2).astype(np.float32)
    field = cv2.warpAffine(field, every_eighth, (width, height), flags=flags)
    return cv2.remap(picture, field, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def match_colour(
    picture: np.ndarray, around: np.ndarray, mask: np.ndarray, share: float, cast: np.ndarray
) -> np.ndarray:
    """Returns `picture` with the mean and spread of `around` under the mask, float32 in 0..255.

    In CIELAB, as Reinhard et al. 2001 (doi:10.1109/38.946629), `share` of the way, and then off by
    `cast`. `picture` is float32 [H, W, 3] in 0..1, `around` uint8 [H, W, 3].
    """
    source = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    target = cv2.cvtColor(np.float32(around) / 255, cv2.COLOR_RGB2LAB)
    (source_mean, source_spread), (mean, spread) = (
        _moments(image, mask) for image in (source, target)
    )
    ratio = (spread / source_spread.clip(1e-3)).clip(0.6, 1.6)
    matched = (source - source_mean) * ratio + mean
    return 255 * cv2.cvtColor(source + share * (matched - source) + cast, cv2.COLOR_LAB2RGB)


def _moments(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weight = (mask / mask.sum())[..., None]
    mean = (image * weight).sum((0, 1))
    return mean, np.sqrt((np.square(image - mean) * weight).sum((0, 1)))


def _thin_plate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = np.square(a[:, None] - b[None]).sum(-1)
    return squared * np.log(squared + 1e-12)
