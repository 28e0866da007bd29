"""Leaks planted in small datasets, and between them, are found, each exactly; training refuses."""

import csv
import dataclasses
import json
import os
import pathlib
import shutil

import cv2
import numpy as np
import pytest

from dfjax import cli, train
from dfjax.corpora.clip import Clip
from dfjax.data import builder, leaks
from dfjax.data.builder import open_dataset
from dfjax.faces import crop, detect
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image as media_image
from dfjax.preparation import audit, nearest, perceptual_hash
from tests import tiny_run

SIZE = 256
SPEC = CropSpec(crops="as-is", detector="none", landmarks=0, size=SIZE, encoding="png")
FRAMES = 3


def draw(seed: int) -> np.ndarray:
    """A picture with as much detail as a face, unlike that of any other seed."""
    blotches = np.random.default_rng(seed).integers(0, 200, (20, 20, 3), np.uint8)
    return cv2.resize(blotches, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def record(image: np.ndarray, frame: int, landmarks: np.ndarray | None = None) -> dict:
    return {
        "image": media_image.encode_image(image, "png"),
        "frame": frame,
        "face": 0,
        "landmarks": np.zeros((0, 2), np.float32) if landmarks is None else landmarks,
        "box": np.float32([0, 0, 90, 90]),
        "scale": 0.7,
        "padded": 0.0,
        "time": 0.5,
    }


def clip(key: str, split: str, *sources: str) -> Clip:
    method = key.split("/")[1]
    return Clip(key, "", int(method != "real"), method, split, sources or (key,))


def write(
    out: pathlib.Path,
    crops: dict[Clip, list[dict]],
    spec: CropSpec = SPEC,
    clips: str = "these clips",
) -> None:
    builder.write_dataset(
        out,
        clips=list(crops),
        crops_of=crops.__getitem__,
        size=spec.size,
        encoding=spec.encoding,
        metadata={
            "crop_spec": spec.to_json(),
            "corpus": "c",
            "seed": 0,
            "synthetic": False,
            "frames": FRAMES,
            "clips": clips,
            "versions": {},
            "coverage": {},
        },
    )


def clean() -> dict[Clip, list[dict]]:
    """Two real and two fake clips a split; a fake looks almost like the real one of its split."""
    crops = {}
    for number, split in enumerate(("train", "val", "test")):
        for person in range(2):
            for label, method in enumerate(("real", "swap")):
                seed = 100 * number + 10 * person
                images = [draw(seed + frame) for frame in range(FRAMES)]
                for image in images if label else []:
                    image[80:160, 80:160] //= 2
                key = f"c/{method}/{split}{person}.mp4"
                frames = [record(image, frame) for frame, image in enumerate(images)]
                crops[clip(key, split, f"pair:{split}{person}", f"{split}{person}")] = frames
    return crops


def images_of(crops: dict[Clip, list[dict]], key: str) -> list[np.ndarray]:
    frames = next(frames for clip, frames in crops.items() if clip.key == key)
    return [media_image.decode_image(frame["image"]) for frame in frames]


def reencode(image: np.ndarray) -> np.ndarray:
    """As another uploader has it: brighter, moved by a pixel, compressed twice."""
    moved = cv2.copyMakeBorder(image, 1, 0, 1, 0, cv2.BORDER_REPLICATE)[:-1, :-1]
    return jpeg(cv2.convertScaleAbs(moved, alpha=1.15), 60)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


def leaking() -> dict[Clip, list[dict]]:
    """The clean dataset and one leak of every kind, between three pairs of splits."""
    crops = clean()
    copied = [
        record(image, frame) for frame, image in enumerate(images_of(crops, "c/real/val0.mp4"))
    ]
    again = [reencode(image) for image in images_of(crops, "c/real/train0.mp4")]
    crops[clip("c/real/copy.mp4", "test")] = copied
    crops[clip("c/real/reencoded.mp4", "val")] = [record(image, i) for i, image in enumerate(again)]
    shared = ("identity:c/anna", "video:ffpp/071", "pair:9", "anna")
    for seed, source in enumerate(shared):
        for split, sources in (("train", (source,)), ("test", (source, "other"))):
            key = f"c/real/{split}_{seed}.mp4"
            number = 1000 + 10 * seed + (split == "test")
            crops[clip(key, split, *sources)] = [record(draw(number), 0)]
    for split, seed in (("train", 2000), ("test", 2001)):
        crops[clip("c/swap/twice.mp4", split, f"only in {split}")] = [record(draw(seed), 0)]
    return crops


@pytest.fixture(scope="module")
def clean_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("clean")
    write(path, clean())
    return path


@pytest.fixture(scope="module")
def leaking_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("leaking")
    write(path, leaking())
    return path


def found(audited: leaks.Audit) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """By kind, what is shared and the clips that share it."""
    for finding in audited.nonempty:
        assert finding.count == len(finding.examples) == sum(finding.splits.values())
    return {
        finding.kind: [
            (leak.shared, {split: place.split("#")[0] for split, place in leak.places.items()})
            for leak in finding.examples
        ]
        for finding in audited.nonempty
    }


def test_every_planted_leak_is_found_and_nothing_else(leaking_dir):
    audited = audit.audit(open_dataset(leaking_dir))

    def both(number: int) -> dict[str, str]:
        return {split: f"c/real/{split}_{number}.mp4" for split in ("train", "test")}

    assert found(audited) == {
        "clip": [("c/swap/twice.mp4", dict.fromkeys(("train", "test"), "c/swap/twice.mp4"))],
        "identity": [("identity:c/anna", both(0))],
        "video": [("video:ffpp/071", both(1))],
        "pair": [("pair:9", both(2))],
        "origin": [("anna", both(3))],
        "identical": [("", {"val": "c/real/val0.mp4", "test": "c/real/copy.mp4"})],
        "near_duplicate": [("", {"train": "c/real/train0.mp4", "val": "c/real/reencoded.mp4"})],
    }
    assert audited.counts == {"clips": 24, "crops": 52, "hashes": 52}
    assert leaks.read(open_dataset(leaking_dir)) == audited


def test_a_clean_dataset_is_silent_though_its_fakes_look_like_its_reals(clean_dir, capsys):
    assert cli.main(["audit", str(clean_dir)]) == 0
    assert "no leak found; see " in capsys.readouterr().out
    assert leaks.read(open_dataset(clean_dir)).nonempty == ()
    leaks.require_none(open_dataset(clean_dir))


def test_the_command_says_how_many_and_which_and_fails(leaking_dir, capsys):
    assert cli.main(["audit", str(leaking_dir), "--crops-per-clip", "2"]) == 1
    printed = capsys.readouterr().out
    assert "leaks: training refuses this dataset; see " in printed
    assert "identity:c/anna: c/real/train_0.mp4 in train, c/real/test_0.mp4 in test" in printed
    assert json.loads((leaking_dir / "audit.json").read_text())["settings"]["crops_per_clip"] == 2
    assert "identity:c/anna" in (leaking_dir / "dataset_card.html").read_text()


def test_where_no_dataset_is_the_command_says_so(tmp_path, capsys):
    assert cli.main(["audit", str(tmp_path)]) == 2
    assert "holds no prepared dataset" in capsys.readouterr().err


def test_only_the_chosen_frames_are_compared(tmp_path):
    crops = {
        clip(f"c/real/{split}", split): [record(draw(seed + frame), frame) for frame in range(9)]
        for seed, split in ((0, "train"), (100, "test"))
    }
    crops[clip("c/real/test", "test")][2] = record(reencode(draw(2)), 2)
    write(tmp_path, crops)
    dataset = open_dataset(tmp_path)
    assert audit.audit(dataset, crops_per_clip=2).nonempty == ()
    places = {"train": "c/real/train#2#0", "test": "c/real/test#2#0"}
    assert audit.audit(dataset, crops_per_clip=9).nonempty[0].examples[0].places == places


def test_blocks_do_not_change_what_is_closest(leaking_dir, monkeypatch):
    whole = audit.audit(open_dataset(leaking_dir))
    monkeypatch.setattr(nearest, "_BLOCK", 5)
    assert audit.audit(open_dataset(leaking_dir)) == whole


def bits_apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.bitwise_count(one ^ other).sum())


