"""Scores, times and places as phrases of the catalogue; `phrases.js` says the same in a browser."""

from collections.abc import Mapping
from typing import Any

from dfjax import words


def sentence(text: str) -> str:
    """Returns a text of the catalogue with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def percent(score: float) -> str:
    """Returns a score in words that never claim certainty: "97%", "over 99%", "under 1%"."""
    if score > 0.99:
        return words.PHRASES["over"]
    if score < 0.01:
        return words.PHRASES["under"]
    return words.PHRASES["percent"].format(number=f"{100 * score:.0f}")


def clock(seconds: float) -> str:
    """Returns a time in a video as m:ss.t, for example 1:05.2."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def person(track: int) -> str:
    """Returns whom a track shows: people count from 1."""
    return words.PHRASES["person"].format(number=track + 1)


def place(shown: Mapping[str, Any]) -> str:
    """Returns whom a moment of a report shows, and when: "person 1, shot 2, 0:09.0 to 0:10.0"."""
    parts = [person(shown["track"])]
    if shots := [shot + 1 for shot in shown["shots"]]:
        name = words.PHRASES["shot" if len(shots) == 1 else "shots"]
        parts.append(name.format(number=shots[0], numbers=", ".join(map(str, shots))))
    if shown["first_s"] is not None:
        start, end = clock(shown["first_s"]), clock(shown["last_s"])
        parts.append(words.PHRASES["span"].format(start=start, end=end))
    return ", ".join(parts)


def moment(shown: Mapping[str, Any]) -> str:
    """Returns a moment of a report as a sentence: where it is, and its likelihood."""
    likelihood = percent(shown["score"])
    return sentence(words.PHRASES["moment"].format(place=place(shown), percent=likelihood))


def scope(shown: Mapping[str, Any]) -> str:
    """Returns what the `scope` of a report says of forgeries, as sentences."""
    if not shown["forgeries"]:
        return words.SCOPE["unknown"]
    known = words.SCOPE["known"].format(forgeries=_forgeries(shown["forgeries"]))
    if not shown["others"]:
        return known
    return f"{known} {words.SCOPE['missed'].format(forgeries=_forgeries(shown['others']))}"


def _forgeries(names: list[str]) -> str:
    return ", ".join(words.FORGERIES.get(name, name) for name in names)


def rule(pooling: str) -> str:
    """Returns how scores of faces become a verdict, for a rule of `pooling.RULES`."""
    return words.RULE.format(weighted=words.WEIGHTED[pooling])


def failure(code: str) -> str:
    """Returns what it means that a check of content credentials failed."""
    return next(text for start, text in words.FAILURES.items() if code.startswith(start))
