"""`dfjax verify`, and what opening data sees without it."""

import pathlib
import shutil

import pytest

from dfjax import checksums, cli
from dfjax.data import builder
from dfjax.errors import UserError


@pytest.fixture
def data(prepared, tmp_path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(prepared, tmp_path / "data"))


def _shard(data: pathlib.Path) -> pathlib.Path:
    (shard,) = builder.dataset_dir(data).glob("*-train.array_record*")
    return shard


def _pad(path: pathlib.Path, num_bytes: int) -> None:
    """Makes a shard as large as those of a large corpus, whose middle no quick look sees."""
    path.write_bytes(path.read_bytes() + bytes(num_bytes))


def test_what_was_written_is_found_whole(data, capsys):
    assert cli.main(["verify", str(data)]) == 0
    assert f"{data}: 9 files, all as they were written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda shard: shard.write_bytes(shard.read_bytes()[:1_000]), "has 1,000 of [0-9,]+ bytes"),
        (lambda shard: shard.write_bytes(bytes(shard.stat().st_size)), "begins or ends otherwise"),
        (lambda shard: shard.unlink(), "cannot be read"),
    ],
)
def test_a_shard_that_was_cut_or_replaced_is_named_before_the_first_step(data, damage, message):
    damage(_shard(data))
    with pytest.raises(UserError, match=rf"train.array_record.*{message}.*restore it from a copy"):
        builder.open_dataset(data)


def test_a_flipped_bit_is_found_and_everything_else_is_still_read(data, capsys):
    folder = builder.dataset_dir(data)
    shard = _shard(data)
    _pad(shard, 2**20)
    checksums.write(folder)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    (folder / "labels.npz").unlink()
    assert cli.main(["verify", str(data)]) == 1
    printed = capsys.readouterr()
    assert f"{shard} is damaged: its SHA-256 is not that of what was written" in printed.err
    assert f"{folder / 'labels.npz'} cannot be read" in printed.err
    assert "9 files, 2 damaged" in printed.out


def test_checkpoints_of_a_run_are_compared(run, tmp_path, capsys):
    workdir = shutil.copytree(run, tmp_path / "run")
    assert cli.main(["verify", str(workdir)]) == 0
    (file, *_) = (workdir / "checkpoints").glob("*/state/ocdbt.process_0/d/*")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert cli.main(["verify", str(workdir)]) == 1
    assert f"{file} is damaged" in capsys.readouterr().err


def test_what_cannot_be_compared_is_refused(data, tmp_path, capsys):
    (builder.dataset_dir(data) / "checksums.json").unlink()
    assert cli.main(["verify", str(data)]) == 2
    assert "an earlier version prepared it" in capsys.readouterr().err
    builder.open_dataset(data)
    assert cli.main(["verify", str(tmp_path / "nothing")]) == 2
    assert "holds no prepared dataset" in capsys.readouterr().err