def test_the_hash_survives_what_leaves_a_picture_the_same():
    pictures = [draw(seed) for seed in range(30)]
    hashes = [perceptual_hash.perceptual_hash(picture) for picture in pictures]
    for picture, (own, mirrored) in zip(pictures, hashes, strict=True):
        again, _ = perceptual_hash.perceptual_hash(reencode(picture))
        assert bits_apart(own, again) <= perceptual_hash.NEAR_DUPLICATE
        turned, _ = perceptual_hash.perceptual_hash(picture[:, ::-1])
        np.testing.assert_array_equal(turned, mirrored)
    others = [
        bits_apart(a[0], b) for i, a in enumerate(hashes) for both in hashes[:i] for b in both
    ]
    assert min(others) > 2 * perceptual_hash.NEAR_DUPLICATE
    assert perceptual_hash.perceptual_hash(np.full((SIZE, SIZE, 3), 80, np.uint8)) is None


@pytest.mark.parametrize("quality", [None, 50])
def test_mirrored_copies_are_found_and_said_to_be(tmp_path, quality):
    copies = [image[:, ::-1] for image in images_of(clean(), "c/real/train0.mp4")]
    if quality:
        copies = [jpeg(cv2.convertScaleAbs(image, alpha=1.2), quality) for image in copies]
    crops = clean()
    crops[clip("c/real/mirrored.mp4", "test")] = [
        record(image, i) for i, image in enumerate(copies)
    ]
    write(tmp_path, crops)
    audited = audit.audit(open_dataset(tmp_path))
    places = {"train": "c/real/train0.mp4", "test": "c/real/mirrored.mp4"}
    assert found(audited) == {"mirrored": [("", places)]}
    limit = perceptual_hash.NEAR_DUPLICATE if quality else 0
    assert audited.blocking[0].examples[0].distance <= limit
    with pytest.raises(ValueError, match=r"nearly the same pictures, mirrored \(1; c/real/train0"):
        leaks.require_none(open_dataset(tmp_path))


