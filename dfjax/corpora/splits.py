"""Splits without leaks: what shares an identity, an original or its bytes stays together.

An item here is one file, with its `ties`: the ids of everything it must not be parted from.
"""

import collections
import hashlib
from collections.abc import Iterable, Sequence

from dfjax.errors import UserError

SPLITS = ("train", "val", "test")


def assign_splits(
    names: Sequence[str],
    labels: Sequence[int],
    ties: Sequence[Iterable[str]],
    *,
    seed: int,
    shares: Sequence[float],
) -> list[str]:
    """Returns a split for every item; items connected through ties get the same one.

    Connected items form a component. Components are drawn in an order that depends on `seed` and on
    their items' `names` alone, separately for those of real, of fake, and of both classes, so that
    three components of a class are enough for it to appear in each split.

    `shares` are those of train, val and test among the items.

    Raises:
      UserError: shares that are negative or do not sum to 1.
    """
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise UserError(f"shares {tuple(shares)}: give those of train, val and test, sum 1")
    strata = collections.defaultdict(list)
    for component in _components(ties):
        strata[frozenset(labels[item] for item in component)].append(component)
    splits = ["train"] * len(names)
    for components in strata.values():
        components.sort(key=lambda component: _draw(seed, min(names[item] for item in component)))
        for split, chosen in _held_out(components, shares):
            for component in chosen:
                for item in component:
                    splits[item] = split
    return splits


def check_splits(
    names: Sequence[str], splits: Sequence[str], ties: Sequence[Iterable[str]]
) -> None:
    """Raises ValueError if items that share a tie are in different splits."""
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
        raise UserError(f"{tie} is in {places}: keep what it ties in one split{more}")


def _components(ties: Sequence[Iterable[str]]) -> list[list[int]]:
    """Returns the items that are connected, directly or through others, by union-find."""
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
    components = collections.defaultdict(list)
    for item in range(len(ties)):
        components[root(item)].append(item)
    return list(components.values())


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()


def _held_out(
    components: list[list[int]], shares: Sequence[float]
) -> list[tuple[str, list[list[int]]]]:
    """Returns the components of test and of val, as many as fit in turn; the rest is for train."""
    num_items = sum(map(len, components))
    held_out, left = [], list(components)
    for split, share in (("test", shares[2]), ("val", shares[1])):
        chosen, room = [], round(share * num_items)
        for component in left:
            if len(component) <= room:
                chosen.append(component)
                room -= len(component)
        if not chosen and share > 0 and len(components) >= 3:
            chosen = [min(left, key=len)]
        taken = {id(component) for component in chosen}
        left = [component for component in left if id(component) not in taken]
        held_out.append((split, chosen))
    return held_out
