"""Makes the detector that comes with dfjax from an evaluated run.

    python scripts/make_detector.py runs/lite0

Writes dfjax/weights/detector, an export of the weights alone, the same bytes at every run. Large
kernels take 16 bits a weight: prints by how much that changes the scores of `CROPS` crops of the
run's validation split, and refuses more than `TOLERANCE`. Prints the size, and the digest that
belongs into dfjax/weights/shipped.py. TERMS.md in that folder is written by hand, and copied to any
other `--out`.
"""

import argparse
import dataclasses
import pathlib
import re
import shutil
import sys
import tempfile

import numpy as np

from dfjax import console
from dfjax.errors import UserError
from dfjax.export import export, source
from dfjax.export.source import Source
from dfjax.inference import manifest, scorer
from dfjax.media import image
from dfjax.model_card import Release
from dfjax.run import Run
from dfjax.weights import shipped

RELEASE = Release(
    name="dfjax-lite0-1",
    trained_on="15,926 faces of the Deepfake Detection Challenge, one a video",
    terms="for research and evaluation, and not under the licence of the code",
    forgeries=("face swap", "reenactment"),  # of Dolhansky et al. 2020, arXiv:2006.07397, 3.3
)
MAX_BYTES = 20 * 10**6
TOLERANCE = 1e-3
CROPS = 512

# The folders before the name of a dataset, "/home/anna/data/" of "/home/anna/data/faces:val".
_FOLDERS = re.compile(r"(?<!\S)/([\w.\\-]+/)+(?=[\w.\\-]+:)")


def main() -> int:
    """Makes the folder, or says in one line why not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=shipped.DETECTOR)
    arguments = parser.parse_args()
    try:
        _make(Run.open(arguments.run), arguments.out)
    except UserError as error:
        console.print_line(error, error=True)
        return 2
    return 0


def _make(run: Run, out: pathlib.Path) -> None:
    with tempfile.TemporaryDirectory() as parent:
        folder = pathlib.Path(parent, "export")
        export.export(_for_others(source.of_run(run, RELEASE)), folder, ["safetensors"])
        _require_small(folder)
        _require_close(run, folder)
        shutil.copytree(folder, out, dirs_exist_ok=True)
    digest = manifest.digest(out / manifest.FILE)
    console.print_line(f"wrote {out}; DETECTOR_SHA256 is {digest}")


def _for_others(opened: Source) -> Source:
    """The same with the terms, and without the folders of this machine where data are named."""
    protocol = {
        name: _FOLDERS.sub("", value) if isinstance(value, str) else value
        for name, value in opened.card.protocol.items()
    }
    return opened._replace(
        terms=(shipped.DETECTOR / shipped.TERMS).read_text(encoding="utf-8"),
        card=dataclasses.replace(opened.card, protocol=protocol),
        published=_FOLDERS.sub("", opened.published),
    )


def _require_small(folder: pathlib.Path) -> None:
    size = sum(path.stat().st_size for path in folder.iterdir())
    console.print_line(f"{size:,} bytes")
    if size > MAX_BYTES:
        raise UserError(f"that is more than {MAX_BYTES:,}: nothing was written")


def _require_close(run: Run, folder: pathlib.Path) -> None:
    """Prints how far apart scores are, and refuses more than `TOLERANCE`."""
    records = run.dataset.records(run.config.data.val_split)
    rows = np.unique(np.linspace(0, len(records) - 1, CROPS, dtype=int))
    crops = np.stack([image.decode_image(records[int(row)]["image"]) for row in rows])
    deviation = np.abs(scorer.load(run.workdir).scores(crops) - scorer.load(folder).scores(crops))
    console.print_line(
        f"scores of {len(crops)} validation crops change by {deviation.max():.1e} at most, "
        f"{np.sqrt(np.mean(deviation**2)):.1e} in the root mean square"
    )
    if not deviation.max() <= TOLERANCE:  # not "greater": NaN has to fail
        raise UserError(f"that is more than {TOLERANCE}: nothing was written")


if __name__ == "__main__":
    sys.exit(main())
