"""The frames of a two-hour film: how long reading them takes, next to decoding a part of it.

    python -m benchmarks.long_film

A ten-second clip of 1920x1080 at 25 frames a second is repeated until it fills the time; its key
frames lie ten seconds apart, as x264 sets them by default. Needs 1.1 GB of disk.
"""

import argparse
import fractions
import io
import itertools
import pathlib
import resource
import tempfile
import time

import av
import numpy as np

from dfjax.media import film, video

RATE, SECONDS = 25, 10  # of the clip that is repeated
FRAMES = 32
DECODED = 1000  # frames of the part that is decoded without a gap


def make_clip() -> bytes:
    """Returns moving noise as Matroska."""
    noise = np.random.default_rng(0).integers(0, 255, (270, 480, 3), np.uint8)
    noise = noise.repeat(4, 0).repeat(4, 1)
    file = io.BytesIO()
    options = {"preset": "ultrafast", "crf": "30"}
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for number in range(RATE * SECONDS):
            frame = av.VideoFrame.from_ndarray(np.roll(noise, 4 * number, 1), "rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    return file.getvalue()


def repeat(clip: bytes, path: pathlib.Path, times: int) -> None:
    """Writes the packets of a clip so many times, one after the other."""
    with av.open(io.BytesIO(clip)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for number, packet in itertools.product(range(times), packets):
            copy = av.Packet(bytes(packet))
            copy.stream, copy.time_base = stream, fractions.Fraction(1, 1000)
            copy.pts = packet.pts + 1000 * SECONDS * number
            copy.dts = packet.dts + 1000 * SECONDS * number
            copy.is_keyframe = packet.is_keyframe
            target.mux(copy)


def main() -> None:
    """Prints the time and the memory of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=int, default=120)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "film.mp4")
        repeat(make_clip(), path, 60 * minutes // SECONDS)
        began = time.process_time(), time.monotonic()
        found = video.read_video(path, FRAMES)
        cpu, wall = time.process_time() - began[0], time.monotonic() - began[1]
        began = time.process_time()
        with film.open_film(path) as opened:
            num_decoded = sum(1 for _ in itertools.islice(opened.frames(), DECODED))
        per_frame = (time.process_time() - began) / num_decoded
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    whole = per_frame * 60 * minutes * RATE
    print(f"{len(found.frames)} frames from {found.times[0]:.0f} s to {found.times[-1]:.0f} s")
    print(f"{wall:.1f} s, {cpu:.1f} s of CPU, {memory:.0f} MB at most")
    print(f"decoding all of it would take {whole:.0f} s of CPU: {whole / cpu:.0f} times as much")


if __name__ == "__main__":
    main()
