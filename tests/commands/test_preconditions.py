"""What would end a command late ends it at once: in one line, and before any work."""

import pytest

from dfjax import cli


@pytest.fixture
def refused(capsys):
    """A function from a command line that is refused to the line that says why."""

    def refused(*arguments: object) -> str:
        capsys.readouterr()
        assert cli.main([*map(str, arguments)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        return printed.err

    return refused


def test_an_output_that_cannot_be_written_is_named_before_any_input(
    refused, prepared, run, tmp_path
):
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "out"
    message = f"{tmp_path / 'file'} is a file: give a folder"
    for command in (
        ("predict", "--model", "nowhere", "--out", tmp_path / "file", "x.png"),
        ("prepare", "--corpus", "folder", "--root", "nowhere", "--out", tmp_path / "file"),
        ("export", "--model", "nowhere", "--out", below),
        ("evaluate", "--model", "nowhere", "--data", "a:b", "--out", tmp_path / "file"),
        ("evaluate", "--model", run, "--out", tmp_path / "file"),
        ("audit", prepared, "--out", below),
        ("convert-weights", "nowhere", "--model", "resnet18", "--out", below),
    ):
        assert message in refused(*command), command
    assert "is a folder: give a file" in refused("audit", prepared, "--out", tmp_path)


def test_crops_that_no_disk_has_room_for_are_refused_before_the_first(refused, clip, tmp_path):
    (tmp_path / "mine" / "real").mkdir(parents=True)
    (tmp_path / "mine" / "fake").mkdir()
    (tmp_path / "mine" / "real" / "a.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "mine" / "fake" / "b.mp4").write_bytes(clip.read_bytes() + b"\0")
    command = (
        "prepare",
        "--corpus",
        "folder",
        "--root",
        tmp_path / "mine",
        "--out",
        tmp_path / "out",
    )
    # 2 clips of 10^9 frames of 256x256 pixels of 0.15 bytes, in the work folder and the dataset.
    message = "the crops of 2 clips, twice, take 36,621.1 GiB, and the disk of"
    assert message in refused(*command, "--frames", 10**9, "--size", 256, "--crops", "as-is")
    assert not list((tmp_path / "out").rglob("errors.jsonl"))
