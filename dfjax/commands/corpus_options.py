"""The options of commands that read a corpus, as its owners lay it out.

Names, choices and defaults come from the readers of corpora, which are quick to import.
"""

import argparse
import inspect
import os
from typing import Any

from dfjax import corpora, registry
from dfjax.commands import options
from dfjax.corpora import ffpp_trees, strict_rules
from dfjax.errors import UserError

# By parameter of the readers: flag and settings of argparse.
_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "root": (
        "--root",
        {
            "metavar": "DIR",
            "help": "folder of the corpus. For folder: manifest.csv with the columns path and "
            "label, optionally split, group, method and pair; or trees real/ and fake/, also in "
            "folders train/, val/ and test/. For synthetic: where to draw (DATA/synthetic)",
        },
    ),
    "shares": (
        "--splits",
        {
            "nargs": 3,
            "type": float,
            "metavar": ("TRAIN", "VAL", "TEST"),
            "help": "shares of the splits, if the corpus names none",
        },
    ),
    "seed": (
        "--seed",
        {"type": int, "help": "decides those splits, and what synthetic draws"},
    ),
    "compression": (
        "--compression",
        {"choices": tuple(ffpp_trees.COMPRESSIONS), "help": "copy of the videos"},
    ),
    "methods": (
        "--methods",
        {"nargs": "+", "metavar": "METHOD", "help": "forgery methods to read (all)"},
    ),
    "strict": (
        "--strict",
        {
            "nargs": "?",
            "choices": (strict_rules.VIDEOS,),
            "const": True,
            "help": "drop clips of which a person or an original video is also in another of the "
            "official splits, or with 'videos' an original only; scores are then not comparable "
            "to published ones",
        },
    ),
    "identities": (
        "--identities",
        {"type": options.positive, "metavar": "N", "help": "people to draw"},
    ),
    "ffpp_root": (
        "--ffpp",
        {"metavar": "DIR", "help": "FaceForensics++, whose originals are the reals"},
    ),
    "celebdf_root": (
        "--celebdf",
        {"metavar": "DIR", "help": "Celeb-DF v2, whose originals are reals"},
    ),
}


def add_to(group: argparse._ArgumentGroup, *, required: bool) -> None:
    """Adds --corpus, which may be `required`, and the options of all readers."""
    corpora.register_all()
    published = [name for name in registry.names("corpus") if name not in ("folder", "synthetic")]
    group.add_argument(
        "--corpus",
        metavar="NAME",
        required=required,
        help="folder: your own files; synthetic: drawn clips; or a published corpus as its owners "
        f"lay it out, one of {', '.join(published)}",
    )
    for name, (flag, settings) in _OPTIONS.items():
        settings = {**settings, "help": settings["help"] + _note(name)}
        group.add_argument(flag, dest=name, default=None, **settings)


def require_none(arguments: argparse.Namespace) -> None:
    """Checks that without --corpus none of the other options is given.

    Raises:
      UserError: one is.
    """
    given = [flag for name, (flag, _) in _OPTIONS.items() if getattr(arguments, name) is not None]
    if given:
        raise UserError(f"{', '.join(given)} is for a corpus: add --corpus NAME, or leave it out")


def _note(option: str) -> str:
    """The default of an option of corpora, and which corpora take it, for its help."""
    if option == "root":
        return ""
    takers = _takers(option)
    default = registry.options("corpus", takers[0])[option].default
    values = default if isinstance(default, tuple) else (default,)
    text = "" if default is None or default is False else f" ({' '.join(map(str, values))})"
    return f"{text}; for {', '.join(takers)}"


def _takers(option: str) -> list[str]:
    names = registry.names("corpus")
    return [name for name in names if option in registry.options("corpus", name)]


def reader_options(arguments: argparse.Namespace, data: str) -> dict[str, Any]:
    """Returns the arguments for the reader of the corpus: the options that the command line has.

    `data` is the folder of the prepared dataset, in which synthetic clips are drawn.

    Raises:
      UserError: the corpus does not take an option, or lacks one that it needs.
    """
    corpus = arguments.corpus
    accepted = registry.options("corpus", corpus)
    if not accepted:
        return {}  # the registry then refuses the name, and lists those that exist
    values = {name: getattr(arguments, name) for name in _OPTIONS}
    values = {name: value for name, value in values.items() if value is not None}
    for name in (name for name in values if name not in accepted):
        flag, takers = _OPTIONS[name][0], ", ".join(_takers(name))
        raise UserError(f"corpus {corpus} takes no {flag}: leave it out ({flag} is for {takers})")
    if corpus == "synthetic":
        values.setdefault("root", os.path.join(data, "synthetic"))
        values["jobs"] = arguments.jobs or options.num_cores()
    needed = accepted.get("root")
    if needed and needed.default is inspect.Parameter.empty and "root" not in values:
        raise UserError(f"corpus {corpus} needs --root DIR: give its folder")
    return values
