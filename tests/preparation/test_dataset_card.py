import dataclasses
import html.parser
import json
import pathlib

import numpy as np
import pytest

from dfjax import cli
from dfjax.commands import prepare_tables
from dfjax.corpora.clip import Clip
from dfjax.data import builder, leaks
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image as media_image
from dfjax.preparation import dataset_card, prepare
from dfjax.preparation.settings import Settings

SPEC = CropSpec(crops="as-is", detector="none", landmarks=0, size=32, encoding="png")
EVIL = "<script>alert(1)</script>"


def make_clips(root: pathlib.Path, *, brighter: int) -> list[Clip]:
    """40 train and 30 test pictures, half of them fake by two methods, and a broken fake."""
    rng = np.random.default_rng(0)
    clips = []
    for split, count in (("train", 40), ("test", 30)):
        for number in range(count):
            label = number % 2
            method = ("real", f"swap{number // 2 % 2}")[label]
            picture = rng.integers(0, 120, (40, 40, 3), np.uint8) + np.uint8(brighter * label)
            path = root / f"{split}{number}.png"
            path.write_bytes(media_image.encode_image(picture, "png"))
            key = f"c{EVIL}/{method}/{path.name}"
            clips.append(Clip(key, str(path), label, method, split, (path.name,)))
    (root / "broken.png").touch()
    return [*clips, Clip("c/swap0/broken", str(root / "broken.png"), 1, "swap0", "test", ("b",))]


def describe(tmp_path: pathlib.Path, clips: list[Clip]) -> tuple[dict, str]:
    prepare.prepare(clips, tmp_path / "out", Settings(SPEC))
    return json.loads((tmp_path / "out/dataset_card.json").read_text()), page(tmp_path / "out")


def page(out: pathlib.Path) -> str:
    return (out / "dataset_card.html").read_text()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    root = tmp_path_factory.mktemp("plain")
    return root / "out", *describe(root, make_clips(root, brighter=0))


def test_counts_are_those_of_the_clips(plain):
    _, card, _ = plain
    rows = [tuple(row.values()) for row in card["prepared"]["methods"]]
    assert rows == [
        ("train", "real", "real", 20, 0, 0, 20),
        ("train", "fake", "swap0", 10, 0, 0, 10),
        ("train", "fake", "swap1", 10, 0, 0, 10),
        ("test", "real", "real", 15, 0, 0, 15),
        ("test", "fake", "swap0", 9, 1, 0, 8),
        ("test", "fake", "swap1", 7, 0, 0, 7),
    ]
    assert card["sample"]["crops"] == {
        "train": {"real": 20, "fake": 20},
        "test": {"real": 15, "fake": 15},
    }
    assert set(card["cues"]) == set(dataset_card.CUES)
    assert card["cues"]["face_width"]["percentiles"] == {"real": [40] * 3, "fake": [40] * 3}
    assert card["cues"]["scale"]["percentiles"]["real"][1] == pytest.approx(np.log2(32 / 40))
    for numbers in card["cues"].values():
        for shares in numbers["histogram"].values():
            assert sum(shares) == pytest.approx(1)


def test_a_cue_that_gives_the_fakes_away_is_seen(plain, tmp_path):
    out, unbiased, text = plain
    card, biased_text = describe(tmp_path, make_clips(tmp_path, brighter=40))
    assert dataset_card.warnings(out) == []
    (warning,) = dataset_card.warnings(tmp_path / "out")
    assert warning.startswith("real and fake differ in brightness (AUC 1.00)")
    assert unbiased["cues"]["brightness"]["auc"] < 0.75
    assert card["cues"]["brightness"]["auc"] == 1
    real, fake = (card["cues"]["brightness"]["percentiles"][name][1] for name in ("real", "fake"))
    assert (real, fake) == (pytest.approx(60, abs=3), pytest.approx(100, abs=3))
    assert card["trivial_cues"]["test"] == {"auc": 1, "light": "high", "clips": 15}
    assert "AUC 1.000" in biased_text
    assert "AUC 1.000" not in text


def test_the_page_needs_nothing_next_to_itself_and_runs_nothing(plain):
    _, _, text = plain
    assert EVIL not in text
    assert text.count("&lt;script&gt;") > 1
    elements = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, attributes: elements.append((tag, dict(attributes)))
    parser.feed(text)
    tags = [tag for tag, _ in elements]
    assert not {"script", "link", "iframe", "a"} & set(tags)
    pictures = [attributes["src"] for tag, attributes in elements if tag == "img"]
    assert len(pictures) == 20 + 20 + 15 + 15  # one crop of a clip, 24 at most
    assert all(source.startswith("data:image/jpeg;base64,") for source in pictures)
    assert tags.count("polygon") == 2 * sum(
        len(cue["edges"]) > 2 for cue in plain[1]["cues"].values()
    )


