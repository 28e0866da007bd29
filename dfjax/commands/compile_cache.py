"""Programs that JAX compiled, kept from one process to the next: a second start compiles nothing.

JAX's key of a program holds the features of the processor, XLA's flags and JAX's version, so that
machines may share the folder. What is wrong with it costs time, and ends no command.
"""

import glob
import os
import pathlib
import re
import sys
import warnings

from dfjax import config, console, files
from dfjax.errors import UserError

MAX_BYTES = 1 << 30  # XLA takes less than 1 MB for a train step on a CPU, and a few on a GPU

_FOLDER = "JAX_COMPILATION_CACHE_DIR"
_KEPT_FROM = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
_UNREADABLE = re.compile("Error reading persistent compilation cache entry for '(.+?)'")


def use(folder: str = config.base().compile_cache) -> None:
    """Keeps compiled programs in `folder`, about `MAX_BYTES` of them; "" keeps none.

    JAX's own variables go before: JAX_COMPILATION_CACHE_DIR moves them, and empty keeps none. Such
    a folder may be that of other programs, and is left to grow.
    """
    _set(_KEPT_FROM, 0.0)
    if not folder or _FOLDER in os.environ:
        return
    try:
        path = pathlib.Path(folder).expanduser()
        files.require_writable(path)
    except (UserError, RuntimeError) as error:  # RuntimeError: nobody knows the home folder
        console.print_line(f"dfjax: note: compiled programs are not kept: {error}", error=True)
        return
    _set(_FOLDER, str(path))
    _prune(path)
    _replace_unreadable(path)


def _set(variable: str, value: str | float) -> None:
    """Tells JAX without loading it, which many commands never do: it reads the variable then."""
    if variable in os.environ:
        return
    if "jax" in sys.modules:  # loaded by the file of a config
        sys.modules["jax"].config.update(variable.lower(), value)
    else:
        os.environ[variable] = str(value)


def _prune(folder: pathlib.Path) -> None:
    """Deletes the programs that were not used for the longest time, down to `MAX_BYTES`.

    JAX's own limit locks the folder for each program, and fails where one was kept without it.
    """
    left = MAX_BYTES
    for _, size, path in sorted(map(_last_use, folder.glob("*-cache")), reverse=True):
        left -= size
        if left < 0:
            path.unlink(missing_ok=True)  # another process may have been faster


def _last_use(path: pathlib.Path) -> tuple[float, int, pathlib.Path]:
    """(the time, the size, the path); a program that has gone is old and small."""
    try:
        status = path.stat()
    except OSError:
        return 0.0, 0, path
    return max(status.st_atime, status.st_mtime), status.st_size, path


def _replace_unreadable(folder: pathlib.Path) -> None:
    """Has JAX write anew what it cannot read, as what a killed process left: it would keep it.

    JAX warns between reading and compiling, and writes where no file is.
    """
    show = warnings.showwarning

    def delete(message: Warning | str, *details: object, **options: object) -> None:
        if found := _UNREADABLE.match(str(message)):
            for path in folder.glob(f"{glob.escape(found[1])}-*-cache"):
                path.unlink(missing_ok=True)
        else:
            show(message, *details, **options)

    warnings.showwarning = delete
