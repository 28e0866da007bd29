"""Whether a folder is the workdir of a run.

Apart from `run`, so that judging by an export loads nothing that a run needs.
"""

import os

CONFIG_FILE = "config.json"


def is_run(path: str | os.PathLike) -> bool:
    """Returns whether a run, finished or not, is in the folder `path`."""
    return os.path.isfile(os.path.join(path, CONFIG_FILE))
