import dataclasses
import functools
import json

import pytest

from dfjax import run
from dfjax.data import builder
from dfjax.errors import UserError
from dfjax.run import Run
from tests import tiny_run


def begin(workdir, config):
    run.begin(workdir, config, builder.open_dataset(config.data.dir))
    return Run.open(workdir)


def test_a_workdir_keeps_to_one_run(prepared, tmp_path):
    config = tiny_run.make_config(prepared, **{"optimizer.lr": 0.1})
    for _ in range(2):  # the second time is a resume
        begin(tmp_path, config)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored.pop("format") == 2
    assert stored == json.loads(json.dumps(config.to_dict()))
    changed = tiny_run.make_config(prepared, **{"optimizer.lr": 0.2})
    with pytest.raises(UserError, match=r"another run: optimizer\.lr was 0\.1, is 0\.2: use"):
        begin(tmp_path, changed)
    spec = json.loads((tmp_path / "crop_spec.json").read_text())
    (tmp_path / "crop_spec.json").write_text(json.dumps({**spec, "size": 128}))
    with pytest.raises(UserError, match="size was 128, is 40"):
        begin(tmp_path, config)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("data.num_workers", 2),
        ("data.prefetch", 1),
        ("data.test_split", "val"),
        ("compile_cache", ""),
        ("log_every", 1),
        ("checkpoint_every", 2),
        ("keep_checkpoints", 5),
        ("eval.batch_size", 16),
    ],
)
def test_what_changes_no_weight_may_change_on_resume_and_is_noted(prepared, tmp_path, field, value):
    begin(tmp_path, tiny_run.make_config(prepared))
    begin(tmp_path, tiny_run.make_config(prepared, **{field: value}))
    stored = Run.open(tmp_path).config
    assert functools.reduce(getattr, field.split("."), stored) == value


@pytest.mark.parametrize("field", ["seed", "batch_size", "num_steps", "ema_decay", "loss"])
def test_what_changes_a_weight_is_refused_on_resume(prepared, tmp_path, field):
    config = tiny_run.make_config(prepared)
    begin(tmp_path, config)
    (tmp_path / "config.json").write_text(
        json.dumps({**json.loads((tmp_path / "config.json").read_text()), field: "other"})
    )
    with pytest.raises(UserError, match=f"{field} was 'other'"):
        begin(tmp_path, config)


def test_other_records_are_refused_on_resume(prepared, tmp_path):
    config = tiny_run.make_config(prepared)
    begin(tmp_path, config)
    note = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps({**note, "digest": "0" * 32}))
    with pytest.raises(UserError, match="holds other records than it was trained on"):
        begin(tmp_path, config)


def test_further_data_that_changed_are_refused_on_resume(prepared, tmp_path):
    config, dataset = tiny_run.make_config(prepared), builder.open_dataset(prepared)
    further = [dataclasses.replace(dataset, path="more", digest="1" * 32)]
    for _ in range(2):
        run.begin(tmp_path, config, dataset, further)
    further = [dataclasses.replace(further[0], digest="2" * 32)]
    with pytest.raises(UserError, match="more holds other records than it was trained on"):
        run.begin(tmp_path, config, dataset, further)


def test_a_run_knows_its_further_data(prepared, tmp_path):
    more = {"data.more": ((f"{prepared}:val", 0.5), (f"{prepared}:test", 1.0))}
    begin(tmp_path, tiny_run.make_config(prepared, **more))
    found = Run.open(tmp_path).training
    splits = ("train", "val", "test")
    assert found.splits == tuple((builder.open_dataset(prepared), split) for split in splits)
    assert found.weights == (1.0, 0.5, 1.0)
    stored = json.loads((tmp_path / "config.json").read_text())
    stored["data"]["more"] = [["gone:train", 1.0]]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    with pytest.raises(UserError, match=r"was trained on data\.more: gone holds no prepared data"):
        _ = Run.open(tmp_path).training


def test_data_are_found_from_any_folder(prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(prepared.parent)
    begin(tmp_path, tiny_run.make_config(prepared.name))
    monkeypatch.chdir(tmp_path)
    assert len(Run.open(tmp_path).dataset.records("train")) == 24
    note = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps({**note, "path": "/gone"}))
    with pytest.raises(UserError, match=f"/gone and {prepared.name}, which .* is gone: prepare"):
        _ = Run.open(tmp_path).dataset


def test_a_folder_without_a_run_says_so(tmp_path):
    with pytest.raises(UserError, match=r"holds no run \(config\.json is missing\): train first"):
        Run.open(tmp_path)
