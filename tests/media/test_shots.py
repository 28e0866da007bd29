"""Films of known shots: where they are cut, and which of their frames are taken."""

import itertools
import os
import pathlib

import cv2
import numpy as np
import pytest

from dfjax.media import film, shots, video

FPS = 25


def scene(seed: int, count: int, *, pan: int = 0) -> list[np.ndarray]:
    """A picture of coarse blobs, panned by so many pixels a frame, with a little noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 12, 3), np.uint8)
    wide = cv2.resize(coarse, (160 + pan * count, 96), interpolation=cv2.INTER_CUBIC)
    views = [wide[:, pan * i : pan * i + 160] for i in range(count)]
    return [np.clip(view + rng.normal(0, 4, view.shape), 0, 255).astype(np.uint8) for view in views]


def write(path: pathlib.Path, frames: list[np.ndarray]) -> pathlib.Path:
    video.write_video(path, frames, fps=FPS, crf=20)
    return path


def borders(clip: video.Video) -> list[tuple[int, int]]:
    return [(shot.first, shot.stop) for shot in clip.shots]


def test_cuts_are_found_and_neither_movement_nor_a_flash_is_one(tmp_path):
    first = scene(0, 30)
    first[12] = np.full_like(first[12], 255)
    first[20:23] = [np.full_like(first[20], 240)] * 3
    frames = first + scene(1, 40, pan=4) + scene(2, 7) + scene(3, 23, pan=2)
    clip = video.read_video(write(tmp_path / "a.mp4", frames), per_shot=4)
    assert borders(clip) == [(0, 30), (30, 70), (70, 77), (77, 100)]
    times = [(shot.start, shot.end) for shot in clip.shots]
    assert times == pytest.approx(np.array([(0, 30), (30, 70), (70, 77), (77, 100)]) / FPS)


def test_a_dissolve_is_no_cut(tmp_path):
    a, b = scene(0, 40), scene(1, 40)
    mixed = [cv2.addWeighted(b[i], i / 12, a[i], 1 - i / 12, 0) for i in range(12)]
    clip = video.read_video(write(tmp_path / "a.mp4", a + mixed + b), 4, per_shot=2)
    assert borders(clip) == [(0, 92)]
    assert clip.indices == video.spread(92, 4)


def test_one_shot_gives_the_frames_that_it_gives_without_looking_for_cuts(tmp_path):
    path = write(tmp_path / "a.mp4", scene(0, 50, pan=1))
    with_shots, without = video.read_video(path, 7, per_shot=4), video.read_video(path, 7)
    assert borders(with_shots) == [(0, 50)]
    assert without.shots == ()
    np.testing.assert_array_equal(with_shots.frames, without.frames)


def test_every_shot_gets_its_frames():
    lengths = (100, 8, 2, 40)
    ends = np.cumsum(lengths)
    known = [
        shots.Shot(int(end - length), int(end), 0.0, 0.0)
        for end, length in zip(ends, lengths, strict=True)
    ]
    found = shots.spread(known, 16, at_least=3)
    counts = np.bincount([shots.number_of(known, frame) for frame in found])
    # Three each, and both of the third. The other five: 100/4, .., 100/8 are all above 40/4.
    assert counts.tolist() == [8, 3, 2, 3]
    assert found == sorted(set(found))
    assert {0, 99, 100, 107, 108, 109, 110, 149} <= set(found)
    few = shots.spread(known, 6, at_least=3)  # for the two longest
    assert few == [0, 49, 99, 110, 129, 149]
    assert shots.spread(known[2:3], 9, at_least=3) == [108, 109]


def test_frames_follow_the_shots(tmp_path):
    frames = scene(0, 80) + scene(1, 5)
    clip = video.read_video(write(tmp_path / "a.mp4", frames), 8, per_shot=4)
    assert clip.indices[4:] == [80, 81, 82, 84]
    assert clip.indices[:4] == [0, 26, 52, 79]
    for index, image in zip(clip.indices, clip.frames, strict=True):
        assert np.abs(image.astype(int) - frames[index]).mean() < 8


@pytest.mark.skipif("DFJAX_TEST_DATA" not in os.environ, reason="needs real films")
def test_real_films_that_are_spliced_are_cut_there(tmp_path):
    folder = pathlib.Path(os.environ["DFJAX_TEST_DATA"], "videos", "real")
    parts = []
    for name in ("RealObama", "driving_d12", "source_s20", "RealPutin"):
        with film.open_film(folder / f"{name}.mp4") as opened:
            frames = [frame.image() for frame, _ in zip(opened.frames(), range(60), strict=False)]
        parts.append([cv2.resize(frame, (256, 192)) for frame in frames])
    clip = video.read_video(write(tmp_path / "a.mp4", list(itertools.chain(*parts))), per_shot=4)
    ends = np.cumsum([len(part) for part in parts]).tolist()
    assert borders(clip) == list(itertools.pairwise([0, *ends]))
