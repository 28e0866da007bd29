"""Which records make a pair, checked by hand; everything is a function of (seed, number)."""

import collections
import pickle

import numpy as np
import pytest

from dfjax.corpora.clip import Clip
from dfjax.data import record_index, sampling
from dfjax.data.sampling import Sampling
from dfjax.errors import UserError

REAL_A, REAL_B, STILL = "c/real/a", "c/real/b", "c/real/still"
CLIPS = [
    Clip(REAL_A, "", 0, "real", "train", ("identity:c/1",)),
    Clip(REAL_B, "", 0, "real", "train", ("identity:c/1",)),
    Clip(STILL, "", 0, "real", "train", ("identity:c/2",)),
    Clip("c/swap/a", "", 1, "swap", "train", ("identity:c/1", "identity:c/2"), REAL_A),
    Clip("c/swap/b", "", 1, "swap", "train", ("identity:c/1", "identity:c/2"), REAL_B),
    Clip("c/synthesis/x", "", 1, "synthesis", "train", ("x",)),
]
LENT = {"c/swap/a"}  # the other fake was cut where it shows a face itself
# By row, with the label and the row of the partner.
RECORDS = [
    ((REAL_A, 0, 0), 0, -1),
    (("c/swap/a", 10, 0), 1, 2),
    ((REAL_A, 10, 0), 0, -1),
    (("c/swap/b", 6, 0), 1, -1),
    ((REAL_B, 0, 0), 0, -1),
    ((REAL_B, 10, 0), 0, -1),
    ((REAL_B, 6, 1), 0, -1),  # somebody else in that frame
    ((STILL, 0, 0), 0, -1),
    (("c/synthesis/x", 0, 0), 1, -1),
    (("c/swap/a", 0, 0), 1, 0),
]
LABEL = np.array([label for _, label, _ in RECORDS], np.int32)
REALS, FAKES = (set(np.flatnonzero(np.equal(LABEL, value)).tolist()) for value in (0, 1))


def make_index(clips=CLIPS, records=RECORDS) -> record_index.Index:
    places = record_index.Places.of([place for place, _, _ in records], clips)
    return record_index.make(places, clips, LENT)


def make_part(index, weight=1.0) -> sampling.Part:
    return sampling.Part(range(len(index)), index, weight)


def draw(count, *, seed=0, parts=None, **settings) -> list[sampling.Pair]:
    pairs = sampling.Pairs(parts or [make_part(make_index())], Sampling(**settings), seed=seed)
    return [pairs[number] for number in range(count)]


def test_the_index_knows_partners_and_originals():
    index = make_index()
    assert index.partner.tolist() == [partner for _, _, partner in RECORDS]
    assert index.clips[index.clip].tolist() == [clip for (clip, _, _), _, _ in RECORDS]
    assert index.clips[index.original].tolist()[3:5] == [REAL_A, REAL_B]
    assert index.original.tolist()[5] == -1


def test_a_fake_comes_next_to_its_own_original():
    of = {pair.others[0]: pair for pair in draw(8, pairing=1.0)}
    assert of.keys() == FAKES
    assert [(of[row].real, of[row].aligned) for row in (1, 9)] == [(2, True), (0, True)]
    # The nearest frame of the same face: it is 10 and not 6, which shows somebody else.
    assert (of[3].real, of[3].aligned) == (5, False)
    assert of[8].real in REALS
    assert not of[8].aligned


def test_without_pairing_each_class_comes_once_before_any_again():
    pairs = draw(24)
    for start in (0, 6, 12, 18):
        assert {pair.real for pair in pairs[start : start + 6]} == REALS
    for start in range(0, 24, 4):
        assert {pair.others[0] for pair in pairs[start : start + 4]} == FAKES
    assert all(pair.aligned == (pair.real == RECORDS[pair.others[0]][2]) for pair in pairs)
    assert {pair.kind for pair in pairs} == {sampling.FORGERY}


def test_pairing_is_a_probability():
    own = [pair.aligned for pair in draw(500, pairing=0.5) if pair.others[0] in (1, 9)]
    assert np.mean(own) == pytest.approx(0.5 + 0.5 / 6, abs=0.08)  # by chance, too


def test_blended_pairs_have_their_shares_and_their_sources():
    pairs = draw(600, share=0.8, cross=0.25, neighbour=0.5)
    count = collections.Counter(sampling.KINDS[pair.kind] for pair in pairs)
    assert count["forgery"] / 600 == pytest.approx(0.2, abs=0.05)
    # Of four candidates, one has to be of the other identity: five reals are of one, one is.
    has_stranger = (5 / 6) * (1 - (5 / 6) ** 4) + (1 / 6) * (1 - (1 / 6) ** 4)
    assert count["cross_blend"] / 600 == pytest.approx(0.8 * 0.25 * has_stranger, abs=0.04)
    # Two of the six reals, the still and the only crop of a face, have no neighbour.
    assert count["neighbour_blend"] / 600 == pytest.approx(0.8 * 0.5 * 4 / 6, abs=0.05)
    identity = {0: 1, 2: 1, 4: 1, 5: 1, 6: 1, 7: 2}
    for pair in pairs:
        match sampling.KINDS[pair.kind]:
            case "self_blend":
                assert pair.others == (pair.real,)
            case "neighbour_blend":
                assert {pair.real, *pair.others} in ({0, 2}, {4, 5})
            case "cross_blend":
                assert all(identity[row] != identity[pair.real] for row in pair.others)
        assert pair.real in REALS
        assert not pair.aligned or pair.kind == sampling.FORGERY


