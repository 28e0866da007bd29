"""Clips to crops in local processes, each clip once.

Imports no TFDS and no JAX: every worker process imports this module.
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

from dfjax.corpora.clip import Clip
from dfjax.media.errors import MediaError
from dfjax.preparation import crop_store
from dfjax.preparation.crop_clip import ClipCrops
from dfjax.preparation.crop_store import CropStore, Outcome

_CLIPS_AHEAD = 4  # per worker: enough to keep it busy, few to try again when one dies


def crop_clips(
    clips: Sequence[Clip],
    work: CropStore,
    crop: Callable[[Clip], ClipCrops],
    *,
    jobs: int,
) -> Iterator[tuple[Clip, Outcome]]:
    """Yields clips with their outcomes as `jobs` processes finish them, the crops being in `work`.

    `crop` makes the crops, in a worker. Whatever it raises is that clip's outcome, and so is the
    death of its process, if it dies twice when the clip has a process to itself.

    Raises:
      OSError: crops cannot be kept; what is finished stays.
    """
    task = functools.partial(_try, crop)
    for clip, result in _in_processes(task, clips, jobs, ahead=_CLIPS_AHEAD):
        if isinstance(result, ClipCrops):
            work.save(clip, result)
            result = crop_store.make_outcome(result)
        yield clip, result


def _try(crop: Callable[[Clip], ClipCrops], clip: Clip) -> ClipCrops | Outcome:
    try:
        return crop(clip)
    except MediaError as error:
        return Outcome(error.code, _one_line(error))
    except Exception as error:  # one clip must not stop the others, whatever it finds in the code
        return Outcome("internal", _one_line(f"{clip.path}: {type(error).__name__}: {error}"))


def _one_line(message: Any) -> str:
    return " ".join(str(message).split())


def _in_processes(
    task: Callable[[Clip], Any], clips: Sequence[Clip], jobs: int, *, ahead: int, tries: int = 2
) -> Iterator[tuple[Clip, Any]]:
    """Yields clips with what `task` returns for them, or with the Outcome of a dead process.

    A process that dies takes those with it that share its pool: all of them are tried again, each
    by itself, and there up to `tries` times.
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
        "look at the file, or give fewer jobs"
    )
    return Outcome("worker_died", message)


def _start_worker(task: Callable[[Clip], Any]) -> None:
    _TASK["task"] = task
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches every process: no traceback here
    cv2.setNumThreads(1)
    # A pool's worker waits for work for ever if its parent is killed.
    threading.Thread(target=_follow_parent, daemon=True).start()


_TASK: dict[str, Callable[[Clip], Any]] = {}  # sent once: it may name every original


def _run_task(clip: Clip) -> Any:
    return _TASK["task"](clip)


def _follow_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
