"""Clips to crops in local processes, each clip once.

Must not import TFDS or JAX, because every worker process imports this module.
"""

import collections
import concurrent.futures
import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import cv2

from dfjax import console
from dfjax.corpora.clip import Clip
from dfjax.media.errors import MediaError
from dfjax.preparation import crop_store
from dfjax.preparation.crop_clip import ClipCrops
from dfjax.preparation.crop_store import CropStore, Outcome

_CLIPS_AHEAD = 4  # per worker: enough to keep it busy, few to try again when one dies


def crop_clips(
    clips: Sequence[Clip],
    store: CropStore,
    crop: Callable[[Clip], ClipCrops],
    *,
    jobs: int,
) -> Iterator[tuple[Clip, Outcome]]:
    """Yields clips with their outcomes as `jobs` processes finish them; saves crops in `store`.

    `crop` makes the crops, in a worker. Whatever it raises is that clip's outcome, and so is the
    death of its process, if a process dies twice that has this clip alone.

    Raises:
      OSError: crops cannot be saved; what is finished stays.
    """
    task = functools.partial(_try, crop)
    for clip, result in _in_processes(task, clips, jobs, ahead=_CLIPS_AHEAD):
        if isinstance(result, ClipCrops):
            store.save(clip, result)
            result = crop_store.make_outcome(result)
        yield clip, result


def _try(crop: Callable[[Clip], ClipCrops], clip: Clip) -> ClipCrops | Outcome:
    try:
        return crop(clip)
    except MediaError as error:
        return Outcome(error.code, console.one_line(error))
    except Exception as error:  # one clip must not stop the others, whatever fault it triggers
        message = f"{clip.path}: {type(error).__name__}: {error}"
        return Outcome("internal", console.one_line(message))


def _in_processes(
    task: Callable[[Clip], Any], clips: Sequence[Clip], jobs: int, *, ahead: int, tries: int = 2
) -> Iterator[tuple[Clip, Any]]:
    """Yields clips with what `task` returns for them, or with the Outcome of a dead process.

    A process that dies breaks its pool, with all the clips that were running there: each of them is
    tried again in a process of its own, up to `tries` times.
    """
    waiting = collections.deque(clips)
    while waiting:
        running: dict[concurrent.futures.Future, Clip] = {}
        pool = concurrent.futures.ProcessPoolExecutor(
            min(jobs, len(waiting)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(task,),
        )
        try:
            while waiting or running:
                while waiting and len(running) < ahead * jobs:
                    running[pool.submit(_run_task, waiting[0])] = waiting[0]
                    waiting.popleft()
                done, _ = concurrent.futures.wait(running, return_when="FIRST_COMPLETED")
                for future in done:
                    result = future.result()
                    yield running.pop(future), result
        except BrokenProcessPool:
            suspects = list(running.values())
            if ahead * jobs > 1:
                yield from _in_processes(task, suspects, jobs=1, ahead=1)
            elif tries > 1:
                yield from _in_processes(task, suspects, jobs=1, ahead=1, tries=tries - 1)
            else:
                yield from ((clip, _death(clip)) for clip in suspects)
        finally:
            pool.shutdown(cancel_futures=True)


def _death(clip: Clip) -> Outcome:
    message = (
        f"{clip.path}: the process working on it died twice, by a crash or for lack of memory: "
        "check the file, or use fewer --jobs"
    )
    return Outcome("worker_died", message)


def _start_worker(task: Callable[[Clip], Any]) -> None:
    _TASK["task"] = task
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches every process: no traceback here
    cv2.setNumThreads(1)
    # If the parent is killed, a worker would wait for its next task for ever.
    threading.Thread(target=_follow_parent, daemon=True).start()


_TASK: dict[str, Callable[[Clip], Any]] = {}  # sent once per worker: it may list every original


def _run_task(clip: Clip) -> Any:
    return _TASK["task"](clip)


def _follow_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
