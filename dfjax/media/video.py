"""Videos: frames spread evenly over what really decodes, whatever the header claims.

PyAV decodes, here and in `media.stream`. A video is decoded in one sequential pass on one thread,
so that a file gives the same frames everywhere: seeking ends at different frames in different
builds of FFmpeg.
"""

import dataclasses
import fractions
import io
import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from dfjax.errors import UserError
from dfjax.media import limits
from dfjax.media.errors import MediaError

# FFmpeg detects the container by its content, and a playlist would open the files that it lists.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts"
_CODECS = frozenset({"av1", "h264", "hevc", "mjpeg", "mpeg2video", "mpeg4", "vp8", "vp9"})
# Without these, colors are up to 3 of 256 too dark and differ between processors.
_EXACT = (
    Interpolation.BILINEAR
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)
# By default libx264 chooses instructions by the processor, and the split of work by its threads.
_SAME_BYTES = {"x264-params": "cpu-independent=1"}
_DAMAGED_BELOW = 0.9  # share of the declared frames


@dataclasses.dataclass(frozen=True)
class Video:
    """Frames of a video, in order.

    Attributes:
      frames: RGB uint8 [H, W, 3], upright.
      indices: positions of `frames` among the frames that decode.
      num_decoded: frames that decode, at most `limits.MAX_VIDEO_FRAMES`.
      num_declared: frames that the container declares; 0 if it does not. See `is_damaged`.
      fps: frames per second; 0.0 if unknown.
    """

    frames: list[np.ndarray]
    indices: list[int]
    num_decoded: int
    num_declared: int
    fps: float


def read_video(path: str | os.PathLike, num_frames: int = 32) -> Video:
    """Returns the frames at `np.linspace(0, num_decoded - 1, num_frames, dtype=int)`.

    A shorter video gives every frame once, a broken one the frames that decode. Display rotation
    is applied. Colors follow the matrix and range that the stream names, by default BT.601,
    limited. Memory holds `num_frames` frames at a time; if the declared count is wrong, a second
    pass picks frames by the true count.

    Raises:
      MediaError: the file cannot be read, is not an accepted video, is over a limit, or no frame
        decodes.
      UserError: `num_frames` is below 1.
    """
    if num_frames < 1:
        raise UserError(f"num_frames is {num_frames}: use 1 or more")
    with open_container(path) as container:
        num_declared, fps = _declared(container)
        num_guessed = min(num_declared, limits.MAX_VIDEO_FRAMES)
        frames, num_decoded = _pick_frames(container, spread(num_guessed, num_frames))
    if num_decoded == 0:
        raise MediaError("corrupt", f"{path}: no frame decodes: encode the video again")
    indices = spread(num_decoded, num_frames)
    if num_decoded != num_guessed:
        frames.clear()  # or memory would hold the frames of both passes
        with open_container(path) as container:
            frames, _ = _pick_frames(container, indices)
    return Video(frames, indices, num_decoded, num_declared, fps)


