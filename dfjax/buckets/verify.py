"""Whether prepared data or checkpoints in a store are what was written."""

import pathlib
import tempfile
from collections.abc import Iterator

from dfjax import checksums
from dfjax.buckets import store
from dfjax.errors import UserError


def compare(url: str) -> Iterator[checksums.Compared]:
    """Reads every byte of what has checksums below `url`, one file at a time; changes nothing.

    Raises:
      UserError: nothing there has checksums, or they cannot be read.
    """
    folder = store.Folder(url)
    lists = [name for name in folder.sizes() if f"/{name}".endswith(f"/{checksums.FILE}")]
    if not lists:
        raise UserError(f"{url} holds neither prepared data nor checkpoints that are finished")
    with tempfile.TemporaryDirectory() as temporary:
        here = pathlib.Path(temporary)
        files = []
        for name in sorted(lists):
            folder.get(name, here / checksums.FILE)
            above = name.removesuffix(checksums.FILE)
            sizes = checksums.sizes(here)
            files += [
                (f"{above}{each}", sizes[each], sha256)
                for each, sha256 in checksums.listed(here).items()
            ]
        done, total = 0, sum(size for _, size, _ in files)
        for name, size, sha256 in files:
            damage = None
            try:
                folder.get(name, here / "file", sha256)
            except FileNotFoundError:
                damage = f"{url}/{name} is missing"
            except UserError as error:
                damage = str(error)
            done += size
            yield checksums.Compared(pathlib.Path(name), damage, done, total)
