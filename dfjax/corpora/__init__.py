"""Corpora: one file per corpus; a folder and its label files become a list of `Clip`."""

import importlib
import pkgutil


def register_all() -> None:
    """Imports every importer: each registers itself as a corpus.

    Importers load nothing but the standard library, so that `dfjax prepare --help` stays quick.
    """
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
