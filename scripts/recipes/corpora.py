"""The corpora of real faces as dfjax prepares them: who is trained on, who decides, who is tested.

Train of `dfdc_faces` is trained on, where fakes are cut as their originals; its val, prepared as
`dfdc_val` without a look at originals, is only tested, as are `ciplab` and `videos`. One in twenty
of the other groups (an original and its fake), of the people of `studio` and of the pictures of
`ffhq_real` decide; the rest is trained on. No picture of `EXAMPLE`, a person of `studio`, is
trained on, because one of them is the example of the documentation.
"""

import csv
import hashlib
import pathlib
import sys
from collections.abc import Callable

from dfjax import files

EXAMPLE = "london_001"  # the person of the example
VAL_SHARE = 0.05
# The pictures of dfdc_faces end at the face: a wider crop would show their reflection.
CROPS = ("--size", "160", "--scale", "0.85", "--center", "0.6")
TESTS = ("dfdc_val", "ciplab", "videos")

Row = dict[str, str]
Run = Callable[..., None]


def prepare_all(real: pathlib.Path, out: pathlib.Path, run: Run) -> None:
    """Prepares every corpus below `real` as `out`/NAME; `run` runs a command."""
    for name, make in _LISTED.items():
        _write_corpus(real, out / "corpora" / name, make)
        options = ["--boxes-from-original"] if name == "dfdc_faces" else []
        _prepare(out / "corpora" / name, out / name, options, run)
    _prepare(real / "ciplab", out / "ciplab", [], run)
    _prepare(real / "videos", out / "videos", ["--splits", "0", "0", "1"], run)


def _prepare(root: pathlib.Path, out: pathlib.Path, options: list[str], run: Run) -> None:
    command = (sys.executable, "-m", "dfjax.cli", "prepare", "--corpus", "folder")
    run(*command, "--root", root, "--out", out, *CROPS, *options)


def _write_corpus(
    real: pathlib.Path, out: pathlib.Path, make: Callable[[Row], dict[str, str] | None]
) -> None:
    """Writes a corpus folder: the same pictures, and a manifest of what `make` makes of its rows.

    Rows of which it makes None are left out.
    """
    source = real / _SOURCE.get(out.name, out.name)
    out.mkdir(parents=True, exist_ok=True)
    pictures = out / "pictures"
    if not pictures.exists():
        pictures.symlink_to(source.absolute())
    with (source / "manifest.csv").open(newline="") as file:
        made = [(row, make(row)) for row in csv.DictReader(file)]
    rows = [
        {"path": f"pictures/{row['path']}", "label": row["label"], **columns}
        for row, columns in made
        if columns is not None
    ]
    files.replace_csv(out / "manifest.csv", list(rows[0]), [list(row.values()) for row in rows])


def _decides(text: str) -> bool:
    """Whether a group is one of those that decide: by its name, so that it is for ever."""
    draw = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
    return draw < VAL_SHARE


def _split(group: str) -> str:
    return "val" if _decides(group) else "train"


def _of_dfdc(row: Row) -> dict[str, str] | None:
    if row["split"] == "val":
        return None
    group, same_frame = row["group"], row["same_frame"]
    return {"group": group, "split": _split(group), "pair": group, "same_frame": same_frame}


def _of_dfdc_val(row: Row) -> dict[str, str] | None:
    return {"group": row["group"], "split": "test"} if row["split"] == "val" else None


def _of_studio(row: Row) -> dict[str, str]:
    person = row["identity"]
    return {"group": person, "split": "test" if person == EXAMPLE else _split(person)}


def _of_ffhq(row: Row) -> dict[str, str]:
    return {"split": _split(row["path"])}


_SOURCE = {"dfdc_val": "dfdc_faces"}
_LISTED = {
    "dfdc_faces": _of_dfdc,
    "dfdc_val": _of_dfdc_val,
    "studio": _of_studio,
    "ffhq_real": _of_ffhq,
}
