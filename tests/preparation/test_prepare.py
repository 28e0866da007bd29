import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest

from dfjax import cli
from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.data import builder
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image as media_image
from dfjax.media import video as media_video
from tests import preparing
from tests.preparing import command, digests, errors

SIZE = 32
AS_IS = ["--crops", "as-is", "--size", f"{SIZE}", "--encoding", "png", "--frames", "3"]


def noise(seed: int, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


def write_picture(path: pathlib.Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(media_image.encode_image(picture, "png"))


def write_corpus(root: pathlib.Path, count: int = 10) -> dict[str, np.ndarray]:
    """Writes `count` noise pictures of each class; returns them by the clips' keys."""
    pictures = {}
    for label, tree in enumerate(("real", "fake")):
        for number in range(count):
            path = f"{tree}/{label}_{number}.png"
            pictures[f"{root.name}/{tree}/{path}"] = noise(2 * number + label)
            write_picture(root / path, noise(2 * number + label))
    return pictures


def run(root: pathlib.Path, out: pathlib.Path, *options: str) -> int:
    return cli.main(command(root, out, *AS_IS, *options))


def records(out: pathlib.Path) -> dict[str, dict]:
    """All records by clip and frame."""
    dataset = builder.open_dataset(out)
    sources = [dataset.records(split) for split in dataset.splits]
    rows = [source[index] for source in sources for index in range(len(source))]
    found = {f"{row['clip']}#{row['frame']}": row for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus") / "noise"
    return root, write_corpus(root)


@pytest.fixture(scope="module")
def prepared(corpus, tmp_path_factory):
    """The corpus, prepared by one process without interruption."""
    out = tmp_path_factory.mktemp("prepared")
    assert run(corpus[0], out, "--jobs", "1") == 0
    return out


def test_crops_as_is_of_the_right_size_are_the_pictures_themselves(corpus, prepared):
    found = records(prepared)
    assert {key.removesuffix("#0") for key in found} == set(corpus[1])
    for key, picture in corpus[1].items():
        record = found[f"{key}#0"]
        np.testing.assert_array_equal(media_image.decode_image(record["image"]), picture)
        assert record["label"] == (record["method"] == "fake") == ("/fake/" in key)
    assert errors(prepared) == []
    made = ["audit.json", "dataset_card.html", "dataset_card.json", "errors.jsonl", "face_crops"]
    assert sorted(path.name for path in prepared.iterdir()) == made


def test_the_metadata_say_how_the_crops_were_made(prepared):
    dataset = builder.open_dataset(prepared)
    assert dataset.crop_spec == CropSpec(
        crops="as-is", detector="none", landmarks=0, size=SIZE, encoding="png"
    )
    metadata = dataset.metadata
    assert (metadata["corpus"], metadata["frames"]) == ("noise", 3)
    assert (metadata["seed"], metadata["synthetic"]) == (0, False)
    assert metadata["versions"]["av"][0].isdigit()
    assert metadata["coverage"]["train"]["fake"] == {
        "clips": 8,
        "failed": 0,
        "no_face": 0,
        "damaged": 0,
        "frames": 8,
        "frames_with_face": 8,
        "crops": 8,
    }


def test_another_run_with_more_processes_writes_the_same_bytes(corpus, prepared, tmp_path):
    # A process of its own, because protobuf may order fields differently in each process.
    arguments = command(corpus[0], tmp_path, *AS_IS, "--jobs", "2")
    subprocess.run([sys.executable, "-m", "dfjax.cli", *arguments], check=True)
    assert digests(tmp_path) == digests(prepared)


def test_a_run_stopped_at_any_moment_continues_and_ends_with_the_same_bytes(tmp_path):
    root, out = tmp_path / "videos", tmp_path / "out"
    broken = preparing.write_videos(root, count=40)
    arguments = command(root, out, "--frames", "3", "--size", "64", "--jobs", "2")
    at_once = command(root, tmp_path / "at_once", "--frames", "3", "--size", "64", "--jobs", "1")
    assert cli.main(at_once) == 0

    interrupted = preparing.start(arguments)
    preparing.wait_for(interrupted, out, finished=2)
    os.killpg(interrupted.pid, signal.SIGINT)
    _, output = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert output == "dfjax: interrupted: the same command continues\n"

    orphaning = preparing.start(arguments)
    preparing.wait_for(orphaning, out, finished=preparing.num_finished(out) + 2)
    orphaning.kill()
    orphaning.communicate(timeout=60)  # its workers hold the pipe: they have ended as well

    rng = np.random.default_rng(0)
    done = preparing.spoil_finished(root, out)
    num_good = 40 - len(broken)
    for share in rng.uniform(0, 0.3, size=5):  # of what is left
        killed = preparing.start(arguments)
        preparing.wait_for(killed, out, finished=done + round(share * (num_good - done)))
        time.sleep(rng.uniform(0, 0.05))
        preparing.kill_all(killed)
        assert not builder.dataset_dir(out).exists()
        done = preparing.spoil_finished(root, out)
        assert preparing.num_finished(out) == done  # none twice

    assert 5 < done < num_good
    assert cli.main(arguments) == 0
    assert digests(out) == digests(tmp_path / "at_once")
    assert sorted(row["path"] for row in errors(out)) == broken
    assert errors(out) == errors(tmp_path / "at_once")
    assert not (out / "work").exists()


def test_a_finished_dataset_is_left_alone_until_clips_or_settings_change(corpus, tmp_path, capsys):
    root, out = tmp_path / "noise", tmp_path / "out"
    shutil.copytree(corpus[0], root)
    assert run(root, out) == 0
    capsys.readouterr()
    written = digests(out)
    assert run(root, out) == 0
    assert "complete since an earlier run" in capsys.readouterr().out

    assert run(root, out, "--frames", "9", "--size", "48") == 2
    assert "made with frames 3 instead of 9, size 32 instead of 48:" in capsys.readouterr().err

    write_picture(root / "real" / "new.png", noise(99))
    assert run(root, out) == 2
    assert "clips '20 clips, sha256" in capsys.readouterr().err
    assert digests(out) == written
    assert run(root, out, "--overwrite") == 0
    assert "noise/real/real/new.png#0" in records(out)


def test_unfinished_work_of_other_settings_is_not_mixed_in(corpus, tmp_path, capsys):
    (tmp_path / "work").mkdir()
    settings = {
        "crop_spec": CropSpec().to_json(),
        "frames": 3,
        "versions": {},
    }
    (tmp_path / "work" / "settings.json").write_text(json.dumps(settings))
    assert run(corpus[0], tmp_path) == 2
    assert "crops 'align' instead of 'as-is'" in capsys.readouterr().err
    assert run(corpus[0], tmp_path, "--overwrite") == 0


def lying_png(width: int, height: int) -> bytes:
    """A few bytes whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


def test_bad_files_are_rows_and_the_rest_is_done(tmp_path, capsys):
    root, out = tmp_path / "mixed", tmp_path / "out"
    good = write_corpus(root, count=4)
    media_video.write_video(
        root / "fake" / "good.mp4", [noise(i) for i in range(5)], fps=25, crf=10
    )
    whole = (root / "fake" / "good.mp4").read_bytes()
    bad = {
        "real/text.mp4": (b"this is no video", "unsupported"),
        "fake/truncated.mp4": (whole[: len(whole) // 2], "corrupt"),
        "real/zero.png": (b"", "empty"),
        "fake/zero.mp4": (b"", "empty"),
        "real/huge.png": (lying_png(30_000, 30_000), "too_large"),
        "fake/cut.png": ((root / "real" / "0_0.png").read_bytes()[:999], "corrupt"),
    }
    for path, (data, _) in bad.items():
        (root / path).write_bytes(data)
    for _ in range(2):
        assert run(root, out, "--jobs", "2") == 0
        assert {(row["path"], row["code"]) for row in errors(out)} == {
            (f"{root}/{path}", code) for path, (_, code) in bad.items()
        }
        assert len(errors(out)) == len(bad)
        assert all("\n" not in row["message"] and row["message"] for row in errors(out))
        printed = capsys.readouterr().out
        assert f"6 clips gave no crop: see {out}/errors.jsonl" in printed
    video = "mixed/fake/fake/good.mp4"
    keys = {f"{key}#0" for key in good} | {f"{video}#{frame}" for frame in (0, 2, 4)}
    assert set(records(out)) == keys


def test_missing_files_are_rows_and_one_class_is_a_warning(tmp_path, capsys):
    root, out = tmp_path / "half", tmp_path / "out"
    write_corpus(root, count=2)
    rows = ["real/0_0.png,real", "real/0_1.png,real", "real/absent.png,real"]
    lines = ["path,label,split", *(f"{row},test" for row in rows)]
    (root / "manifest.csv").write_text("\n".join(lines))
    assert run(root, out) == 0
    assert [(row["key"], row["code"]) for row in errors(out)] == [
        ("half/real/real/absent.png", "unreadable")
    ]
    assert "warning: test has no fake crop" in capsys.readouterr().out
    assert len(records(out)) == 2


def test_faces_are_found_and_where_there_is_none_a_row_says_so(tmp_path, capsys):
    root, out = tmp_path / "portraits", tmp_path / "out"
    settings = synthetic.Settings(identities=12, frames=3)
    frames = synthetic.film(settings, 0, 0).frames
    root.mkdir()
    write_picture(root / "face.png", frames[0])
    write_picture(root / "noise.png", noise(0, 96))
    media_video.write_video(root / "face.mp4", frames, fps=25, crf=18)
    media_video.write_video(root / "noise.mp4", [noise(i, 96) for i in range(3)], fps=25, crf=18)
    rows = [f"{name},real,test" for name in ("face.png", "noise.png", "face.mp4", "noise.mp4")]
    (root / "manifest.csv").write_text("\n".join(["path,label,split", *rows]))
    assert cli.main(command(root, out, "--size", "64")) == 0
    assert {(row["key"], row["code"]) for row in errors(out)} == {
        ("portraits/real/noise.png", "no_face"),
        ("portraits/real/noise.mp4", "no_face"),
    }
    found = records(out)
    assert "portraits/real/face.png#0" in found
    for record in found.values():
        assert media_image.decode_image(record["image"]).shape == (64, 64, 3)
        # The template puts the eye centres here.
        eyes = [record["landmarks"][2:4].mean(0) / 64, record["landmarks"][:2].mean(0) / 64]
        np.testing.assert_allclose(eyes, [[0.3784, 0.4704], [0.6204, 0.4691]], atol=0.02)
    times = {record["frame"]: record["time"] for key, record in found.items() if ".mp4" in key}
    assert times == pytest.approx({number: number / 25 for number in range(3)})
    counts = builder.open_dataset(out).metadata["coverage"]["test"]["real"]
    assert (counts["clips"], counts["no_face"], counts["frames"]) == (4, 2, 8)
    assert counts["frames_with_face"] == counts["crops"] == len(found)


def test_nothing_usable_is_exit_status_1(tmp_path, capsys):
    (tmp_path / "corpus" / "real").mkdir(parents=True)
    (tmp_path / "corpus" / "real" / "zero.png").touch()
    assert run(tmp_path / "corpus", tmp_path / "out") == 1
    assert "no clip gave a crop" in capsys.readouterr().out
    assert [row["code"] for row in errors(tmp_path / "out")] == ["empty"]
    assert not builder.dataset_dir(tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--corpus", "celebrities"], "unknown corpus 'celebrities': choose one of celebdf_pp"),
        (["--corpus", "folder", "--pipeline-options", "streaming"], "add --runner NAME"),
        (["--corpus", "folder"], "corpus folder needs --root DIR"),
        (["--corpus", "folder", "--root", "{tmp_path}"], "neither manifest.csv nor a folder real"),
        (
            ["--corpus", "folder", "--root", "{tmp_path}", "--crops", "as-is", "--detector", "hog"],
            "--crops as-is detects no faces: leave --detector out",
        ),
    ],
)
def test_wrong_input_is_one_line_and_exit_status_2(tmp_path, capsys, arguments, message):
    arguments = [argument.format(tmp_path=tmp_path) for argument in arguments]
    assert cli.main(["prepare", "--out", str(tmp_path / "out"), *arguments]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("dfjax: error: ")
    assert message in printed
    assert printed.count("\n") == 1
    assert not (tmp_path / "out").exists()
