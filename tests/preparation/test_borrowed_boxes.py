"""`dfjax prepare --boxes-from-original`: a fake is cut where the faces of its original are."""

import dataclasses
import pathlib

import numpy as np
import pytest

from dfjax import cli
from dfjax.corpora.clip import Clip
from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.data import builder
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import video as media_video
from dfjax.preparation import crop_clip, dataset_card

SPEC = CropSpec(size=64, detection_border=0.0, encoding="png")
KEY = "c/real/real.mp4"


@pytest.fixture(scope="module")
def takes() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The frames of a drawn original and of its fake, which shows it a little higher."""
    settings = synthetic.Settings(frames=6)
    original = synthetic.film(settings, 3, 0)
    fake = synthetic.forge(settings, 3, 0, original)
    return list(original.frames), [np.roll(frame, -16, axis=0) for frame in fake]


def write(path: pathlib.Path, frames: list[np.ndarray]) -> str:
    media_video.write_video(path, frames, fps=25, crf=18)
    return str(path)


def make_fake(path: pathlib.Path, frames: list[np.ndarray]) -> Clip:
    return Clip(f"c/fake/{path.name}", write(path, frames), 1, "fake", "train", (), KEY)


def places(found: crop_clip.ClipCrops) -> list[tuple]:
    return [(crop["frame"], *crop["box"], *crop["landmarks"].ravel()) for crop in found.crops]


def test_a_fake_is_cut_where_the_faces_of_its_original_are(takes, tmp_path):
    originals = {KEY: write(tmp_path / "real.mp4", takes[0])}
    real = Clip(KEY, originals[KEY], 0, "real", "train", ())
    fake = make_fake(tmp_path / "fake.mp4", takes[1])
    lent = crop_clip.crop_clip(real, SPEC, 3, originals)
    borrowed = crop_clip.crop_clip(fake, SPEC, 3, originals)
    alone = crop_clip.crop_clip(fake, SPEC, 3)
    assert len(alone.crops) == 3
    assert places(borrowed) == places(lent) == places(crop_clip.crop_clip(real, SPEC, 3))
    assert places(alone) != places(lent)
    assert [crop["image"] for crop in borrowed.crops] != [crop["image"] for crop in lent.crops]
    assert [lent.own_boxes, borrowed.own_boxes, alone.own_boxes] == [False, False, False]


def test_where_the_original_has_no_face_the_fake_has_no_crop(takes, tmp_path):
    blank = np.full_like(takes[0][0], 128)
    originals = {KEY: write(tmp_path / "real.mp4", [takes[0][0], blank, takes[0][2]])}
    fake = make_fake(tmp_path / "fake.mp4", takes[1][:3])
    found = crop_clip.crop_clip(fake, SPEC, 3, originals)
    assert [crop["frame"] for crop in found.crops] == [0, 2]
    assert (found.num_frames, found.own_boxes) == (3, False)


@pytest.mark.parametrize("why", ["unknown", "longer", "smaller", "broken", "faceless", "other"])
def test_a_fake_whose_original_does_not_fit_is_searched_itself(takes, tmp_path, why):
    frames, path = takes[0][:3], tmp_path / "real.mp4"
    if why == "longer":
        frames = takes[0]
    elif why == "smaller":
        frames = [np.ascontiguousarray(frame[:, :-32]) for frame in frames]
    elif why == "faceless":
        frames = [np.full_like(frames[0], 128)] * 3
    originals = {"c/real/other.mp4" if why == "unknown" else KEY: write(path, frames)}
    if why == "broken":
        path.write_bytes(b"broken")
    fake = make_fake(tmp_path / "fake.mp4", takes[1][:3])
    fake = dataclasses.replace(fake, same_frame=why != "other")
    found = crop_clip.crop_clip(fake, SPEC, 3, originals)
    assert found.own_boxes
    assert len(found.crops) == 3
    assert places(found) == places(crop_clip.crop_clip(fake, SPEC, 3))


def test_the_dataset_says_so_and_is_not_mixed_with_others(takes, tmp_path, capsys):
    root, out = tmp_path / "corpus", tmp_path / "out"
    root.mkdir()
    rows = ["path,label,split,pair,same_frame"]
    for name, frames, label, pair, same in (
        ("real", takes[0], 0, "a", ""),
        ("fake", takes[1], 1, "a", 1),
        ("alone", takes[1], 1, "b", ""),
        ("moved", takes[1], 1, "a", 0),
    ):
        write(root / f"{name}.mp4", frames[: 6 - 2 * (pair == "b")])
        rows.append(f"{name}.mp4,{label},train,{pair},{same}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    command = ["prepare", "--corpus", "folder", "--root", str(root), "--out", str(out)]
    command += ["--frames", "2", "--size", "64", "--jobs", "1"]
    assert cli.main([*command, "--boxes-from-original"]) == 0
    dataset = builder.open_dataset(out)
    assert (dataset.boxes_from_original, dataset.metadata["own_boxes"]) == (True, 2)
    check_pairs(dataset)
    page = " ".join((out / dataset_card.HTML).read_text().split())
    assert "where their originals show a face (but for 2, whose originals do not fit)" in page
    assert "fakes with boxes of their own, as no original fits: 2" in capsys.readouterr().out
    assert cli.main(command) == 2
    assert "made with boxes_from_original True instead of False" in capsys.readouterr().err
    assert cli.main([*command, "--boxes-from-original", "--crops", "as-is"]) == 2
    assert "leave --boxes-from-original out" in capsys.readouterr().err


def check_pairs(dataset: builder.Dataset) -> None:
    """Two frames of the real and of its fake are pairs; the other fakes have boxes of their own."""
    index, records = dataset.index("train"), dataset.records("train")
    for row, partner in enumerate(index.partner.tolist()):
        fake = records[row]
        assert (partner >= 0) == fake["clip"].endswith("/fake.mp4")
        if partner >= 0:
            real = records[partner]
            assert (real["label"], real["clip"]) == (0, "corpus/real/real.mp4")
            assert (real["frame"], real["face"]) == (fake["frame"], fake["face"])
            np.testing.assert_array_equal(real["box"], fake["box"])
            np.testing.assert_array_equal(real["landmarks"], fake["landmarks"])
    originals = dict(zip(index.clips.tolist(), index.originals.tolist(), strict=True))
    assert originals == {
        "corpus/fake/alone.mp4": "",
        "corpus/fake/fake.mp4": "corpus/real/real.mp4",
        "corpus/fake/moved.mp4": "corpus/real/real.mp4",
        "corpus/real/real.mp4": "",
    }
