"""Videos: frames spread evenly over the whole film, whatever its header claims.

A short video is decoded from its begin to its end. In a long one, frames are searched from key
frames on; these are the same every time, too, but may lie beside the wanted times.
"""

import dataclasses
import fractions
import io
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from dfjax.errors import UserError
from dfjax.media import color, film, limits, shots
from dfjax.media.errors import MediaError
from dfjax.media.film import Film, Frame
from dfjax.media.shots import Shot, ShotFinder

DECODING = 2  # rises when the same file gives other frames

# By default libx264 chooses instructions by the processor, and both split work by its threads.
# With B-frames, libx265 gives random times to the frames of a film of one or two.
_ENCODERS = {
    "h264": ("libx264", {"x264-params": "cpu-independent=1"}),
    "h265": ("libx265", {"x265-params": "bframes=0:pools=none:frame-threads=1:log-level=none"}),
}
_TICKS = 90_000  # of a second, in files with times of their own
_RATE_TOLERANCE = 0.02
_SAME_TIME = 0.005  # seconds: times are rounded to the ticks of a container
_STEPS_BACK = (0.0, 2.0, 10.0)  # seconds
_MAX_STEPS = 48  # frames from a key frame on, if that is near enough to the wanted time


@dataclasses.dataclass(frozen=True)
class Video:
    """Frames of a video, in order.

    Attributes:
      frames: RGB uint8 [H, W, 3], as a player shows them (`display.Display`).
      indices: positions of `frames` among the frames that decode; in a long video estimated from
        their times.
      times: at which they are shown, in seconds from the first frame.
      num_decoded: frames that were decoded, at most `limits.MAX_VIDEO_FRAMES`.
      num_declared: frames that the container states; 0 if it states none.
      fps: frames per second, for people: in a video of varying rate, the mean; 0.0 if unknown.
      duration: length in seconds.
      is_long: whether the frames in between were not decoded.
      warnings: what to know of the video, as sentences without a capital and a full stop.
      damage: why it is damaged, as such sentences; empty: nothing says so.
      shots: what lies between its cuts; empty: they were not asked for, or it is long.
    """

    frames: list[np.ndarray]
    indices: list[int]
    times: list[float]
    num_decoded: int
    num_declared: int
    fps: float
    duration: float
    is_long: bool = False
    warnings: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()
    shots: tuple[Shot, ...] = ()


def read_video(path: str | os.PathLike, num_frames: int = 32, *, per_shot: int = 0) -> Video:
    """Returns the frames at `np.linspace(0, num_decoded - 1, num_frames, dtype=int)`.

    A shorter video gives every frame once, a broken one the frames that decode. A video of over
    `limits.LONG_VIDEO_FRAMES` gives frames near evenly spread times. Memory holds `num_frames`
    frames at a time; if the expected count is wrong, a second pass picks frames by the true count.

    With `per_shot`, cuts are looked for, and frames of several shots are spread so that each shot
    gets at least so many (`shots.spread`). A film of one shot gives the same frames without it.

    Raises:
      MediaError: the file cannot be read, is not an accepted video, is over a limit, or no frame
        decodes.
      UserError: `num_frames` is below 1.
    """
    if num_frames < 1:
        raise UserError(f"num_frames is {num_frames}: use 1 or more")
    with film.open_film(path) as opened:
        length = _stated_length(opened)
        if length is not None:
            return _read(path, opened, num_frames, length, per_shot)
        length = opened.count()
    with film.open_film(path) as opened:
        return _read(path, opened, num_frames, length, per_shot)


def write_video(
    path: str | os.PathLike | BinaryIO,
    frames: Iterable[np.ndarray],
    *,
    fps: float,
    crf: int,
    codec: str = "h264",
) -> None:
    """Writes RGB uint8 [H, W, 3] frames as .mp4 (yuv420p, BT.601): equal frames, equal bytes.

    `path` may also be a file open for writing. `codec` is "h264", or "h265" if frames are over 64
    pixels wide. `crf` is the encoder's quality, 0 to 51; FaceForensics++ calls 23 "c23", 40 "c40".

    Raises:
      UserError: the height or the width is odd.
      ValueError: there is no frame, or frames differ in size.
    """
    rate = fractions.Fraction(fps).limit_denominator(1001)
    _write(path, enumerate(frames), crf=crf, rate=rate, time_base=1 / rate, codec=codec)


