import dataclasses
import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from dfjax.corpora.clip import Clip
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image as media_image
from dfjax.media import limits
from dfjax.media import video as media_video
from dfjax.media.errors import MediaError
from dfjax.preparation import crop_clip, crop_store, workers
from dfjax.sandbox.errors import WorkerError
from tests.preparing import CROP

AS_IS = CropSpec(crops="as-is", detector="none", landmarks=0, size=16, encoding="png")


def make_clip(path: pathlib.Path, data: bytes = b"data") -> Clip:
    path.write_bytes(data)
    return Clip(f"c/real/{path.name}", str(path), 0, "real", "train", ())


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_a_picture_gives_one_crop_and_a_video_its_spread_frames(tmp_path):
    picture = noise(16, 16, 3)
    clip = make_clip(tmp_path / "a.PNG", media_image.encode_image(picture, "png"))
    found = crop_clip.crop_clip(clip, AS_IS, 32)
    assert (found.num_frames, found.damaged, len(found.crops)) == (1, False, 1)
    assert np.isnan(found.crops[0]["time"])
    assert found.crops[0]["landmarks"].shape == (0, 2)
    np.testing.assert_array_equal(media_image.decode_image(found.crops[0]["image"]), picture)

    frames = [np.full((16, 16, 3), 20 * shade, np.uint8) for shade in range(10)]
    media_video.write_video(tmp_path / "v.mp4", frames, fps=25, crf=10)
    clip = dataclasses.replace(clip, path=str(tmp_path / "v.mp4"))
    found = crop_clip.crop_clip(clip, AS_IS, 4)
    assert [crop["frame"] for crop in found.crops] == [0, 3, 6, 9]
    np.testing.assert_allclose([crop["time"] for crop in found.crops], [0, 0.12, 0.24, 0.36])
    shades = [media_image.decode_image(crop["image"]).mean() for crop in found.crops]
    np.testing.assert_allclose(shades, [0, 60, 120, 180], atol=3)


def test_a_video_that_ends_early_is_damaged(tmp_path):
    frames = list(noise(40, 64, 64, 3))
    media_video.write_video(tmp_path / "v.mp4", frames, fps=25, crf=10)
    whole = (tmp_path / "v.mp4").read_bytes()
    # The index lies behind the pictures: blank the second half of these.
    start, end = whole.index(b"mdat") + 4, whole.index(b"moov") - 4
    middle = (start + end) // 2
    clip = make_clip(tmp_path / "cut.mp4", whole[:middle] + bytes(end - middle) + whole[end:])
    found = crop_clip.crop_clip(clip, dataclasses.replace(AS_IS, encoding="jpeg"), 8)
    assert found.damaged
    assert 0 < found.num_frames <= 8


def test_a_sound_video_above_the_frame_limit_is_not_damaged(tmp_path, monkeypatch):
    media_video.write_video(tmp_path / "v.mp4", list(noise(30, 64, 64, 3)), fps=25, crf=10)
    clip = Clip("c/real/v.mp4", str(tmp_path / "v.mp4"), 0, "real", "train", ())
    monkeypatch.setattr(limits, "MAX_VIDEO_FRAMES", 11)
    crops = crop_clip.crop_clip(clip, dataclasses.replace(AS_IS, encoding="jpeg"), 3)
    assert [crop["frame"] for crop in crops.crops] == [0, 5, 10]
    assert (crops.num_frames, crops.damaged) == (3, False)
    assert ["a limit of this program" in note for note in crops.notes] == [True]


def test_what_a_picture_says_of_itself_is_noted(tmp_path):
    (tmp_path / "frames").mkdir()
    shades = [Image.new("RGB", (16, 16), (shade,) * 3) for shade in (0, 90)]
    for name in ("one.gif", "frames/1.gif", "frames/2.gif"):
        shades[0].save(tmp_path / name, save_all=True, append_images=shades[1:])
    for path in (tmp_path / "one.gif", tmp_path / "frames"):
        found = crop_clip.crop_clip(Clip("c/real/x", str(path), 0, "real", "train", ()), AS_IS, 8)
        assert ["holds 2 pictures" in note for note in found.notes] == [True]


