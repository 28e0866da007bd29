"""Lots of clips to shards on Apache Beam.

Beam only distributes the lots. `lots.make` makes each on the worker that gets it, as a local run
makes crops. So records do not depend on the machine that cropped them, and a crash of the decoder
costs one clip. Workers see the clips at the same paths as the launcher, and write to the target of
the dataset. They import this module: it must not import TFDS, and Beam only where it runs a
pipeline.
"""

import contextlib
import functools
import json
import threading
from collections.abc import Callable, Iterator, Sequence

from dfjax import versions
from dfjax.buckets import store
from dfjax.errors import UserError
from dfjax.preparation import bookkeeping, lots
from dfjax.preparation.lots import Lot
from dfjax.preparation.workers import Cropping

_POLL_SECONDS = 10.0  # between updates of the progress bar


def make_lots(
    missing: Sequence[Lot],
    cropping: Cropping,
    target: store.Folder,
    records: str,
    *,
    options: Sequence[str],
    show: Callable[[int], None],
) -> None:
    """Returns when a pipeline has made the lots, in the folder `records` of the target.

    `options` are Beam's, `--runner=...` among them. Another thread calls `show` now and then with
    the number of clips of finished lots.

    Raises:
      UserError: Beam is not installed.
      OSError: the pipeline failed; what is finished stays.
    """
    if missing:
        task = functools.partial(_make_lot, cropping=cropping, target=target.url, records=records)
        with _watching(target, missing, show):
            run(task, missing, options)


def run(task: Callable[[Lot], None], work: Sequence[Lot], options: Sequence[str]) -> None:
    """Calls `task` with each lot, on the workers of a pipeline; raises as `make_lots`."""
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise UserError('Apache Beam is not installed: pip install "dfjax[beam]"') from error
    try:
        with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
            waiting = pipeline | "lots" >> beam.Create(work)
            waiting | "spread" >> beam.Reshuffle() | "make" >> beam.Map(task)
    except Exception as error:  # every runner raises its own
        reason = (str(error).strip() or repr(error)).splitlines()[-1]
        raise OSError(f"the pipeline failed ({reason}): repair it and run again") from error


@contextlib.contextmanager
def _watching(
    target: store.Folder, missing: Sequence[Lot], show: Callable[[int], None]
) -> Iterator[None]:
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            with contextlib.suppress(UserError):  # later is soon enough
                show(lots.num_clips(target, missing))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _make_lot(lot: Lot, *, cropping: Cropping, target: str, records: str) -> None:
    _check_worker(target)
    lots.make(lot, cropping, target, records)


def _check_worker(target: str) -> None:
    """Raises OSError on a worker that sees another target, or has other packages."""
    settings = store.Folder(target).read(bookkeeping.SETTINGS)
    if settings is None:
        raise OSError(
            f"a worker does not see {target}/{bookkeeping.SETTINGS}: use a bucket, or mount --out "
            "at the same path on all workers"
        )
    wanted = json.loads(settings)["versions"]
    here = versions.installed()
    if here != wanted:
        raise OSError(f"a worker has {here} and the launcher {wanted}: install the same on both")