def test_a_neighbour_is_one_of_the_two_nearest_frames():
    records = [((REAL_A, frame, 0), 0, -1) for frame in (0, 30, 10, 20, 40)]
    part = make_part(make_index(records=records))
    drawn = draw(200, parts=[part], share=1.0, neighbour=1.0)
    nearest = {0: {2, 3}, 1: {3, 4}, 2: {0, 3}, 3: {1, 2}, 4: {1, 3}}
    found = collections.defaultdict(set)
    for pair in drawn:
        found[pair.real].update(pair.others)
    assert found == nearest


def test_pairs_are_a_function_of_seed_and_number_in_any_process():
    settings = Sampling(0.5, ("method",), share=0.5, cross=0.3, neighbour=0.3)
    pairs = sampling.Pairs([make_part(make_index())], settings, seed=3)
    expected = [pairs[number] for number in range(50)]
    there = pickle.loads(pickle.dumps(pairs))  # noqa: S301
    assert [there[number] for number in reversed(range(50))] == expected[::-1]
    other = sampling.Pairs([make_part(make_index())], settings, seed=4)
    assert [other[number] for number in range(50)] != expected


def make_balanced() -> record_index.Index:
    """100 fakes of a method with two people, 4 and 1 of others with one; a real."""
    records, clips = [((REAL_A, 0, 0), 0, -1)], CLIPS[:1]
    for method, person, count in (("a", 1, 90), ("a", 2, 10), ("b", 3, 4), ("c", 4, 1)):
        clip = Clip(f"c/{method}/{person}", "", 1, method, "train", (f"identity:c/{person}",))
        clips = [*clips, clip]
        records += [((clip.key, frame, 0), 1, -1) for frame in range(count)]
    return make_index(clips, records)


@pytest.mark.parametrize(
    ("balance", "expected"),
    [
        (("method",), [0.9 / 3, 0.1 / 3, 1 / 3, 1 / 3]),
        (("identity",), [1 / 4] * 4),
        (("corpus", "method", "identity"), [1 / 6, 1 / 6, 1 / 3, 1 / 3]),
        (("corpus",), [90 / 105, 10 / 105, 4 / 105, 1 / 105]),
    ],
)
def test_balance_draws_evenly_from_the_outside_in(balance, expected):
    index = make_balanced()
    drawn = draw(6000, parts=[make_part(index)], balance=balance)
    people = index.origin_ids[index.clip[[pair.others[0] for pair in drawn]]]
    shares = [np.mean(people == f"identity:c/{person}") for person in (1, 2, 3, 4)]
    assert shares == pytest.approx(expected, abs=0.025)


def test_corpora_are_told_apart_by_what_ids_name():
    ids = ["video:ffpp/1", "identity:celebdf/7", "group"]
    clips = [Clip(f"b/swap/{i}", "", 1, "swap", "train", (ids[i],)) for i in range(3)]
    records = [((f"b/swap/{i}", frame, 0), 1, -1) for i in range(3) for frame in range(9**i)]
    part = make_part(make_index([*CLIPS, *clips], [*records, RECORDS[0]]))
    drawn = [pair.others[0] for pair in draw(3000, parts=[part], balance=("corpus",))]
    counts = np.histogram(drawn, [0, 1, 10, 91])[0]
    assert counts / 3000 == pytest.approx([1 / 3] * 3, abs=0.03)


def test_datasets_take_turns_by_weight_whatever_their_sizes():
    many = [((STILL, frame, 0), 0, -1) for frame in range(50)]
    reals = make_part(make_index(records=many), weight=3.0)
    drawn = draw(100, parts=[make_part(make_index()), reals], pairing=0.0)
    assert sum(pair.real >= len(RECORDS) for pair in drawn) == 75
    assert {pair.real for pair in drawn if pair.real >= 10} == set(range(10, 60))
    assert {pair.others[0] for pair in drawn} == FAKES  # the other has none
    own = draw(8, parts=[reals, make_part(make_index())], pairing=1.0)
    of = {pair.others[0] - 50: pair.real - 50 for pair in own}
    assert (of[1], of[9], of[3]) == (2, 0, 5)


def test_a_missing_class_is_refused_unless_fakes_are_made():
    reals = [make_part(make_index(records=RECORDS[2:3]))]
    message = r"none of 1 crops \(data.train_split, data.more\) is fake: add some, or make them"
    with pytest.raises(UserError, match=message):
        draw(1, parts=reals)
    assert draw(1, parts=reals, share=1.0) == [sampling.Pair(0, sampling.SELF_BLEND, 0, (0,))]
    with pytest.raises(UserError, match=r"none of 1 crops .* is real: every pair has one"):
        draw(1, parts=[make_part(make_index(records=RECORDS[1:2]))])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pairing": 1.5}, "data.pairing is 1.5: use a share from 0 to 1"),
        ({"share": -0.1}, "blend.share is -0.1: use a share from 0 to 1"),
        (
            {"cross": 0.6, "neighbour": 0.6},
            "blend.cross is 0.6 and blend.neighbour 0.6: use shares",
        ),
        ({"balance": ("people",)}, "data.balance 'people': use corpus, method, identity"),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(UserError, match=message):
        Sampling(**settings)
