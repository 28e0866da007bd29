"""Small sound files of a drawn face, one of each kind that people send: what mutants are made of.

No code of `dfjax.media` writes them. Encoders use one thread, so that the same libraries give the
same bytes.
"""

import io
import os

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation
from PIL import Image

from dfjax.corpora.synthetic import corpus
from fuzz import heif

_PERSON, _FRAMES, _SIDE = 3, 6, 160
_SOUND_RATE = 16_000

# By default these choose instructions by the processor, and once in hundreds gave other bytes.
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
_X264 = {"bf": "2", "g": "4", "x264-params": "cpu-independent=1"}
# name: container, codec of the pictures, options of the codec, options of the container
_VIDEOS = {
    "h264.mp4": ("mp4", "libx264", _X264, {}),
    "fragments.mp4": ("mp4", "libx264", _X264, {"movflags": "frag_keyframe+empty_moov"}),
    "hevc.mov": ("mov", "libx265", {"x265-params": heif.X265}, {}),
    "av1.mp4": ("mp4", "libsvtav1", {"preset": "12", "svtav1-params": "lp=1"}, {}),
    "mpeg4.mp4": ("mp4", "mpeg4", {}, {}),
    "vp9.mkv": ("matroska", "libvpx-vp9", {"deadline": "realtime"}, {}),
    "vp8.webm": ("webm", "libvpx", {"deadline": "realtime"}, {}),
    "mjpeg.avi": ("avi", "mjpeg", {}, {}),
    "mpeg2.ts": ("mpegts", "mpeg2video", {}, {}),
    "h264.ts": ("mpegts", "libx264", _X264, {}),
}
_SOUNDS = {"mp4": "aac", "mov": "aac", "mpegts": "mp2", "avi": "pcm_s16le"}
# name: Pillow's format and its options
_PICTURES = {
    "baseline.jpg": ("JPEG", {"quality": 90}),
    "progressive.jpg": ("JPEG", {"quality": 90, "progressive": True}),
    "picture.png": ("PNG", {}),
    "picture.webp": ("WEBP", {"quality": 90}),
    "picture.bmp": ("BMP", {}),
    "picture.gif": ("GIF", {}),
    "picture.tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "picture.avif": ("AVIF", {"quality": 80, "speed": 10, "max_threads": 1}),
}
_ORIENTATION, _UPRIGHT = 0x0112, 1  # of EXIF

os.environ.setdefault("SVT_LOG", "0")  # or the AV1 encoder prints its settings


def make_materials() -> dict[str, bytes]:
    """Returns the files by name; each shows one face, in a picture or in 6 frames."""
    drawn = corpus.film(corpus.Settings(frames=_FRAMES), _PERSON, 0).frames
    frames = [cv2.resize(frame, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for frame in drawn]
    return {
        **{name: _encode(frames, *how) for name, how in _VIDEOS.items()},
        **{name: _save(frames[0], *how) for name, how in _PICTURES.items()},
        "picture.heic": heif.write_heic(frames[0]),
    }


def _encode(
    frames: list[np.ndarray],
    container: str,
    codec: str,
    options: dict[str, str],
    container_options: dict[str, str],
) -> bytes:
    buffer = io.BytesIO()
    with av.open(
        buffer, "w", container, options={"fflags": "+bitexact", **container_options}
    ) as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.thread_count = 1
        sound = _SOUNDS.get(container)
        voice = file.add_stream(sound, rate=_SOUND_RATE, layout="mono") if sound else None
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame = frame.reformat(format=stream.pix_fmt, interpolation=_EXACT, threads=1)
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
        if voice:
            file.mux(voice.encode(_silence(voice.codec_context)))
            file.mux(voice.encode())
    return buffer.getvalue()


def _silence(voice: av.AudioCodecContext) -> av.AudioFrame:
    samples = av.AudioFrame(voice.format.name, "mono", voice.frame_size or _SOUND_RATE // 4)
    for plane in samples.planes:
        plane.update(bytes(plane.buffer_size))
    samples.sample_rate = _SOUND_RATE
    return samples


def _save(image: np.ndarray, file_format: str, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[_ORIENTATION] = _UPRIGHT
    if file_format in ("JPEG", "PNG", "WEBP", "AVIF"):
        options = {**options, "exif": exif}
    Image.fromarray(image).save(buffer, file_format, **options)
    return buffer.getvalue()
