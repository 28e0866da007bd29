"""What is drawn lies where the faces are, and says in words what the model says."""

import av
import numpy as np
import pytest

from dfjax import verdict
from dfjax.faces import align
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import annotate, detector, draw
from dfjax.inference.detector import Result
from dfjax.inference.extract import FaceExtractor, MediaFacts
from dfjax.inference.sandboxed import SandboxedExtractor
from dfjax.media import image, video
from dfjax.media.errors import MediaError
from dfjax.verdict import FaceScore
from tests.inference.detectors import AS_IS, make_detector

SPEC = CropSpec(size=64)
GREY = np.full((240, 320, 3), 128, np.uint8)


def make_crop(frame, box, degrees=0.0):
    """The crop of a face whose template lies turned in the middle of the box."""
    left, right, nose = align.template(SPEC)
    points = np.stack([right, right, left, left, nose]) - SPEC.size / 2
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    box = np.array(box, np.float32)
    scale = (box[2] - box[0]) / SPEC.size
    points = scale * points @ np.array([[c, -s], [s, c]]).T + (box[:2] + box[2:]) / 2
    return align.align_face(frame, points, box, SPEC)


@pytest.fixture(scope="module")
def extractor():
    with SandboxedExtractor() as extractor:
        yield extractor


def write(extractor, folder, name, result, judge=None):
    judge = judge or make_detector()
    return annotate.write_annotated(folder / name, result, judge, folder / "b", extractor)


def make_face(box, *, frame=0, track=0, score=0.9, quality=None, degrees=0.0, image=GREY):
    return FaceScore(frame, frame / 10, track, score, quality, make_crop(image, box, degrees))


def is_color(pixels, label, atol=12):
    return (np.abs(pixels.astype(int) - annotate.COLORS[label]) <= atol).all(-1)


def test_a_box_is_drawn_round_the_face_in_the_color_of_its_verdict():
    before = GREY.copy()
    faces = [make_face((40, 80, 120, 160)), make_face((200, 80, 280, 160), track=1, score=0.1)]
    drawn = annotate.draw_faces(GREY, faces, {0: "fake", 1: "real"})
    np.testing.assert_array_equal(GREY, before)
    for x, label in ((40, "fake"), (200, "real")):
        assert is_color(drawn[100:150, x], label, 0).all()
        assert is_color(drawn[159, x : x + 80], label, 0).all()
        inside = np.s_[90:150, x + 10 : x + 70]
        np.testing.assert_array_equal(drawn[inside], GREY[inside])
    # White on the color: the words, above the box.
    assert is_color(drawn[60:80, 40:120], "fake", 0).sum() > 300
    assert (drawn[60:80, 40:120] == 255).all(-1).sum() > 20
    np.testing.assert_array_equal(drawn[:50], GREY[:50])


def test_words_tell_apart_what_colors_do_not():
    def words(label, **options):
        drawn = annotate.draw_faces(GREY, [make_face((40, 80, 240, 160), **options)], {0: label})
        return drawn[50:80].tobytes()

    shown = [
        words("inconclusive"),
        words(None),
        words("inconclusive", quality="too_dark"),
        words("inconclusive", quality="too_blurred"),
        words("inconclusive", quality="too_small"),
        words("inconclusive", score=0.3),
    ]
    assert len(set(shown)) == len(shown)


@pytest.mark.parametrize(
    "box", [(-30, -20, 50, 60), (280, 200, 360, 280), (-10, -10, 330, 250), (400, 300, 500, 400)]
)
def test_a_face_may_reach_beyond_the_frame(box):
    heat = np.ones((1, 4, 4), np.float32)
    drawn = annotate.draw_faces(GREY, [make_face(box)], {0: "fake"}, heat)
    assert drawn.shape == GREY.shape
    assert is_color(drawn, "fake").any()