def write_frames(folder: pathlib.Path, *names: str) -> Clip:
    """Writes one grey picture per name, brighter by 10 each."""
    folder.mkdir()
    for number, name in enumerate(names):
        grey = np.full((16, 16, 3), 10 * number, np.uint8)
        (folder / name).write_bytes(media_image.encode_image(grey, "png"))
    return Clip("c/real/folder", str(folder), 0, "real", "train", ())


def shades(found: crop_clip.ClipCrops) -> list[int]:
    return [int(media_image.decode_image(crop["image"]).mean()) for crop in found.crops]


def test_a_folder_gives_its_frames_in_the_order_of_their_numbers(tmp_path):
    # By name alone, 10 would come before 9 and the seven digits before all.
    names = ["9.png", "10.PNG", "frame_0011.png", "0000012.png", "100_0.png", "100_1.png"]
    clip = write_frames(tmp_path / "frames", *names)
    (tmp_path / "frames" / ".9.png").write_bytes(b"hidden")
    (tmp_path / "frames" / "13.txt").write_bytes(b"no picture")
    found = crop_clip.crop_clip(clip, AS_IS, 32)
    assert shades(found) == [0, 10, 20, 30, 40, 50]
    assert [crop["frame"] for crop in found.crops] == [0, 1, 2, 3, 4, 5]
    assert (found.num_frames, found.damaged) == (6, False)
    found = crop_clip.crop_clip(clip, AS_IS, 3)  # as of a video: linspace(0, 5, 3) truncated
    assert [crop["frame"] for crop in found.crops] == [0, 2, 5]
    assert shades(found) == [0, 20, 50]


def test_broken_frames_of_a_folder_are_passed_over_and_reported(tmp_path):
    clip = write_frames(tmp_path / "frames", *(f"{number}.png" for number in range(5)))
    (tmp_path / "frames" / "1.png").write_bytes(b"broken")
    found = crop_clip.crop_clip(clip, AS_IS, 3)  # not one of the frames wanted
    assert (shades(found), found.damaged) == ([0, 20, 40], False)
    (tmp_path / "frames" / "2.png").write_bytes(b"")
    found = crop_clip.crop_clip(clip, AS_IS, 3)
    assert [crop["frame"] for crop in found.crops] == [0, 4]
    assert (shades(found), found.num_frames, found.damaged) == ([0, 40], 2, True)
    for number in (0, 4):
        (tmp_path / "frames" / f"{number}.png").write_bytes(b"")
    with pytest.raises(
        MediaError, match=r"none of 3 frames decodes: .*0\.png: .*no bytes"
    ) as error:
        crop_clip.crop_clip(clip, AS_IS, 3)
    assert error.value.code == "empty"


def test_a_folder_without_frames_is_empty(tmp_path):
    clip = write_frames(tmp_path / "frames")
    (tmp_path / "frames" / "a.txt").touch()
    with pytest.raises(MediaError, match="frames: the folder holds no picture") as error:
        crop_clip.crop_clip(clip, AS_IS, 3)
    assert error.value.code == "empty"


