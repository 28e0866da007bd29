"""Memory and time of `dfjax predict` for lists of many paths.

    python -m benchmarks.long_list                  # 10,000 and 1,000,000 paths, about 10 minutes
    python -m benchmarks.long_list --paths 50000

No file of the lists is there, and a stub says so in the place of a decoder: what is measured is the
list, the rows, the journal and the table. Each size runs in a process of its own, whose peak of
memory counts; `before` is that of the same process after a list of one path.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

from dfjax.inference import predict
from dfjax.inference.detector import Detector
from dfjax.media.errors import MediaError

SIZES = (10_000, 1_000_000)


def say_missing(self: Any, path: str, *_: Any, **__: Any) -> None:
    """Stands for `SandboxedExtractor.file`."""
    raise MediaError("missing", f"{path}: there is no such file")


def measure(num_paths: int) -> dict[str, float]:
    """Judges so many paths in this process, and returns what that took."""
    predict.SandboxedExtractor.file = say_missing
    detector, outputs = Detector.load(), predict.Outputs(reports=False)
    with tempfile.TemporaryDirectory() as folder:
        out, listed = pathlib.Path(folder, "out"), pathlib.Path(folder, "list.txt")
        predict.predict(["nowhere.mp4"], detector, out, outputs=outputs)
        with listed.open("w") as file:
            file.writelines(f"a-folder/{n % 1000:03d}/{n:08d}.mp4\n" for n in range(num_paths))
        before, began = _peak(), time.monotonic()
        rows = predict.predict([str(listed)], detector, out, outputs=outputs, jobs=2)
        assert len(rows) == num_paths
        return {
            "paths": num_paths,
            "list_mib": round(listed.stat().st_size / 2**20, 1),
            "peak_mib": round(_peak()),
            "before_mib": round(before),
            "seconds": round(time.monotonic() - began),
        }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    """Measures each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--paths", type=int, nargs="+", default=SIZES)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure(arguments.paths[0])))
        return
    for size in arguments.paths:
        command = [sys.executable, "-m", "benchmarks.long_list", "--here", "--paths", str(size)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        print(done.stdout.splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
