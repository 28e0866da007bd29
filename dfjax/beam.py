"""A function of each of many pieces of work, on the workers of an Apache Beam pipeline.

Beam only distributes the pieces: what comes of them, the function writes to a folder that all
workers see. Workers import the module of the function, and Beam is imported only where a pipeline
runs.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dfjax import versions
from dfjax.buckets import store
from dfjax.errors import UserError

_POLL_SECONDS = 10.0  # between updates of a progress bar


def run(task: Callable[[Any], None], work: Sequence[Any], options: Sequence[str]) -> None:
    """Calls `task`, which can be pickled, with each piece of `work` on some worker.

    `options` are Beam's, `--runner=...` among them.

    Raises:
      UserError: Beam is not installed.
      OSError: the pipeline failed; what is finished stays.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise UserError('Apache Beam is not installed: pip install "dfjax[beam]"') from error
    try:
        with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
            waiting = pipeline | "work" >> beam.Create(work)
            waiting | "spread" >> beam.Reshuffle() | "do" >> beam.Map(task)
    except Exception as error:  # every runner raises its own
        reason = (str(error).strip() or repr(error)).splitlines()[-1]
        raise OSError(f"the pipeline failed ({reason}): repair it and run again") from error


@contextlib.contextmanager
def watching(count: Callable[[], int], show: Callable[[int], None]) -> Iterator[None]:
    """Calls `show` with what `count` returns now and then, in another thread, during the block."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            with contextlib.suppress(UserError):  # later is soon enough
                show(count())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def require_same_versions(folder: store.Folder, name: str, out: str) -> None:
    """Checks on a worker that it sees the folder of the run, and has the launcher's packages.

    `name` is a JSON file there with the launcher's `versions`; `out` is the flag of the folder.

    Raises:
      OSError: it has not.
    """
    content = folder.read(name)
    if content is None:
        raise OSError(
            f"a worker does not see {folder.url}/{name}: use a bucket, or mount {out} at the same "
            "path on all workers"
        )
    wanted, here = json.loads(content)["versions"], versions.installed()
    if here != wanted:
        raise OSError(f"a worker has {here} and the launcher {wanted}: install the same on both")
