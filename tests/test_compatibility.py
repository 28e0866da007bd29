"""What an earlier version wrote is read, with the same scores, or refused with what to do.

The examples are made by tests/stored/make.py.
"""

import json
import pathlib
import re
import tarfile

import numpy as np
import pytest

from dfjax import compatibility, evaluate, model_card, run
from dfjax.data import builder
from dfjax.errors import UserError
from dfjax.export import export
from dfjax.inference import manifest, scorer
from dfjax.run import Run
from tests.stored import make

pytestmark = pytest.mark.usefixtures("quick_compilation")

RUN = pathlib.Path(make.RUN)
METADATA = f"{make.DATASET}/face_crops/1.0.0/metadata.json"
# Where each kind has its number, and how it is opened.
KINDS = {
    METADATA: lambda: builder.open_dataset(make.DATASET),
    f"{make.RUN}/config.json": lambda: Run.open(RUN),
    f"{make.EXPORT}/export.json": lambda: scorer.load(make.EXPORT),
}
every_kind = pytest.mark.parametrize("file", KINDS)


@pytest.fixture(autouse=True)
def stored(tmp_path, monkeypatch):
    """The examples, to be spoiled, in the current directory."""
    with tarfile.open(make.ARCHIVE) as archive:
        # Python 3.11 has the filter since 3.11.4.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(tmp_path, **safe)
    monkeypatch.chdir(tmp_path)


def edit(file: str, change) -> None:
    """Applies a function to the object in a JSON file."""
    path = pathlib.Path(file)
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))
    if path == pathlib.Path(make.EXPORT, model_card.FILE):
        report = pathlib.Path(make.EXPORT, manifest.FILE)
        manifest.write(report.parent, json.loads(report.read_text()))


def test_a_stored_dataset_opens():
    dataset = builder.open_dataset(make.DATASET)
    assert dataset.metadata["format"] == compatibility.DATASET.current
    assert (dataset.crop_spec.crops, dataset.crop_spec.size) == ("as-is", 32)
    assert not dataset.boxes_from_original
    index = dataset.index("val")  # made of the records: the example is from before its file
    assert index.clips[index.clip].tolist() == dataset.column("val", "clip").tolist()
    assert index.partner.tolist() == [-1] * 4
    assert sorted(dataset.column("val", "label")) == [0, 0, 1, 1]
    assert make.crops().shape == (4, 32, 32, 3)


def test_a_card_of_before_pooling_is_one_of_the_mean():
    assert model_card.read(make.EXPORT).pooling == "mean"
    edit(
        f"{make.EXPORT}/{model_card.FILE}", lambda fields: fields.update(pooling="median", format=3)
    )
    with pytest.raises(UserError, match="pooling 'median': choose one of mean"):
        model_card.read(make.EXPORT)


def test_a_stored_run_and_its_export_score_as_they_did():
    variables, step = Run.open(RUN).variables()
    assert (sorted(variables), step) == (["batch_stats", "params"], 4)
    expected = json.loads(pathlib.Path(make.SCORES).read_text())
    assert np.ptp(expected) > 0.01  # scores that do not differ would prove nothing
    for path, runtime in ((make.RUN, "flax"), (make.EXPORT, "onnx")):
        scores = scorer.load(path, runtime).scores(make.crops())
        np.testing.assert_allclose(scores, expected, atol=1e-4, err_msg=path)


@every_kind
def test_a_newer_format_is_refused_in_one_line(file):
    edit(file, lambda fields: fields.update(format=99))
    with pytest.raises(
        ValueError,
        match="of format 99, and this version of dfjax reads 2: install a newer dfjax, or ",
    ) as error:
        KINDS[file]()
    assert str(error.value).startswith(f"{pathlib.Path(file).parts[0]} is a")
    assert "\n" not in str(error.value)


@every_kind
def test_without_a_number_it_is_of_format_0_and_refused(file):
    edit(file, lambda fields: fields.pop("format"))
    with pytest.raises(ValueError, match="of format 0, and this version of dfjax reads 2: "):
        KINDS[file]()


@every_kind
def test_a_damaged_number_or_file_says_what_to_do(file):
    remedy = "(prepare it again|train it again|export the run again)"
    for damaged in ("1", 1.0, -1, True):
        edit(file, lambda fields, damaged=damaged: fields.update(format=damaged))
        with pytest.raises(ValueError, match=rf"format is {damaged!r}, not a number\): {remedy}"):
            KINDS[file]()
    pathlib.Path(file).write_text('{"format": ')
    with pytest.raises(ValueError, match=rf"cannot read \({pathlib.Path(file).name}: .*{remedy}"):
        KINDS[file]()


