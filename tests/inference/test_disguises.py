"""One clip, however it is stored, gives the faces and the scores that a player's picture gives.

The score is `detectors.picture_logits` of the crops, which brightness, color and side decide. The
peer of each frame is the frame of the plain clip that is shown at the same time. The still's peer
is its frame as a picture: pictures are searched once, frames again near the face that is known.

The head in this clip stays where it is: dlib looks for faces on a grid, and where one moves between
two places of it, the least noise decides between boxes that are a tenth of their side apart.
"""

import itertools
import os
import pathlib

import av
import numpy as np
import pytest

from tests.inference import detectors
from tests.media import disguises

FRAMES, RATE = 40, 50
HEIGHT, WIDTH = 288, 336
BOX = 0.02  # of the longer side of a box
KEPT, LOST = 0.02, 0.05  # of scores, where the pixels are those of the clip, and where they are not
REPEATS = 500  # of the long one: 20,000 frames

# name: how it is written, its suffix, and how far scores may be off
DISGUISES = {
    "turned": (disguises.turned, ".mp4", KEPT),
    "mirrored": (disguises.mirrored, ".mp4", KEPT),
    "turned and mirrored": (disguises.turned_and_mirrored, ".mp4", KEPT),
    "wide pixels": (disguises.with_wide_pixels, ".mp4", LOST),  # a quarter of the columns
    "narrow pixels": (disguises.with_narrow_pixels, ".mp4", LOST),  # a quarter of the rows
    "HLG": (disguises.hlg, ".mp4", KEPT),
    "PQ": (disguises.pq, ".mp4", KEPT),
    "interlaced": (disguises.interlaced, ".mp4", LOST),  # half of the lines
    "variable rate": (disguises.of_variable_rate, ".mp4", KEPT),
    "cover art first": (disguises.with_cover_first, ".mp4", KEPT),
    "cover art attached": (disguises.with_attached_cover, ".mkv", KEPT),
    "webm": (disguises.webm, ".webm", LOST),  # fine detail: VP9 at a usual quality
    "long": (lambda clip, path: disguises.long(clip, path, REPEATS), ".mp4", KEPT),
    "HEIC still": (disguises.still, ".heic", KEPT),
}

pytestmark = pytest.mark.skipif("DFJAX_TEST_DATA" not in os.environ, reason="needs real faces")


@pytest.fixture(scope="module")
def detector():
    return detectors.make_detector(logits=detectors.picture_logits)


@pytest.fixture(scope="module")
def clip():
    """A talking head, smaller, in frames that nothing of dfjax decoded."""
    path = pathlib.Path(os.environ["DFJAX_TEST_DATA"], "videos", "real", "driving_d14.mp4")
    with av.open(str(path)) as container:
        decoded = list(itertools.islice(container.decode(video=0), FRAMES))
    small = [
        frame.reformat(WIDTH, WIDTH, "rgb24", interpolation="AREA").to_ndarray()[:HEIGHT]
        for frame in decoded
    ]
    return disguises.Clip(small, RATE)


@pytest.fixture(scope="module")
def plain_faces(clip, detector, tmp_path_factory):
    """The face of every frame of the plain clip."""
    path = tmp_path_factory.mktemp("plain") / "plain.mp4"
    disguises.plain(clip, path)
    faces = detector.video(path, num_frames=FRAMES).faces
    assert [face.frame for face in faces] == list(range(FRAMES))
    return faces


@pytest.fixture(scope="module")
def picture_faces(clip, detector):
    """The face of the first frame, as a picture."""
    return detector.image(clip.frames[0]).faces


@pytest.mark.parametrize("name", DISGUISES)
def test_a_disguise_changes_neither_faces_nor_scores(
    name, clip, detector, plain_faces, picture_faces, tmp_path
):
    write, suffix, tolerance = DISGUISES[name]
    path = tmp_path / f"clip{suffix}"
    write(clip, path)
    result = detector.file(path, num_frames=10)
    assert result.error is None
    is_still = result.kind == "image"
    assert is_still == (suffix == ".heic")
    assert len(result.faces) == len(result.media.analysed) == (1 if is_still else 10)
    zoom = np.tile([WIDTH / result.media.width, HEIGHT / result.media.height], 2)
    for face in result.faces:
        peers = picture_faces if is_still else plain_faces
        peer = peers[0 if is_still else round(face.time * RATE) % FRAMES]
        side = np.max(peer.crop.box[2:] - peer.crop.box[:2])
        assert np.abs(face.crop.box * zoom - peer.crop.box).max() <= BOX * side
        assert face.score == pytest.approx(peer.score, abs=tolerance)
