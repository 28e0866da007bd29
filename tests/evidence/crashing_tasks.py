"""The tasks of `inference.tasks`, with evidence that takes the process down, or lies."""

import os
import pathlib
import time

from dfjax.inference import tasks

load, touch = tasks.load, tasks.touch


def _read_evidence(arguments, blobs, caller):
    how = pathlib.Path(arguments["path"]).stem
    if how == "abort":
        os.abort()
    if how == "exit":
        os._exit(3)
    if how == "sleep":
        time.sleep(60)
    if how == "memory":
        bytearray(2**40)
    told, arrays = tasks.read_evidence(arguments, blobs, caller)
    if how == "nonsense":
        told["content_credentials"]["state"] = "<b>holy</b>"
    if how == "surprise":
        told["stated"]["surprise"] = 1
    return told, arrays


TASKS = {**tasks.TASKS, "read_evidence": _read_evidence}