@pytest.mark.parametrize("degrees", [0.0, 30.0, -75.0])
def test_heat_lands_on_the_pixels_that_the_crop_took_it_from(degrees):
    heat = np.zeros((1, 8, 8), np.float32)
    heat[0, 2, 5] = 1
    face = make_face((60, 40, 220, 200), degrees=degrees)
    plain = annotate.draw_faces(GREY, [face], {0: "fake"})
    warm = annotate.draw_faces(GREY, [face], {0: "fake"}, heat)
    change = np.abs(warm.astype(int) - plain).sum(-1)
    rows, columns = np.nonzero(change > 0.8 * change.max())
    # The cell's centre in the crop, and from there back by the inverse of the crop's matrix.
    cell = np.array([5.5, 2.5]) * SPEC.size / 8 - 0.5
    square = np.vstack([face.crop.matrix, [0, 0, 1]])
    x, y, _ = np.linalg.inv(square) @ [*cell, 1]
    assert (columns.mean(), rows.mean()) == (pytest.approx(x, abs=2), pytest.approx(y, abs=2))
    outside = np.ones(change.shape, bool)
    outside[40:200, 60:220] = False
    assert change[outside].max() == 0


def test_a_heat_map_lights_up_its_own_place():
    grey = np.full((40, 40, 3), 100, np.uint8)
    np.testing.assert_array_equal(draw.overlay(grey, np.zeros((4, 4), np.float32)), grey)
    spot = np.zeros((4, 4), np.float32)
    spot[3, 0] = 1
    change = np.abs(draw.overlay(grey, spot).astype(int) - grey).sum(-1)
    assert change[32:, :8].min() > 30
    assert max(change[:20].max(), change[:, 20:].max()) <= 3  # a ripple of the interpolation


def test_a_picture_that_was_taken_as_it_is_is_heated_whole():
    spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=64)
    face = FaceScore(0, None, 0, 0.9, None, align.resize_crop(GREY, spec))
    # Outer edges on outer edges, which lie half a pixel beyond the outermost centres.
    corners = np.array([[-0.5, -0.5, 1], [319.5, 239.5, 1]])
    np.testing.assert_allclose(corners @ face.crop.matrix.T, [[-0.5, -0.5], [63.5, 63.5]])
    heat = np.zeros((1, 4, 4), np.float32)
    heat[0, 3, 0] = 1
    drawn = annotate.draw_faces(GREY, [face], {0: "fake"}, heat)
    change = np.abs(drawn.astype(int) - GREY).sum(-1)
    assert change[210, 40] > 60  # the middle of the cell: 320 / 4 by 240 / 4 pixels
    assert change[100:130, 200:300].max() == 0


def test_a_picture_is_written_next_to_the_original(tmp_path, extractor):
    (tmp_path / "a.png").write_bytes(image.encode_image(GREY, "png"))
    face = make_face((40, 80, 120, 160))
    result = Result(verdict.Verdict("fake", 0.9), (face,), MediaFacts("image", 320, 240))
    path = write(extractor, tmp_path, "a.png", result)
    assert path == tmp_path / "b.jpg"
    drawn = image.read_image(path)
    assert drawn.shape == GREY.shape
    assert is_color(drawn[100:150, 40], "fake", 40).mean() > 0.9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.jpg"]


