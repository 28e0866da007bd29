"""Color profiles (ICC): pictures to the colors of an sRGB screen, as viewers show them."""

import dataclasses
import functools
import io

import numpy as np
from PIL import Image, ImageCms

from dfjax.media import limits

_ROWS = 256  # converted at a time
_SAME = 2  # of 255: a profile that changes no color by more is sRGB in other words
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_BROKEN = "its color profile is broken: its colors were taken as sRGB"


@dataclasses.dataclass(frozen=True)
class Conversion:
    """From pixels of a mode to sRGB."""

    mode: str
    transform: ImageCms.ImageCmsTransform

    def apply(self, picture: Image.Image) -> np.ndarray:
        """Returns RGB uint8 [H, W, 3]."""
        picture = picture.convert(self.mode)
        width, height = picture.size
        converted = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, _ROWS):
            rows = picture.crop((0, top, width, min(top + _ROWS, height)))
            shown = ImageCms.applyTransform(rows, self.transform)
            converted[top : top + _ROWS] = np.asarray(shown)
        return converted


def to_srgb(picture: Image.Image, profile: bytes | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns RGB uint8 [H, W, 3] of a picture of mode L, RGB, CMYK or LAB, and warnings.

    Without a profile, or with one that cannot be used, L and RGB are sRGB and CMYK loses light by
    each ink alike.
    """
    conversion, warnings = find_conversion(picture.mode, profile)
    if conversion is None:
        return np.asarray(picture.convert("RGB")), warnings
    return conversion.apply(picture), warnings


def find_conversion(mode: str, profile: bytes | None) -> tuple[Conversion | None, tuple[str, ...]]:
    """Returns what converts pixels of this mode, and warnings; None: they are sRGB already.

    A profile that cannot be used gets a warning. LAB is CIELAB under D50, whatever the profile.
    """
    if not profile and mode != "LAB":
        return None, ()
    try:
        return _conversion(mode, profile), ()
    except Exception as error:  # on hostile bytes, Pillow raises half a dozen types
        return None, (str(error) if isinstance(error, _UnfitError) else _BROKEN,)


class _UnfitError(Exception):
    """A profile that is whole, and of no use for the picture; the message is a warning."""


@functools.lru_cache(maxsize=8)  # the frames of a folder share one
def _conversion(mode: str, profile: bytes | None) -> Conversion | None:
    if mode == "LAB":
        return Conversion(mode, _build(ImageCms.createProfile("LAB"), mode))
    if len(profile) > limits.MAX_PROFILE_BYTES:
        raise _UnfitError("its color profile is too large: its colors were taken as sRGB")
    if b"mpet" in profile:  # programs of any length, run for each color
        raise _UnfitError("its color profile is of a rare kind: its colors were taken as sRGB")
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = opened.profile.xcolor_space.strip()
    wanted = _MODES.get(space)
    if wanted != mode and (wanted, mode) != ("RGB", "L"):
        raise _UnfitError(
            f"its color profile is for {space}, its pixels are {mode}: they were taken as they are"
        )
    transform = _build(opened, wanted)
    return None if _changes_nothing(transform, wanted) else Conversion(wanted, transform)


def _build(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    if mode == "CMYK":
        return False
    probe = _probe().convert(mode)
    before, after = (
        np.asarray(image, np.int16)
        for image in (probe.convert("RGB"), ImageCms.applyTransform(probe, transform))
    )
    return int(np.abs(after - before).max()) <= _SAME


@functools.cache
def _probe() -> Image.Image:
    """Colors from all over the cube."""
    steps = np.arange(0, 256, 17, np.uint8)
    colors = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
    return Image.fromarray(colors.reshape(len(steps), -1, 3))