def test_flat_pictures_are_no_duplicates_of_each_other(tmp_path):
    grey = {
        clip(f"c/real/{split}", split): [record(np.full((SIZE, SIZE, 3), level, np.uint8), 0)]
        for level, split in ((80, "train"), (81, "test"))
    }
    write(tmp_path, grey)
    audited = audit.audit(open_dataset(tmp_path))
    assert (audited.nonempty, audited.counts["hashes"]) == ((), 0)


def other_corpus() -> dict[Clip, list[dict]]:
    """Four things of the leaking dataset under other names, and its names for other things."""
    smaller = [cv2.resize(image, (128, 128)) for image in images_of(clean(), "c/real/train1.mp4")]
    mirrored = [reencode(draw(100)[:, ::-1])]
    pictures = {
        clip("d/real/a", "train", "video:ffpp/071", "anna", "pair:9"): [draw(5000)],
        clip("d/real/b", "test", "video:d/1"): images_of(clean(), "c/real/val0.mp4"),
        clip("d/real/c", "test", "video:d/2"): smaller,
        clip("d/real/d", "train", "video:d/1"): mirrored,
        clip("c/real/test0.mp4", "test", "test0"): [draw(5001)],
    }
    crops = {clip: [(image, at) for at, image in enumerate(p)] for clip, p in pictures.items()}
    return {clip: [record(*each) for each in images] for clip, images in crops.items()}


@pytest.fixture(scope="module")
def other_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("other")
    write(path, other_corpus(), clips="those clips")
    return path


def test_two_datasets_are_compared_whole_and_left_alone(leaking_dir, other_dir, tmp_path, capsys):
    before = {path: path.stat().st_mtime_ns for path in leaking_dir.iterdir()}
    out = tmp_path / "new" / "found.json"
    a, b = str(leaking_dir), str(other_dir)
    assert cli.main(["audit", a, b, "--out", str(out)]) == 1
    assert {path: path.stat().st_mtime_ns for path in leaking_dir.iterdir()} == before
    assert [path.name for path in other_dir.iterdir()] == ["face_crops"]
    audited = audit.compare([open_dataset(a), open_dataset(b)])
    assert json.loads(out.read_text()) == json.loads(json.dumps(dataclasses.asdict(audited)))
    video = {f"{a}:{split}": f"c/real/{split}_1.mp4" for split in ("train", "test")}
    assert found(audited) == {
        "video": [("video:ffpp/071", video | {f"{b}:train": "d/real/a"})],
        "identical": [("", {f"{a}:val": "c/real/val0.mp4", f"{b}:test": "d/real/b"})],
        "near_duplicate": [("", {f"{a}:train": "c/real/train1.mp4", f"{b}:test": "d/real/c"})],
        "mirrored": [("", {f"{a}:val": "c/real/val0.mp4", f"{b}:train": "d/real/d"})],
    }
    printed = capsys.readouterr().out
    assert "shared by datasets" in printed
    assert "leaks: a model of one of them recognizes some of another" in printed
    assert "audit.json" not in printed
    assert f"{a}:valand{b}:train:1" in "".join(printed.split())