def write_video(
    path: str | os.PathLike | BinaryIO, frames: Iterable[np.ndarray], *, fps: float, crf: int
) -> None:
    """Writes RGB uint8 [H, W, 3] frames as H.264 (yuv420p, BT.601) .mp4: equal frames, equal bytes.

    `path` may also be a file that is open for writing. `crf` is libx264's quality, 0 (lossless) to
    51; FaceForensics++ names 23 "c23" and 40 "c40".

    Raises:
      UserError: the height or the width is odd.
      ValueError: there is no frame, or frames differ in size.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError("frames is empty: give at least one")
    height, width = first.shape[:2]
    if height % 2 or width % 2:
        raise UserError(f"frames are {width}x{height}: yuv420p needs even sides")
    rate = fractions.Fraction(fps).limit_denominator(1001)
    target = path if isinstance(path, io.IOBase) else os.fspath(path)
    with av.open(target, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        options = {"crf": str(crf), **_SAME_BYTES}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.colorspace = Colorspace.ITU601
        stream.codec_context.color_range = ColorRange.MPEG
        for number, image in enumerate(itertools.chain([first], frames)):
            if image.shape != first.shape:
                raise ValueError(f"frame {number} is {image.shape}: the first is {first.shape}")
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU601, interpolation=_EXACT, threads=1
            )
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def is_damaged(num_decoded: int, num_declared: int) -> bool:
    """Returns whether far fewer frames decode than the container declares (0: unknown).

    Frames beyond `limits.MAX_VIDEO_FRAMES` are never decoded and do not count as missing.
    """
    return num_decoded < _DAMAGED_BELOW * min(num_declared, limits.MAX_VIDEO_FRAMES)


def spread(num_available: int, num_frames: int) -> list[int]:
    """Returns the positions of `num_frames` frames, evenly spread; all if there are fewer."""
    # dtype=int truncates, which picks the same frames as DeepfakeBench.
    positions = np.linspace(0, num_available - 1, min(num_frames, num_available), dtype=int)
    return positions.tolist()


def open_container(path: str | os.PathLike) -> InputContainer:
    """Opens a file and sets up the decoder of its first video stream; the caller closes it.

    Raises:
      MediaError: the file cannot be read, is not an accepted video, or is over a limit.
    """
    _check_file(path)
    options = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    try:
        # An absolute path: FFmpeg would take the "x:" of a relative one for a protocol.
        container = av.open(os.path.abspath(path), options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        code = "corrupt" if isinstance(error, av.InvalidDataError) else "unsupported"
        message = f"{path}: broken, or not mp4, mov, mkv, webm, avi or ts: encode the video again"
        raise MediaError(code, message) from error
    try:
        set_up_decoder(container, path)
    except MediaError:
        container.close()
        raise
    return container


def _check_file(path: str | os.PathLike) -> None:
    try:
        status = os.stat(path)
    except OSError as error:
        raise MediaError("unreadable", f"{path}: {error.strerror}: give a readable file") from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaError("unreadable", f"{path}: not a regular file: give the path of a video")
    if status.st_size == 0:
        raise MediaError("empty", f"{path}: the video has no bytes: copy it again")


def set_up_decoder(container: InputContainer, path: str | os.PathLike) -> None:
    """Checks the first video stream of `container` and bounds its decoder; `path` is for messages.

    Raises:
      MediaError: there is no video stream, or its codec or frame size is not accepted.
    """
    if not container.streams.video:
        raise MediaError("no_video", f"{path}: has no video stream: give a video with pictures")
    decoder = container.streams.video[0].codec_context
    codec = decoder.codec.canonical_name if decoder else "unknown"
    if codec not in _CODECS:
        accepted = ", ".join(sorted(_CODECS))
        raise MediaError("unsupported", f"{path}: codec {codec}: encode it as one of {accepted}")
    if decoder.width * decoder.height > limits.MAX_FRAME_PIXELS:
        size = f"{decoder.width}x{decoder.height}"
        message = f"{path}: {size} is over {limits.MAX_FRAME_PIXELS} pixels: scale it down"
        raise MediaError("too_large", message)
    decoder.thread_count = 1
    # The header may hide the size, and a stream may change it: the decoder checks every frame.
    decoder.options = {"max_pixels": str(limits.MAX_FRAME_PIXELS)}


def _declared(container: InputContainer) -> tuple[int, float]:
    """Returns the number of frames and the rate that the container declares; 0 if unknown."""
    stream = container.streams.video[0]
    rate = stream.average_rate or fractions.Fraction(0)
    if stream.duration is not None:
        seconds = stream.duration * stream.time_base
    else:
        seconds = fractions.Fraction(container.duration or 0, av.time_base)
    return max(0, stream.frames or round(seconds * rate)), float(rate)


def _pick_frames(container: InputContainer, indices: list[int]) -> tuple[list[np.ndarray], int]:
    """Returns the frames at `indices` of those that decode, and how many decode."""
    frames, num_decoded, remaining = [], 0, set(indices)
    for frame in itertools.islice(decode_frames(container), limits.MAX_VIDEO_FRAMES):
        if num_decoded in remaining:
            try:
                frames.append(to_rgb(frame))
            except av.FFmpegError as error:  # ICtCp, YCgCo, constant luminance
                message = f"{container.name}: color matrix {frame.colorspace}: encode it as BT.709"
                raise MediaError("unsupported", message) from error
        num_decoded += 1
    return frames, num_decoded


def decode_frames(container: InputContainer) -> Iterator[av.VideoFrame]:
    """Yields every frame that decodes; packets that do not are skipped."""
    packets = container.demux(container.streams.video[0])
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError, IndexError):  # IndexError: an undeclared stream
            return
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Returns a decoded frame as RGB uint8 [H, W, 3], upright.

    Raises:
      av.FFmpegError: its color matrix cannot be converted.
    """
    image = frame.reformat(format="rgb24", interpolation=_EXACT, threads=1).to_ndarray()
    quarter_turns = round(frame.rotation / 90)  # counterclockwise, as np.rot90 turns
    return np.ascontiguousarray(np.rot90(image, quarter_turns))
