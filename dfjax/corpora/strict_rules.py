"""`--strict`: splits that share nothing, for corpora whose owners' splits share people or videos.

The rules of `strict`, an option of the readers:

    False       the owners' splits as they are
    True        no person and no original video is in two splits
    "videos"    no original video is in two splits; people may be

Test stays whole, and what shares with it is dropped from val and train. Where the owners name no
val, it is dealt from the rest of train: by groups of people that no fake connects or, if almost all
are connected, by people, without the fakes between those of val and those of train.
"""

import collections
import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from dfjax.corpora import layout, splits
from dfjax.corpora.clip import LABELS, Clip
from dfjax.errors import UserError

VIDEOS = "videos"

Strict = bool | str
Ties = Callable[[Clip], Iterable[str]]

_ADVICE = {
    True: "use --strict videos, which lets people be in two splits, or train on another corpus",
    VIDEOS: "leave --strict out and report what splits share, or train on another corpus",
}
_LOGGER = logging.getLogger("dfjax.corpora")


def keep_splits(corpus: str, clips: Sequence[Clip], strict: Strict) -> list[Clip]:
    """Returns `clips` in the splits of their owners, without those that `strict` drops.

    Raises:
      UserError: there is no such rule.
    """
    if not strict:
        return list(clips)
    kept = splits.drop_leaks(corpus, clips, ties=_ties(strict))
    owned = [(clip.split, clip.label) for clip in clips if clip.split != "test"]
    _warn_about_classes(corpus, owned, kept, strict)
    return kept


def deal_val(
    corpus: str,
    clips: Sequence[Clip],
    strict: Strict,
    *,
    seed: int,
    shares: Sequence[float],
    ties: Ties = splits.ids_but_people,
) -> list[Clip]:
    """Returns `clips` with val dealt from train, without those that `strict` drops.

    Clips that share one of their `ties` stay together; with the rule True, those that share any id.

    Raises:
      UserError: there is no such rule, or `shares` are not shares.
    """
    if not strict:
        return splits.hold_out_val(clips, seed=seed, shares=shares, ties=ties)
    share = splits.val_share(shares)
    kept = splits.drop_leaks(corpus, clips, keep=("test",), ties=_ties(strict))
    ties = ties if strict == VIDEOS else splits.all_ids
    dealt = splits.hold_out_val(kept, seed=seed, shares=shares, ties=ties)
    if strict != VIDEOS and not _is_fair(dealt, share):
        dealt = _divide(corpus, dealt, _deal_people(kept, seed, share))
    dealt_to = ["train", "val"] if share else ["train"]
    labels = {clip.label for clip in clips if clip.split == "train"}
    _warn_about_classes(corpus, itertools.product(dealt_to, labels), dealt, strict)
    return dealt


def _ties(strict: Strict) -> Ties:
    if strict not in (True, VIDEOS):
        raise UserError(f"strict {strict!r}: use True, False or {VIDEOS!r}")
    return splits.ids_but_people if strict == VIDEOS else splits.all_ids


def _is_fair(clips: Iterable[Clip], share: float) -> bool:
    """Returns whether val has at least half of its share of each class."""
    counts = collections.Counter((clip.split, clip.label) for clip in clips)
    return all(
        2 * counts["val", label] >= share * (counts["train", label] + counts["val", label])
        for label in range(len(LABELS))
    )


def _divide(corpus: str, whole: list[Clip], divided: list[Clip]) -> list[Clip]:
    """Returns `divided`, if all classes are in train and in val then, and warns of the lost fakes.

    Otherwise returns `whole`.
    """
    places = {(clip.split, clip.label) for clip in divided if clip.split != "test"}
    if len(places) < 2 * len({clip.label for clip in whole if clip.split != "test"}):
        return whole
    lost = {clip.key for clip in whole} - {clip.key for clip in divided}
    layout.warn(corpus, "fakes left out: they join people of train and val", lost)
    return divided


def _deal_people(clips: Sequence[Clip], seed: int, share: float) -> list[Clip]:
    """Returns `clips` with people dealt to train and val, without the fakes between the two."""
    pool = [clip for clip in clips if clip.split == "train"]
    group_of = _group_ids(pool)
    groups = {clip.key: {group_of[origin] for origin in clip.origin_ids} for clip in pool}
    val = _draw_val(pool, groups, seed, share)
    between = {key for key, own in groups.items() if own & val and own - val}
    return [
        dataclasses.replace(clip, split="val") if groups.get(clip.key, set()) & val else clip
        for clip in clips
        if clip.key not in between
    ]


def _group_ids(pool: Sequence[Clip]) -> dict[str, str]:
    """Returns for each id the group that cannot be divided: a person and all their videos."""
    ties = [clip.origin_ids if clip.label == 0 else _target(clip) for clip in pool]
    group_of = {}
    for items in splits.components(ties):
        ids = {origin for item in items for origin in ties[item]}
        group_of |= dict.fromkeys(ids, min(ids))
    for clip in pool:  # people of whom there is no video
        group_of |= {origin: origin for origin in clip.origin_ids if origin not in group_of}
    return group_of


def _target(clip: Clip) -> list[str]:
    """Returns the ids of a fake's original, and of the person in it."""
    people = [origin for origin in clip.origin_ids if origin.startswith("identity:")]
    return [clip.origin_ids[0], *people[:1]]


def _draw_val(
    pool: Sequence[Clip], groups: Mapping[str, set[str]], seed: int, share: float
) -> set[str]:
    """Returns the groups for val: they have about `share` of the reals, and fakes among them.

    Groups that fakes connect are taken one after the other, each the one with most fakes between
    itself and those taken before; the others as the seed draws them.
    """
    reals = collections.Counter(group for c in pool if not c.label for group in groups[c.key])
    fakes: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for own in groups.values():
        for group, other in itertools.permutations(own, 2):
            fakes[group][other] += 1
    order = sorted(set().union(*groups.values()), key=lambda group: splits.draw(seed, group))
    connected = [group for group in order if group in fakes]
    val: set[str] = set()
    ties = collections.Counter()
    room = share * sum(reals[group] for group in connected)
    while len(val) < len(connected) - 1 and (len(val) < 2 or _count(reals, val) < room):
        val.add(max((group for group in connected if group not in val), key=ties.__getitem__))
        ties = sum((fakes[group] for group in val), collections.Counter())
    alone = [group for group in order if group not in fakes]
    room = share * sum(reals[group] for group in alone)
    for group in alone:
        if reals[group] <= room:
            val.add(group)
            room -= reals[group]
    return val


def _count(reals: Mapping[str, int], groups: Iterable[str]) -> int:
    return sum(reals[group] for group in groups)


def _warn_about_classes(
    corpus: str, expected: Iterable[tuple[str, int]], clips: Iterable[Clip], strict: Strict
) -> None:
    """Warns if a split lacks a class that is `expected` in it: then there is no training."""
    counts = collections.Counter((clip.split, clip.label) for clip in clips)
    lacking = sorted(place for place in set(expected) if not counts[place])
    if lacking:
        _LOGGER.warning(
            "%s: --strict leaves no %s (of %s): %s",
            corpus,
            " and no ".join(f"{LABELS[label]} clip in {split}" for split, label in lacking),
            ", ".join(
                f"{split} {counts[split, 0]:,} real and {counts[split, 1]:,} fake"
                for split in splits.SPLITS
            ),
            _ADVICE[strict],
        )