def test_datasets_that_share_nothing_and_one_given_twice(clean_dir, tmp_path, capsys):
    crops = {clip("d/real/a", "train", "video:d/1"): [record(draw(7000), 0)]}
    write(tmp_path, crops, clips="those clips")
    assert cli.main(["audit", str(clean_dir), str(tmp_path)]) == 0
    assert cli.main(["audit", str(clean_dir), f"{clean_dir}/."]) == 2
    assert "name one dataset twice" in capsys.readouterr().err


def test_crops_of_other_sizes_and_scales_are_comparable(tmp_path):
    wide = draw(0)
    side = round(SIZE * 1.3 / 1.8)
    low = (SIZE - side) // 2
    tight = cv2.resize(wide[low : low + side, low : low + side], (224, 224))
    for name, scale, image in (("a", 1.8, wide), ("b", 1.3, tight)):
        spec = CropSpec(size=len(image), scale=scale, encoding="png")
        crops = {
            clip(f"{name}/real/{name}", "train"): [record(image, 0, np.zeros((5, 2), np.float32))]
        }
        write(tmp_path / name, crops, spec, clips=name)
    both = [open_dataset(tmp_path / name) for name in "ab"]
    assert [finding.kind for finding in audit.compare(both).nonempty] == ["near_duplicate"]


def overlap(target_dir, target_split, trained_dir, trained_splits) -> leaks.Overlap:
    target, trained = open_dataset(target_dir), open_dataset(trained_dir)
    return leaks.overlap(target, target_split, [(trained, each) for each in trained_splits])


def test_a_split_overlaps_itself_and_no_other(clean_dir):
    everything = overlap(clean_dir, "train", clean_dir, ("train", "val"))
    assert everything == leaks.Overlap(clip=4, pair=2, origin=2, identical=4)
    assert everything.describe() == (
        "shares 4 clips, 2 pairs, 2 other origins, 4 clips with the same pictures with training"
    )
    nothing = overlap(clean_dir, "test", clean_dir, ("train", "val"))
    assert not nothing
    assert nothing.describe() == "shares nothing with training"


def test_an_overlap_counts_what_the_splits_trained_on_have(leaking_dir):
    of_train = leaks.Overlap(clip=1, identity=1, video=1, pair=1, origin=1)
    assert overlap(leaking_dir, "test", leaking_dir, ("train",)) == of_train
    copied = overlap(leaking_dir, "test", leaking_dir, ("train", "val"))
    assert copied == dataclasses.replace(of_train, identical=1)


def test_ids_with_a_corpus_count_elsewhere_and_other_names_do_not(leaking_dir, other_dir):
    trained = leaking_dir, ("train", "val")
    # The names "anna", "pair:9" and c/real/test0.mp4 are in both, of different things.
    assert overlap(other_dir, "train", *trained) == leaks.Overlap(video=1)
    assert overlap(other_dir, "test", *trained) == leaks.Overlap(identical=1)


def test_clips_prepared_again_are_known_by_all_their_names(clean_dir, tmp_path):
    spec = dataclasses.replace(SPEC, size=64)
    small = {
        clip: [record(cv2.resize(images_of(clean(), clip.key)[0], (64, 64)), 0)] for clip in clean()
    }
    write(tmp_path / "same", small, spec)
    expected = leaks.Overlap(clip=4, pair=2, origin=2)
    assert overlap(tmp_path / "same", "train", clean_dir, ("train",)) == expected
    # A folder of the same name, whose files are called the same.
    write(tmp_path / "others", small, spec, clips="those clips")
    assert not overlap(tmp_path / "others", "train", clean_dir, ("train",))
    # A published corpus that was listed in another way: its keys come with ids of the corpus.
    named = {
        dataclasses.replace(clip, origin_ids=(f"video:c/{clip.key}",)): crops
        for clip, crops in small.items()
    }
    for name in ("one", "two"):
        write(tmp_path / name, named, spec, clips=name)
    expected = leaks.Overlap(clip=4, video=4, identical=4)
    assert overlap(tmp_path / "one", "train", tmp_path / "two", ("train",)) == expected


