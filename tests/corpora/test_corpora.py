"""The corpora as the command `dfjax prepare` offers them."""

import json

import pytest

from dfjax import cli, corpora, registry
from dfjax.commands import prepare as prepare_command


@pytest.fixture(autouse=True)
def _registered():
    corpora.register_all()


def prepare(tmp_path, *options):
    return cli.main(["prepare", "--out", str(tmp_path / "out"), *options])


def test_the_help_lists_every_corpus(capsys):
    with pytest.raises(SystemExit):
        cli.main(["prepare", "--help"])
    shown = capsys.readouterr().out.replace("\n", " ").replace(",", " ").split()
    assert {*registry.names("corpus")} <= {word.rstrip(":") for word in shown}


def test_every_published_corpus_takes_a_root_a_seed_and_splits():
    names = set(registry.names("corpus")) - {"folder", "synthetic"}
    assert names == set(prepare_command.PUBLISHED)
    for name in names:
        assert {"root", "seed", "splits"} <= set(registry.options("corpus", name)), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--corpus", "dfd", "--root", ".", "--strict"], "corpus dfd has no --strict: leave it"),
        (["--corpus", "folder", "--root", ".", "--compression", "raw"], "folder has no --compress"),
        (["--corpus", "ffpp", "--root", ".", "--ffpp", "x"], "corpus ffpp has no --ffpp: leave"),
        (["--corpus", "ffpp", "--root", ".", "--methods", "X"], "methods X: use some of Deepfakes"),
        (["--corpus", "ffpp", "--strict"], "corpus ffpp needs --root DIR"),
        (["--corpus", "df41", "--strict"], "unknown corpus 'df41': choose one of celebdf_pp"),
    ],
)
def test_options_that_a_corpus_does_not_have_are_refused(tmp_path, capsys, options, message):
    if "--methods" in options:
        for split in ("train", "val", "test"):
            (tmp_path / f"{split}.json").write_text("[]")
        (tmp_path / "original_sequences/youtube/c23/videos").mkdir(parents=True)
        options = [str(tmp_path) if option == "." else option for option in options]
    assert prepare(tmp_path, *options) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("dfjax: error: ")
    assert message in error


def test_what_deviates_is_a_note_of_one_line_once(tmp_path, capsys):
    for split, pairs in (("train", []), ("val", []), ("test", [["755", "003"]])):
        (tmp_path / f"{split}.json").write_text(json.dumps(pairs))
    for path in ("original_sequences/youtube/raw/images/755/0000.png", "manipulated_sequences/x"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    options = ["--corpus", "ffpp", "--root", str(tmp_path), "--compression", "raw", "--strict"]
    assert prepare(tmp_path, *options, "--crops", "as-is", "--jobs", "1") == 1
    notes = [line for line in capsys.readouterr().err.splitlines() if "real raw" in line]
    assert notes == ["dfjax: note: ffpp: real raw: 1 of 2 clips; missing: 003"]