def test_the_sample_is_bounded_and_the_same_each_time(plain, monkeypatch):
    out, card, text = plain
    dataset_card.write(builder.open_dataset(out))
    assert (json.loads((out / "dataset_card.json").read_text()), page(out)) == (card, text)
    monkeypatch.setattr(dataset_card, "SAMPLE", 3)
    dataset_card.write(builder.open_dataset(out))
    counts = json.loads((out / "dataset_card.json").read_text())["sample"]["crops"]
    assert counts == {split: {"real": 3, "fake": 3} for split in ("train", "test")}
    assert page(out).count("<img ") == 12


def test_one_class_alone_has_a_card_without_comparisons(tmp_path):
    clips = [clip for clip in make_clips(tmp_path, brighter=0) if clip.label == 0]
    card, text = describe(tmp_path, clips)
    assert card["trivial_cues"] == {"test": None}
    assert card["cues"]["brightness"]["auc"] is None
    assert dataset_card.warnings(tmp_path / "out") == []
    assert "Train has no fake crop" in text
    assert "Not measured" in text


def test_leaks_are_printed_and_on_the_page_and_synthetic_data_say_so(tmp_path, capsys):
    shared = [
        Clip(clip.key, clip.path, clip.label, clip.method, clip.split, ("identity:c/anna",))
        for clip in make_clips(tmp_path, brighter=0)
    ]
    summary = prepare.prepare(shared, tmp_path / "out", Settings(SPEC, synthetic=True))
    prepare_tables.print_summary(summary)
    assert "warning: splits share people by id (1; identity:c/anna:" in capsys.readouterr().out
    dataset = builder.open_dataset(tmp_path / "out")
    assert leaks.read(dataset).blocking == summary.audit.blocking != ()
    assert "People by id: 1" in page(tmp_path / "out")
    assert "drawn by a program" in page(tmp_path / "out")


def test_fakes_without_their_originals_are_counted_on_the_page(tmp_path):
    clips = [
        dataclasses.replace(clip, orphan=clip.label == 1 and clip.split == "train")
        for clip in make_clips(tmp_path, brighter=0)
    ]
    card, text = describe(tmp_path, clips)
    assert card["prepared"]["orphans"] == {
        "train": {"fakes": 20, "orphans": 20},
        "test": {"fakes": 16, "orphans": 0},
    }
    assert "Train: 20 of 20 fakes were made from videos that are not here: only fakes show" in text
    assert "Test: " not in text


@pytest.mark.parametrize(
    ("strict", "advice"),
    [
        (None, "its corpus has no --strict: leave these clips out of one of the splits"),
        (False, "prepare it with --strict"),
        (True, "it was prepared with --strict, so leave these clips out of one of the splits"),
        ("videos", "it was prepared with --strict videos, which leaves this: use --strict alone"),
    ],
)
def test_training_refuses_leaks_with_advice_that_was_not_followed_yet(tmp_path, strict, advice):
    clips = [
        dataclasses.replace(clip, origin_ids=("identity:c/anna",))
        for clip in make_clips(tmp_path, brighter=0)
    ]
    prepare.prepare(clips, tmp_path / "out", Settings(SPEC, strict=strict))
    with pytest.raises(ValueError, match="splits share people by id") as error:
        leaks.require_none(builder.open_dataset(tmp_path / "out"))
    assert str(error.value).endswith(
        f": {advice}, or train with config.data.allow_leaks=True and report it"
    )


def test_what_is_missing_next_to_a_finished_dataset_is_made_again(tmp_path):
    clips = make_clips(tmp_path, brighter=0)
    _, text = describe(tmp_path, clips)
    out = tmp_path / "out"
    for name in ("audit.json", "dataset_card.html"):
        (out / name).unlink()
    assert not dataset_card.is_current(builder.open_dataset(out))
    assert not prepare.prepare(clips, out, Settings(SPEC)).is_new
    assert page(out) == text
    assert leaks.read(builder.open_dataset(out)).nonempty == ()


def test_the_audit_brings_the_page_up_to_date(plain, capsys):
    out, _, text = plain
    assert "compares the pictures" in text
    assert cli.main(["audit", str(out)]) == 0
    assert "by ids and pictures" in page(out)