def write_timed(
    path: str | os.PathLike | BinaryIO,
    frames: Iterable[tuple[float, np.ndarray]],
    *,
    fps: float,
    crf: int,
) -> None:
    """Writes frames, each with its time in seconds from the first one, as `write_video` does.

    The last frame is shown for 1 / `fps` seconds.
    """
    rate = fractions.Fraction(fps).limit_denominator(1001)
    _write(path, _at_ticks(frames), crf=crf, rate=rate, time_base=fractions.Fraction(1, _TICKS))


def _write(
    path: str | os.PathLike | BinaryIO,
    frames: Iterable[tuple[int, np.ndarray]],
    *,
    crf: int,
    rate: fractions.Fraction,
    time_base: fractions.Fraction,
    codec: str = "h264",
) -> None:
    """Writes frames at so many units of `time_base`; `rate` is what the header states."""
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError("frames is empty: give at least one")
    shape = height, width, _ = first[1].shape
    if height % 2 or width % 2:
        raise UserError(f"frames are {width}x{height}: yuv420p needs even sides")
    target = path if isinstance(path, io.IOBase) else os.fspath(path)
    with av.open(target, "w", format="mp4", options={"fflags": "+bitexact"}) as file:
        encoder, options = _ENCODERS[codec]
        stream = file.add_stream(encoder, rate=rate, options={"crf": str(crf), **options})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = time_base
        stream.codec_context.thread_count = 1
        stream.codec_context.colorspace = Colorspace.ITU601
        stream.codec_context.color_range = ColorRange.MPEG
        for pts, image in itertools.chain([first], frames):
            if image.shape != shape:
                raise ValueError(f"frame {pts} is {image.shape}: the first is {shape}")
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU601,
                interpolation=color.EXACT,
                threads=1,
            )
            frame.pts, frame.time_base = pts, time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def _at_ticks(frames: Iterable[tuple[float, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    last = -1
    for time, image in frames:
        last = max(last + 1, round(time * _TICKS))  # no two frames can have the same
        yield last, image


def spread(num_available: int, num_frames: int) -> list[int]:
    """Returns the positions of `num_frames` frames, evenly spread; all if there are fewer."""
    # dtype=int truncates, which picks the same frames as DeepfakeBench.
    positions = np.linspace(0, num_available - 1, min(num_frames, num_available), dtype=int)
    return positions.tolist()


_Length = tuple[int, float]  # frames, seconds


def _stated_length(opened: Film) -> _Length | None:
    # The index of a fragmented mp4 grows while it is read.
    num_frames = max(opened.num_declared, round(opened.rate * opened.duration))
    return (num_frames, opened.duration) if num_frames else None


def _read(
    path: str | os.PathLike, opened: Film, num_frames: int, length: _Length, per_shot: int
) -> Video:
    num_expected, duration = length
    if num_expected <= limits.LONG_VIDEO_FRAMES or not duration:
        return _read_through(path, opened, num_frames, num_expected, per_shot)
    found = _search(opened, num_frames, length)
    if found is not None:
        return found
    with film.open_film(path) as again:
        return _read_through(path, again, num_frames, num_expected, per_shot)


def _read_through(
    path: str | os.PathLike, opened: Film, num_frames: int, num_expected: int, per_shot: int
) -> Video:
    """Decodes the whole video, up to the limit, once or twice."""
    num_guessed = min(num_expected, limits.MAX_VIDEO_FRAMES)
    finder = ShotFinder() if per_shot else None
    guessed = spread(num_guessed, num_frames)
    found = _pick(opened, guessed, finder)
    num_decoded = opened.num_decoded
    if num_decoded == 0:
        raise MediaError("corrupt", f"{path}: no frame decodes: encode the video again")
    is_whole = num_decoded < limits.MAX_VIDEO_FRAMES
    rest = () if is_whole else _left_out(opened)
    found_shots = finder.shots(opened.end) if finder else ()
    indices = spread(num_decoded, num_frames)
    if len(found_shots) > 1:
        indices = shots.spread(found_shots, num_frames, at_least=per_shot)
    if indices != guessed:
        found.clear()  # or memory would hold the frames of both passes
        with film.open_film(path) as again:
            found = _pick(again, indices)
    return Video(
        frames=[image for _, image in found],
        indices=indices,
        times=[time for time, _ in found],
        num_decoded=num_decoded,
        num_declared=opened.num_declared,
        fps=_shown_rate(opened.rate, num_decoded, opened.end),
        duration=opened.end,
        warnings=opened.warnings + rest,
        damage=opened.damage(is_whole=is_whole),
        shots=found_shots,
    )


def _pick(
    opened: Film, indices: Sequence[int], finder: ShotFinder | None = None
) -> list[tuple[float, np.ndarray]]:
    """Decodes up to the limit; the times and pictures of the frames at `indices`.

    `finder` gets every frame.
    """
    wanted, found = set(indices), []
    for number, frame in enumerate(itertools.islice(opened.frames(), limits.MAX_VIDEO_FRAMES)):
        if finder is not None:
            finder.add(frame.copy(), frame.time)
        if number in wanted:
            found.append((frame.time, frame.image()))
    return found


def _left_out(opened: Film) -> tuple[str, ...]:
    return (
        f"the video may be longer than {limits.MAX_VIDEO_FRAMES} frames, and could not be "
        f"searched: only its first {opened.end:.0f} s were looked at, a limit of this program",
    )


def _shown_rate(stated: float, num_frames: int, duration: float) -> float:
    """The stated rate, unless it is not that of the frames that were decoded."""
    if not duration:
        return stated
    measured = num_frames / duration
    return stated if abs(stated / measured - 1) < _RATE_TOLERANCE else measured


def _search(opened: Film, num_frames: int, length: _Length) -> Video | None:
    """The frames of a long video; None: it cannot be searched, or is not as long as stated."""
    num_expected, duration = length
    rate = num_expected / duration
    times = np.linspace(0, duration - 1 / rate, num_frames)
    spacing = times[1] - times[0] if num_frames > 1 else 0.0
    found: list[tuple[float, np.ndarray]] = []
    for time in times:
        frame = _step_to(opened, time, earliest=time - spacing / 2)
        if frame is None or (found and frame.time <= found[-1][0]):
            return None
        found.append((frame.time, frame.image()))
    return Video(
        frames=[image for _, image in found],
        indices=[round(time * rate) for time, _ in found],
        times=[time for time, _ in found],
        num_decoded=opened.num_decoded,
        num_declared=opened.num_declared,
        fps=_shown_rate(opened.rate, num_expected, duration),
        duration=duration,
        is_long=True,
        warnings=opened.warnings,
        damage=opened.damage(is_whole=False),
    )


def _step_to(opened: Film, time: float, *, earliest: float) -> Frame | None:
    """The frame at `time`; after so many steps, one from `earliest` on will do.

    None: there is none, or finding it costs too much.
    """
    # Without an index, a search may end behind the wanted time, and find nothing at the end.
    for back in _STEPS_BACK:
        frame = None
        try:
            if time > 0:
                opened.seek(max(0.0, time - back))
            for number, frame in enumerate(opened.frames(), 1):
                is_there = frame.time >= time - _SAME_TIME
                if is_there or (number > _MAX_STEPS and frame.time >= earliest):
                    return frame
                if opened.num_decoded >= limits.MAX_VIDEO_FRAMES:
                    return None
        except av.FFmpegError:
            return None
        if frame is not None:  # the film ends before
            return frame
    return None