def test_a_folder_that_got_another_frame_is_unfinished(tmp_path):
    clip = write_frames(tmp_path / "frames", "0.png")
    with crop_store.CropStore(tmp_path / "crops") as store:
        store.save(clip, crop_clip.ClipCrops([CROP], 1, False))
        status = os.stat(clip.path)
        assert store.outcome(clip) is not None
        (tmp_path / "frames" / "1.png").touch()
        os.utime(clip.path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert store.outcome(clip) is None


def test_a_suffix_that_is_no_picture_or_video_is_unsupported(tmp_path):
    with pytest.raises(MediaError, match=r"the suffix is none of \.avi"):
        crop_clip.crop_clip(make_clip(tmp_path / "a.txt"), AS_IS, 32)


def test_the_store_gives_back_what_it_keeps_until_the_file_changes(tmp_path):
    crops = [CROP, CROP, {**CROP, "image": b"", "frame": 9, "face": 0}]
    clip, blank = make_clip(tmp_path / "a.mp4"), make_clip(tmp_path / "b.mp4")
    with crop_store.CropStore(tmp_path / "crops") as store:
        assert store.outcome(clip) is None
        store.save(blank, crop_clip.ClipCrops([], 5, False))
        store.save(clip, crop_clip.ClipCrops(crops, 5, True))
    with crop_store.CropStore(tmp_path / "crops") as store:
        assert store.outcome(clip) == crop_store.Outcome("", "", 5, 2, 3, True)
        for kept, given in zip(store.crops(clip), crops, strict=True):
            assert kept.keys() == given.keys()
            for name, value in given.items():
                np.testing.assert_array_equal(kept[name], value)
        assert store.outcome(blank).code == "no_face"
        assert store.crops(blank) == []
        make_clip(tmp_path / "a.mp4", b"other data")
        assert store.outcome(clip) is None


def test_a_store_cut_anywhere_keeps_the_clips_before_the_cut_and_goes_on(tmp_path):
    path = tmp_path / "crops"
    clips = [make_clip(tmp_path / name) for name in ("a.mp4", "b.mp4", "c.mp4")]
    ends = []
    with crop_store.CropStore(path) as store:
        for clip in clips[:2]:
            store.save(clip, crop_clip.ClipCrops([CROP], 1, False))
            ends.append(path.stat().st_size)
    whole = path.read_bytes()
    for cut in range(0, len(whole) + 1, 7):
        path.write_bytes(whole[:cut])
        with crop_store.CropStore(path) as store:
            assert [store.outcome(clip) is not None for clip in clips] == [
                cut >= ends[0],
                cut >= ends[1],
                False,
            ]
            store.save(clips[2], crop_clip.ClipCrops([CROP], 1, False))
        with crop_store.CropStore(path) as store:
            assert store.crops(clips[2])[0]["image"] == b"encoded"


def test_a_store_that_was_damaged_or_is_in_use_says_so(tmp_path):
    path = tmp_path / "crops"
    clip = make_clip(tmp_path / "a.mp4")
    with crop_store.CropStore(path) as store:
        store.save(clip, crop_clip.ClipCrops([CROP], 1, False))
        with pytest.raises(ValueError, match="crops is in use by another run"):
            crop_store.CropStore(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with crop_store.CropStore(path) as store, pytest.raises(ValueError, match="damaged: delete it"):
        store.crops(clip)


BY_NAME = workers.Cropping(CropSpec(), 1, module="tests.preparation.crop_tasks")


def test_every_clip_has_an_outcome_whatever_happens_to_its_process(tmp_path, monkeypatch):
    run, died = workers._run, []

    def die_once(clip, *args):
        if clip.path.endswith("deadly_once") and not died:
            died.append(clip)
            raise WorkerError("killed by another")
        return run(clip, *args)

    monkeypatch.setattr(workers, "_run", die_once)
    names = ["a", "deadly", "b", "broken", "deadly_once", "bug", *"cdefgh"]
    clips = [make_clip(tmp_path / name) for name in names]
    with crop_store.CropStore(tmp_path / "crops") as store:
        outcomes = {
            pathlib.Path(clip.path).name: outcome
            for clip, outcome in workers.crop_clips(clips, store, BY_NAME, jobs=2)
        }
        assert {name for name, clip in zip(names, clips, strict=True) if store.outcome(clip)} == {
            name for name, outcome in outcomes.items() if not outcome.code
        }
    codes = {name: outcome.code for name, outcome in outcomes.items()}
    failed = {"deadly": "worker_died", "broken": "corrupt", "bug": "internal"}
    assert codes == dict.fromkeys(names, "") | failed
    assert outcomes["broken"].message == "two lines"
    assert "KeyError: 'surprise'" in outcomes["bug"].message
