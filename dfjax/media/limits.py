"""Limits above which a picture or a video is refused.

Imports nothing that decodes, so that an entry point can set OpenCV's own limit before cv2 loads.
"""

import os
import sys

MAX_PIXELS = 64 * 2**20  # of a picture: 192 MiB as RGB
MAX_IMAGE_BYTES = 256 * 2**20  # of a picture file
MAX_JPEG_SCANS = 100  # a progressive JPEG has about 10; 2000 cost 12 s of CPU at 640x480
MAX_TILES = 65_536  # strips or tiles of a TIFF
MAX_HEIF_ITEMS = 4096  # tiles, thumbnails, metadata: a phone with 48 megapixels writes 250
MAX_PROFILE_BYTES = 4 * 2**20  # of a color profile: those of printers have 2 MiB
MAX_FRAME_PIXELS = 16 * 2**20  # of a video frame: 4096x4096
LONG_VIDEO_FRAMES = 3_000  # of a longer video, not every frame is decoded: 2 minutes at 25 a second
MAX_VIDEO_FRAMES = 18_000  # decoded per video: 10 minutes at 30 frames a second


def limit_opencv() -> None:
    """Makes OpenCV itself refuse pictures over MAX_PIXELS, in case `decode_image` misses one.

    Entry points call this before anything imports cv2.

    Raises:
      RuntimeError: cv2 is already loaded and would not read the limit.
    """
    if "cv2" in sys.modules:
        raise RuntimeError("cv2 is already imported: call limit_opencv() first in the entry point")
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_PIXELS)