def test_frames_between_show_the_faces_of_the_nearest_analysed_one(tmp_path, extractor):
    frames = [np.full((240, 320, 3), 100 + 8 * number, np.uint8) for number in range(9)]
    video.write_video(tmp_path / "a.mp4", frames, fps=10, crf=10)
    lefts = {0: 30, 4: 110, 8: 190}  # where the box is in the analysed frames
    faces = [make_face((x, 80, x + 60, 160), frame=number) for number, x in lefts.items()]
    facts = MediaFacts("video", 320, 240, 10.0, 9, 9, (0, 4, 8))
    result = Result(verdict.Verdict("fake", 0.9), tuple(faces), facts)
    path = write(extractor, tmp_path, "a.mp4", result)
    written = video.read_video(path, 100)
    assert (path.name, written.num_decoded, written.fps) == ("b.mp4", 9, 10.0)
    np.testing.assert_allclose(written.times, np.arange(9) / 10, atol=1e-4)
    seen = {}
    for number, frame in enumerate(written.frames):
        np.testing.assert_allclose(frame[20, 300].astype(int), 100 + 8 * number, atol=4)
        seen[number] = [x for x in lefts.values() if is_color(frame[100:150, x], "fake", 60).all()]
    assert list(seen.values()) == 3 * [[30]] + 4 * [[110]] + 2 * [[190]]
    # A borrowed box is marked as such in the lower left corner.
    notes = [np.ptp(frame[225:, :60].astype(int)) > 60 for frame in written.frames]
    assert notes == [number not in lefts for number in range(9)]


def test_the_copy_of_a_long_video_has_the_analysed_frames_alone(tmp_path, extractor):
    """More than 3,000 frames, so that those between are not decoded."""
    frames = (
        (0.04 * number, np.full((64, 64, 3), number // 20, np.uint8)) for number in range(3010)
    )
    video.write_timed(tmp_path / "a.mp4", frames, fps=25, crf=30)
    facts = FaceExtractor(AS_IS).file(tmp_path / "a.mp4", num_frames=5).facts
    assert (facts.is_long, len(facts.analysed)) == (True, 5)
    assert "5 frames from all of its 2 minutes were looked at" in facts.warnings[0]
    result = Result(verdict.Verdict("inconclusive", None, "no_face"), (), facts)
    written = video.read_video(write(extractor, tmp_path, "a.mp4", result))
    source = video.read_video(tmp_path / "a.mp4", 5)
    np.testing.assert_allclose(written.times, source.times, atol=1e-4)
    shades = [frame.mean() for frame in written.frames]
    np.testing.assert_allclose(shades, [frame.mean() for frame in source.frames], atol=3)


def test_a_frame_that_shows_nobody_lends_no_boxes(tmp_path, extractor):
    frames = [GREY] * 9
    video.write_video(tmp_path / "a.mp4", frames, fps=10, crf=10)
    facts = MediaFacts("video", 320, 240, 10.0, 9, 9, (0, 4, 8))
    result = Result(
        verdict.Verdict("inconclusive", 0.9, "too_few_frames"),
        (make_face((30, 80, 110, 160), frame=0),),
        facts,
    )
    path = annotate.write_annotated(
        tmp_path / "a.mp4",
        result,
        make_detector(heat=np.ones((2, 2), np.float32)),
        tmp_path / "b",
        extractor,
    )
    changed = [np.ptp(frame.astype(int)) > 60 for frame in video.read_video(path, 100).frames]
    assert changed == [True] * 3 + [False] * 6


def test_odd_sides_lose_their_last_line(tmp_path, extractor):
    with av.open(tmp_path / "a.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 321, 241, "yuv444p"
        for _ in range(3):
            grey = av.VideoFrame.from_ndarray(np.full((241, 321, 3), 128, np.uint8), "rgb24")
            container.mux(stream.encode(grey))
        container.mux(stream.encode())
    assert video.read_video(tmp_path / "a.mp4", 1).frames[0].shape == (241, 321, 3)
    facts = MediaFacts("video", 321, 241, 10.0, 3, 3, (0, 1, 2))
    result = Result(verdict.Verdict("inconclusive", None, "no_face"), (), facts)
    path = write(extractor, tmp_path, "a.mp4", result)
    assert video.read_video(path, 3).frames[0].shape == (240, 320, 3)


def test_nothing_is_drawn_into_what_does_not_decode(tmp_path, extractor):
    result = detector.failed(MediaError("corrupt", "broken"))
    with pytest.raises(ValueError, match="nothing to draw into"):
        write(extractor, tmp_path, "a.png", result)
    assert list(tmp_path.iterdir()) == []
