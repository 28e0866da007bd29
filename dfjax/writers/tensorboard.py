"""TensorBoard files in WORKDIR/tensorboard, and the log, through CLU."""

import pathlib
from collections.abc import Mapping
from typing import Any

from dfjax import registry


@registry.register("metric writer", "tensorboard")
class TensorBoard:
    """CLU's default writer."""

    def __init__(self, workdir: pathlib.Path, config: Mapping[str, Any]):
        """Raises ImportError without TensorFlow, which CLU's writers need."""
        del config
        from clu import metric_writers

        self._writer = metric_writers.create_default_writer(str(workdir / "tensorboard"))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes a row."""
        self._writer.write_scalars(step, dict(scalars))

    def close(self) -> None:
        """Writes out what is still buffered."""
        self._writer.close()
