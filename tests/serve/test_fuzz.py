"""Broken files of every kind are judged or refused, each by one typed answer, and harm nothing.

`scripts/long_tests.sh` does the same with more of them.
"""

import io
import itertools
import random

import av
import numpy as np
import pytest
from PIL import Image

from dfjax.inference.detector import Detector
from fuzz import materials as fuzz_materials
from fuzz import mutants as fuzz_mutants
from fuzz import structure, through_predict, through_server, trial
from fuzz.mutants import Mutant

FILES = 300
# Their parts fill the file, up to a signature; in TIFF they are a table.
FILLED = ("avi", "avif", "heic", "jpg", "mkv", "mov", "mp4", "png", "ts", "webm", "webp")


@pytest.fixture(scope="module")
def materials():
    return fuzz_materials.make_materials()


@pytest.fixture(scope="module")
def mutants(materials):
    return list(fuzz_mutants.make_mutants(materials, 0, FILES))


def suffix(name: str) -> str:
    return name.rpartition(".")[2]


def test_materials_are_of_many_kinds_and_show_what_is_drawn(materials):
    pillow = {"avif", "bmp", "gif", "jpg", "png", "tiff", "webp"}
    assert len({suffix(name) for name in materials}) >= 13
    drawn = np.asarray(Image.open(io.BytesIO(materials["picture.png"])).convert("RGB")).astype(int)
    for name, data in materials.items():
        if suffix(name) in pillow:
            frames = [Image.open(io.BytesIO(data)).convert("RGB")]
        else:
            with av.open(io.BytesIO(data)) as container:
                frames = [frame.to_image() for frame in container.decode(video=0)]
            assert len(frames) == (1 if name == "picture.heic" else 6), name
        assert np.abs(np.asarray(frames[0]) - drawn).mean() < 12, name


def test_every_material_is_judged(materials, model, tmp_path):
    detector = Detector.load(model)
    for name, data in materials.items():
        (tmp_path / name).write_bytes(data)
        result = detector.file(tmp_path / name)
        assert result.error is None, name
        assert result.faces, name


def test_a_mutant_follows_from_its_seed_and_its_number(materials, mutants):
    assert fuzz_mutants.make_mutant(materials, 0, 123) == mutants[123]
    assert fuzz_mutants.make_mutant(materials, 1, 123).data != mutants[123].data
    assert len({mutant.name for mutant in mutants}) == FILES
    assert {mutant.material for mutant in mutants} == set(materials)
    assert {change for mutant in mutants for change in mutant.changes} == set(fuzz_mutants.CHANGES)
    unchanged = [mutant.data == materials[mutant.material] for mutant in mutants]
    assert np.mean(unchanged) < 0.02  # two parts may be alike


def test_parts_of_a_file_fill_it(materials):
    for name, data in materials.items():
        groups = structure.siblings(data)
        for group in groups:
            assert all(a[1] == b[0] for a, b in itertools.pairwise(group)), name
            assert 0 <= group[0][0] < group[-1][1] <= len(data), name
        if suffix(name) in FILLED:
            assert groups[0][-1][1] >= len(data) - 2, name  # but for the end mark of a JPEG


def test_changes_do_what_they_say(materials):
    png, rng = materials["picture.png"], random.Random(0)
    swapped = fuzz_mutants.CHANGES["swap parts"](png, b"", rng)
    chunks, others = structure.siblings(png)[0], structure.siblings(swapped)[0]
    assert swapped != png
    assert sorted(png[a:b] for a, b in chunks) == sorted(swapped[a:b] for a, b in others)
    header = bytearray(png)
    header[19] ^= 1  # of the width: another one, and now the checksum is wrong
    with pytest.raises(Image.UnidentifiedImageError):
        Image.open(io.BytesIO(header))
    Image.open(io.BytesIO(fuzz_mutants.mend_png(bytes(header)))).verify()


@pytest.fixture(scope="module")
def by_predict(mutants, model, tmp_path_factory):
    return through_predict.run(str(model), mutants, tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(scope="module")
def by_server(mutants, server):
    return through_server.run(server.url, server.process.pid, mutants, server.folder)


def test_every_mutant_has_one_typed_row(by_predict):
    assert by_predict.faults == []
    assert len(by_predict.codes) == FILES


def test_every_mutant_has_one_typed_answer(by_server, server):
    assert by_server.faults == []
    assert len(by_server.codes) == FILES
    assert "Traceback" not in server.log


def test_what_a_file_is_does_not_depend_on_who_asks(by_predict, by_server):
    assert trial.disagreements(by_predict, by_server) == []


@pytest.mark.parametrize(
    ("code", "text", "is_fault"),
    [
        ("judged", "real", False),
        ("no_face", "no face was found", False),
        ("corrupt", "it is broken", False),
        ("corrupt", "the decoder crashed: encode the file again", True),
        ("internal", "KeyError: 1", True),
        ("worker_died", "twice", True),
        ("time_limit", "too slow", True),
        ("unreadable", "though it is there", True),
        ("decode_error", "without a code of its own", True),
        ("inconclusive ", "without a reason", True),
    ],
)
def test_what_is_a_fault(code, text, is_fault):
    mutant = Mutant(7, "00007-h264_mp4.mp4", "h264.mp4", ("splice", "flip bits"), b"")
    fault = trial.fault_of(mutant, code, text)
    assert (fault is not None) == is_fault
    if is_fault:
        assert fault.startswith("00007-h264_mp4.mp4 (splice, flip bits): ")


def test_limits():
    assert trial.limits_broken(trial.MAX_SECONDS, trial.MAX_MEMORY) == []
    assert len(trial.limits_broken(trial.MAX_SECONDS + 1, trial.MAX_MEMORY + 1)) == 2
