"""The corpora as the command `dfjax prepare` offers them."""

import ast
import inspect
import json
import re
import subprocess
import sys

import pytest

from dfjax import cli, corpora, registry
from dfjax.errors import UserError
from dfjax.faces.crop_spec import CropSpec
from dfjax.preparation import prepare as prepare_module


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


def test_registering_loads_nothing_that_decodes_or_draws():
    program = """
import sys
from dfjax import corpora
corpora.register_all()
assert not {"numpy", "cv2", "av", "dlib"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


VALUES = {
    "--root": ("root", ["DIR"], "DIR"),
    "--splits": ("shares", ["0.6", "0.3", "0.1"], [0.6, 0.3, 0.1]),
    "--seed": ("seed", ["0"], 0),
    "--compression": ("compression", ["c40"], "c40"),
    "--methods": ("methods", ["Deepfakes", "SimSwap"], ["Deepfakes", "SimSwap"]),
    "--identities": ("identities", ["12"], 12),
    "--strict": ("strict", [], True),
    "--ffpp": ("ffpp_root", ["DIR"], "DIR"),
    "--celebdf": ("celebdf_root", ["DIR"], "DIR"),
}
NAMES = (
    "celebdf_pp", "celebdf_v1", "celebdf_v2", "deepfakebench", "deeperforensics", "df40", "dfd",
    "dfdc", "dfdcp", "ffiw", "ffpp", "folder", "pathlist", "synthetic", "uadfv", "wilddeepfake",
)  # fmt: skip


def test_every_corpus_and_every_option_is_tried_below(capsys):
    assert set(NAMES) == set(registry.names("corpus"))
    with pytest.raises(SystemExit):
        cli.main(["prepare", "--help"])
    section = capsys.readouterr().out.partition("\ncorpus:\n")[2].partition("\n\n")[0]
    assert set(re.findall(r"^ +(--\w+)", section, re.MULTILINE)) == {*VALUES, "--corpus"}
    # What a command line cannot set: the name in keys, the length of drawn clips; and --jobs.
    parameters = {option for name in NAMES for option in registry.options("corpus", name)}
    assert parameters - {option for option, _, _ in VALUES.values()} == {
        "name", "frames", "jobs",
    }  # fmt: skip


@pytest.mark.parametrize("flag", VALUES)
@pytest.mark.parametrize("name", NAMES)
def test_an_option_reaches_the_reader_or_is_refused(tmp_path, capsys, monkeypatch, name, flag):
    option, texts, value = VALUES[flag]
    root = [] if flag == "--root" else ["--root", "DIR"]
    passed = {}

    def build(kind, name, **kwargs):
        passed.update(kwargs)
        raise UserError("built")

    monkeypatch.setattr(registry, "build", build)
    assert prepare(tmp_path, "--corpus", name, *root, flag, *texts) == 2
    message = capsys.readouterr().err
    if option in registry.options("corpus", name):
        assert message == "dfjax: error: built\n"
        drawing = {"jobs": passed["jobs"]} if name == "synthetic" else {}
        # Nothing else is passed, so that the defaults are the reader's own.
        assert passed == {"root": "DIR", option: value, **drawing}
    else:
        assert message.startswith(f"dfjax: error: corpus {name} takes no {flag}: leave it out")
        assert message.count("\n") == 1
        assert passed == {}


@pytest.mark.parametrize(
    ("corpus", "flags", "strict"),
    [("ffpp", [], False), ("ffpp", ["--strict"], True), ("ffpp", ["--strict", "videos"], "videos"),
     ("uadfv", [], None)],
)  # fmt: skip
def test_the_rule_of_strict_is_noted_in_the_dataset(tmp_path, monkeypatch, corpus, flags, strict):
    given = []

    def refuse(clips, out, settings, **_):
        given.append(settings.strict)
        raise UserError("enough")

    monkeypatch.setattr(prepare_module, "prepare", refuse)
    monkeypatch.setattr(registry, "build", lambda *_, **kwargs: given.append(kwargs))
    assert prepare(tmp_path, "--corpus", corpus, "--root", "DIR", *flags) == 2
    assert given == [{"root": "DIR", **({"strict": strict} if flags else {})}, strict]
    with pytest.raises(SystemExit):
        prepare(tmp_path, "--corpus", corpus, "--root", "DIR", "--strict", "people")


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_uses_every_parameter(name):
    (function,) = ast.parse(inspect.getsource(registry._ENTRIES["corpus"][name])).body
    used = {node.id for line in function.body for node in ast.walk(line) if hasattr(node, "id")}
    assert set(registry.options("corpus", name)) - used == set()


@pytest.mark.parametrize("option", [option for option, _, _ in VALUES.values() if option != "root"])
def test_readers_agree_on_the_default_that_the_help_shows(option):
    readers = [registry.options("corpus", name) for name in NAMES]
    assert len({str(reader[option].default) for reader in readers if option in reader}) == 1


@pytest.mark.parametrize(
    "flag",
    ["--detector=hog", "--landmarks=5", "--faces=all", "--upsample=0", "--search-every=8",
     "--boxes-from-original"],
)  # fmt: skip
def test_options_of_the_detector_are_refused_for_crops_as_they_are(tmp_path, capsys, flag):
    folder = ["--corpus", "folder", "--root", str(tmp_path)]
    assert prepare(tmp_path, *folder, "--crops", "as-is", flag) == 2
    message = f"--crops as-is detects no faces: leave {flag.partition('=')[0]} out"
    assert capsys.readouterr().err == f"dfjax: error: {message}\n"


def test_processes_are_local_or_of_a_runner(tmp_path, capsys):
    folder = ["--corpus", "folder", "--root", str(tmp_path)]
    assert prepare(tmp_path, *folder, "--runner", "DirectRunner", "--jobs", "2") == 2
    assert "leave it out with --runner" in capsys.readouterr().err


def test_the_help_shows_the_defaults_and_choices_of_a_crop_spec(capsys):
    with pytest.raises(SystemExit):
        cli.main(["prepare", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    spec = CropSpec()
    for text in (f"side of a crop ({spec.size})", f"dlib ({spec.detector})", "{hog,mmod}"):
        assert text in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--corpus", "ffpp", "--root", ".", "--methods", "X"], "methods X: use some of Deepfakes"),
        (["--corpus", "ffpp", "--strict"], "corpus ffpp needs --root DIR"),
        (["--corpus", "df41", "--strict"], "unknown corpus 'df41': choose one of celebdf_pp"),
        (["--corpus", "dfd", "--strict"], "--strict: leave it out (--strict is for celebdf_pp,"),
    ],
)
def test_wrong_input_is_one_line(tmp_path, capsys, options, message):
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
