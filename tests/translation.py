"""The catalogue in a language without Latin letters: what still has some was not taken from it."""

import re
from collections.abc import Iterator

from dfjax import words

_LATIN = re.compile("[A-Za-z]+")


def translate(value):
    """A part of the catalogue whose texts have ж for every letter outside of braces."""
    if isinstance(value, str):
        return re.sub(r"(\{\w+\})|[A-Za-z]", lambda found: found[1] or "ж", value)
    if isinstance(value, dict):
        return {key: translate(each) for key, each in value.items()}
    return tuple(map(translate, value))


def install(monkeypatch) -> None:
    """Puts the translation in place of the catalogue."""
    for name, value in vars(words).items():
        if name[0].isupper():
            monkeypatch.setattr(words, name, translate(value))


def words_of(value) -> set[str]:
    """The words in Latin letters of a text, or of all texts in JSON."""
    return {word for text in _texts(value) for word in _LATIN.findall(text)}


def _texts(value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple | set):
        for each in value:
            yield from _texts(each)
