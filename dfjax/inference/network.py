"""What every runtime of a model gives: functions of crops, and the names of what they say."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Function = Callable[["np.ndarray"], "np.ndarray"]
OUTPUTS = ("logit", "strangeness", "attention")
"""What a network says of a crop: the second of one with a gate, the third of one that has learned
how much a frame counts in its clip."""
Network = Callable[["np.ndarray"], dict[str, "np.ndarray"]]
