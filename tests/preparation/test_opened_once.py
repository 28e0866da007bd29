"""A command opens a dataset once and hashes it once, whatever it does with it."""

import collections
import shutil

import pytest

from dfjax import cli, train
from dfjax.data import builder
from tests import preparing, tiny_run
from tests.preparation.test_prepare import AS_IS, write_corpus


@pytest.fixture
def calls(monkeypatch):
    """How often a dataset was opened and hashed since `calls.clear()`."""
    counts = collections.Counter()

    def count(owner, name):
        function = getattr(owner, name)

        def counted(*arguments, **options):
            counts[name] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(owner, name, counted)

    count(builder, "open_dataset")
    count(builder, "_digest")
    count(builder.tfds, "builder_from_directory")
    return counts


ONCE = {"open_dataset": 1, "_digest": 1, "builder_from_directory": 1}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus") / "noise"
    write_corpus(root)
    return root


def test_preparing_new_and_finished_data_opens_them_once(corpus, tmp_path, calls):
    for options in ([], [], ["--frames", "5", "--overwrite"]):
        calls.clear()
        command = preparing.command(corpus, tmp_path, *AS_IS, "--jobs", "1", *options)
        assert cli.main(command) == 0
        opened = 2 if "--overwrite" in options else 1  # the old dataset and the new one
        assert calls == dict.fromkeys(ONCE, opened)


def test_auditing_opens_each_dataset_once(prepared, tmp_path, calls):
    data = tmp_path / "data"
    shutil.copytree(prepared, data)
    assert cli.main(["audit", str(data)]) in (0, 1)
    assert calls == ONCE
    calls.clear()
    assert cli.main(["audit", str(data), str(prepared)]) == 1
    assert calls == dict.fromkeys(ONCE, 2)


def test_training_opens_its_data_once(prepared, tmp_path, calls):
    # An unknown model ends the run after the data were opened and audited, and before it is noted.
    config = tiny_run.make_config(prepared, **{"model.name": "no_such_model"})
    with pytest.raises(ValueError, match="no_such_model"):
        train.train(config, tmp_path)
    assert not list(tmp_path.iterdir())
    assert calls == ONCE
