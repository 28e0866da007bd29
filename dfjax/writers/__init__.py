"""Where metrics go besides metrics.jsonl: one module a kind, named by `config.writers`.

A writer is a class that is registered under its name; a file of your own can do so, which the file
of your config imports (docs/operations.md has one):

    @registry.register("metric writer", "mine")
    class Mine:
        def __init__(self, workdir: pathlib.Path, config: Mapping[str, Any]): ...
        def write(self, step: int, scalars: Mapping[str, float]) -> None: ...
        def close(self) -> None: ...

Process 0 alone makes one. One whose package is missing is left out, and a line says so.
"""

from dfjax.writers import tensorboard as tensorboard
