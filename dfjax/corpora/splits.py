"""Splits without leaks: clips that share an identity, an original or their bytes stay together.

An item is one file; its `ties` are ids, and items that share one must be in one split.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Sequence

from dfjax.corpora import layout
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError

SPLITS = ("train", "val", "test")
SHARES = (0.8, 0.1, 0.1)  # of these splits, for corpora whose owners name none


def assign_splits(
    names: Sequence[str],
    labels: Sequence[int],
    ties: Sequence[Iterable[str]],
    *,
    seed: int,
    shares: Sequence[float],
) -> list[str]:
    """Returns a split for every item; items connected through ties get the same one.

    Connected items form a component. Components are drawn in an order that depends only on `seed`
    and on the `names` of their items, separately for components of reals, of fakes, and of both.
    Three components of a class are therefore enough for it to appear in each split.

    `shares` are the shares of train, val and test among the items.

    Raises:
      UserError: shares are negative or do not sum to 1.
    """
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise UserError(f"shares {tuple(shares)}: give those of train, val and test, with sum 1")
    strata = collections.defaultdict(list)
    for component in components(ties):
        strata[frozenset(labels[item] for item in component)].append(component)
    splits = ["train"] * len(names)
    for of_class in strata.values():
        of_class.sort(key=lambda component: draw(seed, min(names[item] for item in component)))
        for split, held_out in _hold_out(of_class, shares):
            for item in (item for component in held_out for item in component):
                splits[item] = split
    return splits


def check_splits(
    names: Sequence[str], splits: Sequence[str], ties: Sequence[Iterable[str]]
) -> None:
    """Raises UserError if items that share a tie are in different splits."""
    first: dict[str, int] = {}
    leaks: dict[str, tuple[int, int]] = {}
    for item, ids in enumerate(ties):
        for tie in ids:
            if splits[first.setdefault(tie, item)] != splits[item]:
                leaks.setdefault(tie, (first[tie], item))
    if leaks:
        tie, pair = next(iter(leaks.items()))
        places = " and in ".join(f"{splits[item]} ({names[item]})" for item in pair)
        more = f"; {len(leaks) - 1} more such" if len(leaks) > 1 else ""
        raise UserError(f"{tie} is in {places}: put both in one split{more}")


def deal_out(
    clips: Sequence[Clip], ties: Sequence[Iterable[str]], *, seed: int, shares: Sequence[float]
) -> list[Clip]:
    """Returns `clips` in the splits of `assign_splits`; `ties` has the ids of each clip."""
    keys, labels = [clip.key for clip in clips], [clip.label for clip in clips]
    splits = assign_splits(keys, labels, ties, seed=seed, shares=shares)
    return [
        clip if clip.split == split else dataclasses.replace(clip, split=split)
        for clip, split in zip(clips, splits, strict=True)
    ]


def all_ids(clip: Clip) -> Sequence[str]:
    """Returns the origin ids of a clip."""
    return clip.origin_ids


def ids_but_people(clip: Clip) -> Sequence[str]:
    """Returns the origin ids of a clip but for those of people: its original videos."""
    return [origin for origin in clip.origin_ids if not origin.startswith("identity:")]


def hold_out_val(
    clips: Sequence[Clip],
    *,
    seed: int,
    shares: Sequence[float],
    ties: Callable[[Clip], Iterable[str]] = all_ids,
) -> list[Clip]:
    """Returns `clips` with a part of train moved to val, by the shares of train and val.

    Clips that share one of their `ties` stay together.

    Raises:
      UserError: shares are negative, do not sum to 1, or give everything to test.
    """
    share = val_share(shares)
    pool = [clip for clip in clips if clip.split == "train"]
    dealt = deal_out(pool, [*map(ties, pool)], seed=seed, shares=(1 - share, share, 0))
    by_key = {clip.key: clip for clip in dealt}
    return [by_key.get(clip.key, clip) for clip in clips]


def val_share(shares: Sequence[float]) -> float:
    """Returns the share of val in what is not test.

    Raises:
      UserError: everything is test.
    """
    train, val, _ = shares
    if train + val <= 0:
        raise UserError(
            f"splits {tuple(shares)}: the test split is the owners': give shares to train and val"
        )
    return val / (train + val)


def drop_leaks(
    corpus: str,
    clips: Sequence[Clip],
    *,
    keep: Sequence[str] = ("test", "val"),
    ties: Callable[[Clip], Iterable[str]] = all_ids,
) -> list[Clip]:
    """Returns `clips` without those that share one of their `ties` with a split of `keep`.

    Earlier splits of `keep` win: with ("test", "val"), all of test stays, val loses what it shares
    with test, and train loses what it shares with either. Warns about the clips.
    """
    kept = list(clips)
    for rank, split in enumerate(keep):
        held_out = {tie for clip in kept if clip.split == split for tie in ties(clip)}
        kept = [
            clip
            for clip in kept
            if clip.split in keep[: rank + 1] or held_out.isdisjoint(ties(clip))
        ]
    kept_keys = {clip.key for clip in kept}
    dropped = [clip.key for clip in clips if clip.key not in kept_keys]
    layout.warn(corpus, f"clips left out: they share an origin with {' or '.join(keep)}", dropped)
    return kept


def components(ties: Sequence[Iterable[str]]) -> list[list[int]]:
    """Returns groups of items that are connected, directly or through others, by union-find."""
    parent = list(range(len(ties)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    first: dict[str, int] = {}
    for item, ids in enumerate(ties):
        for tie in ids:
            parent[root(item)] = root(first.setdefault(tie, item))
    groups = collections.defaultdict(list)
    for item in range(len(ties)):
        groups[root(item)].append(item)
    return list(groups.values())


def draw(seed: int, name: str) -> bytes:
    """Returns what a name is ordered by, in an order that only the seed decides."""
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()


def _hold_out(
    components: list[list[int]], shares: Sequence[float]
) -> list[tuple[str, list[list[int]]]]:
    """Returns the components of test and of val, as many as fit in turn; the rest is for train."""
    num_items = sum(map(len, components))
    splits, remaining = [], list(components)
    for split, share in (("test", shares[2]), ("val", shares[1])):
        held_out, room = [], round(share * num_items)
        for component in remaining:
            if len(component) <= room:
                held_out.append(component)
                room -= len(component)
        if not held_out and remaining and share > 0 and len(components) >= 3:
            held_out = [min(remaining, key=len)]
        ids = {id(component) for component in held_out}
        remaining = [component for component in remaining if id(component) not in ids]
        splits.append((split, held_out))
    return splits