def test_an_overlap_reads_a_record_once(clean_dir, tmp_path, monkeypatch):
    data_dir = tmp_path / "data"
    shutil.copytree(clean_dir / "face_crops", data_dir / "face_crops")
    read: list[str] = []
    get = builder.Records.__getitem__
    monkeypatch.setattr(
        builder.Records, "__getitem__", lambda self, row: read.append(row) or get(self, row)
    )
    for target in ("val", "test", "train"):
        overlap(data_dir, target, data_dir, ("train", "val"))
    assert len(read) == 3 * 4 * FRAMES


def config(data_dir, **changes):
    # An unknown model stops a run just after the leaks are looked at.
    return tiny_run.make_config(data_dir, **{"model.name": "no_such_model", **changes})


def test_training_refuses_a_leak_and_names_it_and_the_flag(leaking_dir, clean_dir, tmp_path):
    (leaking_dir / "audit.json").unlink(missing_ok=True)  # then the records' ids are looked at
    with pytest.raises(
        ValueError, match=r"people by id \(1; identity:c/anna.*data\.allow_leaks=True"
    ):
        train.train(config(leaking_dir), tmp_path)
    for data_dir, allow in ((leaking_dir, True), (clean_dir, False)):
        with pytest.raises(ValueError, match="no_such_model"):
            train.train(config(data_dir, **{"data.allow_leaks": allow}), tmp_path / f"{allow}")


def test_training_believes_an_audit_of_these_records_only(leaking_dir, clean_dir, tmp_path):
    data_dir = tmp_path / "data"
    shutil.copytree(clean_dir, data_dir)
    dataset, leaking = open_dataset(data_dir), open_dataset(leaking_dir)
    audited = dataclasses.replace(audit.audit(leaking), dataset=dataset.digest)
    audited.write(dataset)
    with pytest.raises(ValueError, match="nearly the same pictures"):
        leaks.require_none(dataset)
    dataclasses.replace(audited, dataset="of others").write(dataset)
    leaks.require_none(dataset)
    (data_dir / "audit.json").write_text('{"dataset": ')
    with pytest.raises(ValueError, match=r"audit\.json is damaged: run dfjax audit"):
        leaks.require_none(dataset)


def test_look_alikes_are_candidates_and_no_reason_to_refuse():
    leak = leaks.Leak("same_face", {"train": "a#0#0", "test": "b#0#0"}, distance=0.5)
    findings = leaks.summarize(["pair", "same_face"], [leak] * 30)
    audited = leaks.Audit("", {}, {}, findings)
    assert [(each.kind, each.count, len(each.examples)) for each in audited.nonempty] == [
        ("same_face", 30, 20)
    ]
    assert audited.blocking == ()


@pytest.mark.skipif("DFJAX_TEST_DATA" not in os.environ, reason="needs real photographs")
@pytest.mark.parametrize("aligned", [True, False])
def test_one_person_in_two_splits_is_recognised(tmp_path, aligned):
    root = pathlib.Path(os.environ["DFJAX_TEST_DATA"], "studio")
    with (root / "manifest.csv").open(newline="") as file:
        photographs: dict[str, list[str]] = {}
        for row in csv.DictReader(file):
            photographs.setdefault(row["identity"], []).append(row["path"])
    twice = [name for name, paths in photographs.items() if len(paths) > 1][:1]
    once = [name for name, paths in photographs.items() if len(paths) == 1][:4]
    chosen = [(twice[0], "train", 0), (twice[0], "test", 1)]
    chosen += [(name, split, 0) for name, split in zip(once, ("train", "val") * 2, strict=True)]
    spec = CropSpec(size=128)
    finder = detect.FaceDetector(spec)
    crops = {}
    for name, split, number in chosen:
        frame = media_image.read_image(root / photographs[name][number])
        face = crop.cut_faces(frame, finder.detect(frame), spec)[0]
        landmarks = face.landmarks if aligned else None
        crops[clip(f"c/real/{name}_{number}", split)] = [record(face.image, 0, landmarks)]
    as_is = dataclasses.replace(SPEC, size=128)
    write(tmp_path, crops, dataclasses.replace(spec, encoding="png") if aligned else as_is)
    audited = audit.audit(open_dataset(tmp_path), compare_faces=True)
    assert found(audited) == {
        "same_face": [
            ("", {"train": f"c/real/{twice[0]}_0", "test": f"c/real/{twice[0]}_1"}),
        ]
    }
    assert audited.nonempty[0].examples[0].distance < detect.SAME_PERSON