def test_a_format_that_is_no_longer_read_asks_for_no_newer_version():
    later = compatibility.Format("thing", (1, 2), "make it again")
    assert later.current == later.require(2, "here") == 2
    message = (
        "^here is a thing of format 0, and this version of dfjax reads 1 and 2: make it again$"
    )
    with pytest.raises(ValueError, match=message):
        later.require(None, "here")


@pytest.mark.parametrize("folder", [make.RUN, make.EXPORT])
def test_a_model_card_of_another_format_is_refused(folder):
    file = f"{folder}/model_card.json"
    for number, found in ((None, 0), (99, 99)):
        edit(file, lambda fields, number=number: fields.update(format=number))
        message = rf"^{file} is a model card of format {found}, .* reads 2 and 3: .*evaluate the"
        with pytest.raises(ValueError, match=message):
            scorer.load(folder)
    edit(file, lambda fields: fields.update(format=2, decisions={"frame": {"threshold": 0.5}}))
    with pytest.raises(ValueError, match=r"cannot read \(.*limits.*\): evaluate the run again"):
        scorer.load(folder)


def test_an_unknown_field_is_refused_by_name():
    def add_to_spec(fields):
        fields["crop_spec"]["warp"] = "cubic"

    edit(METADATA, add_to_spec)
    message = r"prepared dataset .* cannot read \(.*\['warp'\]\): prepare it again"
    with pytest.raises(ValueError, match=message):
        _ = builder.open_dataset(make.DATASET).crop_spec
    edit(f"{make.RUN}/crop_spec.json", lambda fields: fields.update(warp="cubic"))
    message = r"^run is a run .* cannot read \(crop_spec.json: .*\['warp'\]\): train it again"
    with pytest.raises(ValueError, match=message):
        Run.open(RUN)
    edit(f"{make.RUN}/crop_spec.json", lambda fields: fields.pop("warp"))
    edit(f"{make.RUN}/config.json", lambda fields: fields["model"].update(warp="cubic"))
    with pytest.raises(ValueError, match="resnet18 has no setting warp"):
        scorer.load(make.RUN)
    edit(f"{make.EXPORT}/model_card.json", lambda fields: fields.update(warp="cubic"))
    with pytest.raises(ValueError, match=r"cannot read \(it lacks or has in excess \['warp'\]\)"):
        scorer.load(make.EXPORT)


def test_preparing_again_replaces_a_dataset_that_is_not_read():
    edit(METADATA, lambda fields: fields.update(format=99))
    with pytest.raises(ValueError, match="prepare it again"):
        make.make_dataset()
    make.make_dataset(overwrite=True)
    assert len(make.crops()) == 4


def test_a_run_from_before_fields_of_the_config_is_judged_and_exported():
    """All that a run needs to have said is the list in `checkpoint`."""

    def strip(fields):
        for name in set(fields) - {"format", "seed", "select_by", "model", "data"}:
            del fields[name]
        for name in ("zero_init_residual", "norm_epsilon", "dtype"):
            del fields["model"][name]
        del fields["data"]["allow_leaks"]

    edit(f"{make.RUN}/config.json", strip)
    assert set(Run.open(RUN).config) == {"seed", "select_by", "model", "data"}
    evaluate.evaluate(make.make_config(), RUN)
    export.export(RUN, "again", ["onnx"])
    expected = json.loads(pathlib.Path(make.SCORES).read_text())
    np.testing.assert_allclose(scorer.load("again").scores(make.crops()), expected, atol=1e-4)


@pytest.mark.parametrize("field", run.REQUIRED_FIELDS)
def test_a_run_that_lacks_what_judging_needs_is_refused_by_name(field):
    def remove(fields):
        *groups, name = field.split(".")
        del (fields[groups[0]] if groups else fields)[name]

    edit(f"{make.RUN}/config.json", remove)
    message = rf"^run is a run .* \(config.json lacks {re.escape(field)}\): train it again"
    with pytest.raises(ValueError, match=message):
        Run.open(RUN)


def test_a_run_from_before_a_field_is_resumed_only_where_that_is_none():
    config, dataset = make.make_config(), builder.open_dataset(make.DATASET)
    edit(f"{make.RUN}/config.json", lambda fields: fields.update(config.to_dict()))
    run.begin(RUN, config, dataset)
    edit(f"{make.RUN}/config.json", lambda fields: fields["model"].pop("remat"))
    run.begin(RUN, config, dataset)
    edit(f"{make.RUN}/config.json", lambda fields: fields["augment"].pop("blur"))
    message = r"augment\.blur was not a field, is 0\.1: use a new --workdir \(init_from=run"
    with pytest.raises(UserError, match=message):
        run.begin(RUN, config, dataset)
