"""A folder says what it lacks before anything is written into it for hours."""

import os
import shutil

import pytest

from dfjax import files
from dfjax.errors import UserError


def test_a_check_leaves_everything_as_it_was(tmp_path):
    (tmp_path / "a").mkdir()
    files.require_writable(tmp_path / "a")
    files.require_writable(tmp_path / "b" / "c")
    files.require_replaceable(tmp_path / "d" / "weights.safetensors")
    files.require_space(tmp_path / "e", 1, "two checkpoints")
    assert os.listdir(tmp_path) == ["a"]
    assert os.listdir(tmp_path / "a") == []


def test_what_takes_no_file_is_refused_with_the_reason(tmp_path):
    (tmp_path / "file").touch()
    for path, message in [
        (tmp_path / "file", "file is a file: give a folder"),
        (tmp_path / "file" / "run", r"run cannot be written to \(Not a directory\): give a folder"),
        ("/proc/run", r"/proc/run cannot be written to \("),
    ]:
        with pytest.raises(UserError, match=message):
            files.require_writable(path)
    with pytest.raises(UserError, match="is a folder: give a file"):
        files.require_replaceable(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_another_user_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match=r"cannot be written to \(Permission denied\)"):
        files.require_writable(tmp_path)


def test_room_that_is_not_there_is_refused_with_both_figures(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    files.require_space(tmp_path, free // 2, "two checkpoints")
    message = (
        rf"^two checkpoints take [\d,]+\.\d GiB, and the disk of {tmp_path} has [\d,.]+ [GM]iB"
    )
    with pytest.raises(UserError, match=message):
        files.require_space(tmp_path, free + 2**40, "two checkpoints")
