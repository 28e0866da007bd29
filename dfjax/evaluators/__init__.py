"""What is measured of a model, while it trains and afterwards.

An evaluator is a class in a file of this folder, registered as ("evaluator", name); a config names
it in `evals`. It is built with the records to score and a `frame.FrameScorer`, and with the fields
of its entry in `evals` that are its own.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, Protocol

from dfjax import registry


class Evaluator(Protocol):
    """Measures a model on one split of a prepared dataset."""

    def metrics(self) -> Iterator[str]:
        """Yields the metrics that `run` yields: one of them may choose the best checkpoint."""
        ...

    def run(self, variables: Any) -> Iterator[tuple[str, float]]:
        """Yields (metric, value) of the model with these variables, the same on every process."""
        ...


def build(type: str, **kwargs: Any) -> Evaluator:
    """Returns the evaluator that is registered as `type`.

    Raises:
      UserError: there is none; the message lists those that there are.
    """
    # Here, not at the top: the modules import this package first.
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    return registry.build("evaluator", type, **kwargs)
