"""A run whose data and workdir are in a store: killed, on another machine, and beside a second."""

import json
import os
import pathlib
import shutil
import signal
import time

import numpy as np
import pytest

from dfjax import checksums
from dfjax.buckets import data as bucket_data
from dfjax.buckets import store, workdir
from dfjax.data import builder
from dfjax.errors import InUseError, UserError
from tests import runs


@pytest.fixture
def data(bucket, prepared) -> str:
    """The URL of the prepared pictures, as `dfjax prepare --out` leaves them."""
    publication = bucket_data.Publication(f"{bucket}/data", builder.BELOW.as_posix())
    publication.path.parent.mkdir(parents=True)
    publication.path.symlink_to(prepared)
    publication.finish()
    return f"{bucket}/data"


def _finished(folder: store.Folder) -> list[str]:
    return [name for name in folder.sizes("checkpoints") if name.endswith("/checksums.json")]


def test_a_run_in_a_store_goes_on_on_another_machine_bit_identically(
    prepared, data, bucket, tmp_path, other_machine
):
    here, url = tmp_path / "here", f"{bucket}/run"
    runs.run(prepared, here)
    there = store.Folder(url)
    process = runs.start(runs.command(data, url))
    deadline = time.monotonic() + 240
    while not _finished(there):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    other_machine()
    refused = runs.run(data, url, status=InUseError.status)  # the dead run holds its lease yet
    assert f"{url} is in use by another run (process {process.pid} on" in refused
    there.remove(workdir.LEASE)
    output = runs.run(data, url)
    assert "resuming" in output
    assert workdir.LEASE not in there.sizes()

    other_machine()
    copy = pathlib.Path(workdir.fetched(url))
    config = runs.config(prepared)
    expected, found = runs.state(here, config), runs.state(copy, config)
    for leaf in expected:
        np.testing.assert_array_equal(found[leaf], expected[leaf], err_msg=leaf)
    assert runs.metrics(copy) == runs.metrics(here)
    reports = [json.loads((each / "eval" / "report.json").read_text()) for each in (copy, here)]
    assert reports[0]["datasets"][0]["levels"] == reports[1]["datasets"][0]["levels"]
    assert reports[0]["datasets"][0]["name"] == f"{data}:test"
    kept = {name.split("/")[1] for name in there.sizes("checkpoints")}
    assert kept == {path.name for path in (copy / "checkpoints").iterdir()}


@pytest.mark.long
def test_two_machines_share_no_disk_and_go_on_together(prepared, data, bucket, tmp_path):
    url = f"{bucket}/run"

    def train() -> list[str]:
        def machine(index: int) -> dict[str, str]:
            return {store.CACHE: str(tmp_path / f"machine{index}")}

        processes = runs.start_together(data, url, count=2, devices=1, each=machine)
        try:
            return [runs.finish(process) for process in processes]
        finally:
            runs.kill(processes)

    def state() -> dict[str, np.ndarray]:
        return runs.state(pathlib.Path(workdir.fetched(url)), runs.config(prepared))

    train()
    assert not list((tmp_path / "machine1").rglob("checkpoints"))
    expected = state()
    store.Folder(url).remove(f"checkpoints/{runs.STEPS}")
    shutil.rmtree(tmp_path / "machine0")  # lost with its disk
    assert any("resuming" in output for output in train())
    found = state()
    for leaf in expected:
        np.testing.assert_array_equal(found[leaf], expected[leaf], err_msg=leaf)
    assert "eval/report.json" in store.Folder(url).sizes()


def _local_run(folder: pathlib.Path, *steps: int) -> None:
    for step in steps:
        file = folder / "checkpoints" / str(step) / "state" / "data"
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes(1_000 + step))
        checksums.write(folder / "checkpoints" / str(step))
    (folder / "config.json").write_text("{}")


def test_checkpoints_count_once_all_of_them_is_there(bucket, other_machine):
    url = f"{bucket}/run"
    with workdir.opened(url) as opened:
        _local_run(opened.path, 4, 8)
    there = store.Folder(url)
    there.remove("checkpoints/8/checksums.json")  # as if the copying had not come to its end
    other_machine()
    with workdir.opened(url) as opened:
        assert sorted(path.name for path in (opened.path / "checkpoints").iterdir()) == ["4"]
    assert {name.split("/")[1] for name in there.sizes("checkpoints")} == {"4"}


def test_a_corrupted_object_sets_its_checkpoint_aside(bucket, other_machine, capsys):
    url = f"{bucket}/run"
    with workdir.opened(url) as opened:
        _local_run(opened.path, 4, 8)
    there = store.Folder(url)
    there.write("checkpoints/8/state/data", bytes(1_007) + b"1")
    other_machine()
    with workdir.opened(url) as opened:
        assert [path.name for path in (opened.path / "checkpoints").iterdir()] == ["4"]
    assert "checkpoints/8/state/data is damaged" in capsys.readouterr().err
    assert there.sizes("damaged_checkpoints")
    assert {name.split("/")[1] for name in there.sizes("checkpoints")} == {"4"}


def test_what_could_not_be_copied_is_gone_on_with_here(bucket, monkeypatch):
    url = f"{bucket}/run"
    with workdir.opened(url) as opened:
        _local_run(opened.path, 4)

    def put(self, path, name):
        raise UserError("cannot write")

    monkeypatch.setattr(store.Folder, "put", put)
    message = r"everything is in .*, and the same command on this machine"
    with pytest.raises(UserError, match=message), workdir.opened(url) as opened:
        _local_run(opened.path, 8)


def test_what_is_deleted_here_is_deleted_there(bucket):
    url = f"{bucket}/run"
    with workdir.opened(url) as opened:
        _local_run(opened.path, 4, 8)
    with workdir.opened(url) as opened:
        shutil.rmtree(opened.path / "checkpoints" / "4")
    assert {name.split("/")[1] for name in store.Folder(url).sizes("checkpoints")} == {"8"}


def test_a_folder_stays_the_folder(tmp_path):
    with workdir.opened(tmp_path) as opened:
        assert opened.path == tmp_path
    assert workdir.fetched(tmp_path) == str(tmp_path)


def test_one_run_at_a_time_and_a_dead_one_holds_it_for_a_while(bucket, monkeypatch):
    url = f"{bucket}/run"
    with workdir.opened(url):
        message = f"in use by another run .process {os.getpid()} on"
        with pytest.raises(InUseError, match=message), workdir.opened(url):
            pass
        lease = json.loads(store.Folder(url).read(workdir.LEASE))
        lease["renewed"] -= workdir.LEASE_SECONDS + 1
        store.Folder(url).write(workdir.LEASE, json.dumps(lease).encode())
        with workdir.opened(url):
            pass
