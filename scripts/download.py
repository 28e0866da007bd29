"""Gets what the terms of a corpus let a program get, says how to get the rest, and counts the tree.

    python scripts/download.py ffpp --out data/ffpp        # label files, then the steps by hand
    python scripts/download.py ffpp --verify data/ffpp     # what `dfjax prepare` would read of it

Videos are not fetched: nearly every corpus is given out by its owners to those who accept its
terms. What is fetched resumes where it stopped and is kept only if its sha256 is the known one.
"""

import argparse
import collections
import dataclasses
import hashlib
import logging
import os
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence

import httpx
import rich.box
import rich.console
import rich.table

from dfjax import corpora, progress, registry
from dfjax.corpora.clip import LABELS, Clip
from dfjax.corpora.splits import SPLITS
from dfjax.errors import UserError

_TRIES = 5


@dataclasses.dataclass(frozen=True)
class File:
    """A file that the owners publish for everybody, and its place in the tree."""

    url: str
    path: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a corpus comes from; `published` are the numbers of its real and fake clips."""

    steps: str
    published: tuple[int, int] | None = None
    files: tuple[File, ...] = ()


def _faceforensics_split(split: str, sha256: str) -> File:
    url = "https://raw.githubusercontent.com/ondyari/FaceForensics/master/dataset/splits/"
    return File(f"{url}{split}.json", f"{split}.json", sha256)


_CELEBDF = (
    "Fill in the form of https://github.com/yuezunli/celeb-deepfakeforensics and unpack what you "
    "are sent: Celeb-real/, YouTube-real/, Celeb-synthesis/ and List_of_testing_videos.txt."
)
SOURCES = {
    "celebdf_pp": Source(
        "Fill in the form of https://github.com/OUC-VAS/Celeb-DF-PP and unpack what you are sent."
    ),
    "celebdf_v1": Source(_CELEBDF, (408, 795)),
    "celebdf_v2": Source(_CELEBDF, (890, 5639)),
    "deepfakebench": Source(
        "Follow https://github.com/SCLBD/DeepfakeBench to the preprocessed faces, after accepting "
        "the terms of each corpus in them, and to dataset_json/; put both into one folder."
    ),
    "deeperforensics": Source(
        "Fill in the form of https://github.com/EndlessSora/DeeperForensics-1.0, run the owners' "
        "unzip.sh, and get the reals: the originals of ffpp in c23. Verify with --ffpp DIR.",
        (1000, 11_000),
    ),
    "df40": Source(
        "Follow https://github.com/YZY-stack/DF40; the reals are the faces of deepfakebench."
    ),
    "dfd": Source(
        "Fill in the form of https://github.com/ondyari/FaceForensics, and run the script that you "
        "are sent twice: DIR -d DeepFakeDetection -c c23 -t videos, and the same with -d "
        "DeepFakeDetection_original.",
        (363, 3068),
    ),
    "dfdc": Source(
        "Accept the rules of https://www.kaggle.com/c/deepfake-detection-challenge and download "
        "the 50 archives from its page Data; unpack them into train/. validation/ and test/ with "
        "their labels: https://ai.meta.com/datasets/dfdc.",
        (23_654, 104_500),
    ),
    "dfdcp": Source(
        "Accept the terms of https://ai.meta.com/datasets/dfdc, and unpack dfdc_preview_set.",
        (1131, 4119),
    ),
    "ffiw": Source(
        "Fill in the form of https://github.com/tfzhou/FFIW; FFIW10K-v1-release-test is a download "
        "of its own.",
        (9988, 9988),
    ),
    "ffpp": Source(
        "Fill in the form of https://github.com/ondyari/FaceForensics and run the script that you "
        "are sent: DIR -d all -c c23 -t videos.",
        (1000, 5000),
        (
            _faceforensics_split(
                "train", "e59386911255e6fb0a79a7808ec2210536b8c0474268342694c4bca766d1b347"
            ),
            _faceforensics_split(
                "val", "b48cc511f66938e05356aaa9c67e150b1e3638c355db3d745225b0022884b36e"
            ),
            _faceforensics_split(
                "test", "886f5a0da623c25820692e0d8dc33d197ddb1db527a7f1cfcb9bcbca60fe4f40"
            ),
        ),
    ),
    "folder": Source("Your own files: lay them out as dfjax prepare --help says."),
    "pathlist": Source(
        "Your own lists of frames, as https://github.com/yermandy/GenD writes them."
    ),
    "synthetic": Source("Nothing to get: dfjax prepare --corpus synthetic draws it."),
    "uadfv": Source(
        "Accept the terms in the owners' form, https://docs.google.com/forms/d/e/"
        "1FAIpQLScKPoOv15TIZ9Mn0nGScIVgKRM9tFWOmjh9eHKx57Yp-XcnxA/viewform.",
        (49, 49),
    ),
    "wilddeepfake": Source(
        "Accept the agreement of https://github.com/OpenTAI/wild-deepfake; then, with "
        "huggingface_hub installed: hf download xingjunm/WildDeepfake --repo-type dataset "
        "--local-dir DIR. Unpack each archive in the folder that it lies in.",
        (3805, 3509),
    ),
}


class DownloadError(Exception):
    """A file that could not be had; `str(error)` is one line that names the cause and the fix."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fetches and explains, or verifies; returns the exit status."""
    arguments = _make_parser().parse_args(argv)
    try:
        if arguments.verify:
            options = {
                "compression": arguments.compression,
                "ffpp_root": arguments.ffpp,
                "celebdf_root": arguments.celebdf,
            }
            given = {name: value for name, value in options.items() if value}
            return 0 if verify(arguments.name, arguments.verify, given) else 1
        download(arguments.name, pathlib.Path(arguments.out))
    except (DownloadError, ValueError, OSError) as error:
        print(f"download: error: {error}", file=sys.stderr)
        return 2
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=sorted(SOURCES), metavar="NAME", help=", ".join(SOURCES))
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--out", metavar="DIR", help="folder for the corpus")
    action.add_argument("--verify", metavar="DIR", help="read the corpus there and count its clips")
    parser.add_argument("--compression", help="of ffpp and dfd: raw, c23 (the default) or c40")
    parser.add_argument("--ffpp", metavar="DIR", help="FaceForensics++, where reals come from it")
    parser.add_argument("--celebdf", metavar="DIR", help="Celeb-DF v2, where reals come from it")
    return parser


def download(name: str, out: pathlib.Path) -> None:
    """Fetches the files of a corpus that need no consent, and prints the steps for the others.

    Raises:
      DownloadError: a file could not be had; what came of it is continued next time.
    """
    for file in SOURCES[name].files:
        fetch(file, out)
        print(f"{out / file.path}: as published")
    print(SOURCES[name].steps.replace("DIR", str(out)))
    print(f"Then: python scripts/download.py {name} --verify {out}")


def fetch(file: File, out: pathlib.Path, *, pause: float = 1.0) -> None:
    """Puts a file into its place in `out`, complete and verified or not at all.

    A dropped connection is tried again after `pause` seconds, and twice as long each time after.

    Raises:
      DownloadError: it is refused, keeps failing, or is not the file that was published.
    """
    path = out / file.path
    if path.exists():
        _check(path, file)
        return
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(_TRIES):
        try:
            _continue(file.url, part)
            break
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            if _is_refusal(error) or attempt == _TRIES - 1:
                reason = " ".join(str(error).split())
                raise DownloadError(f"{file.url}: {reason}: the same command continues") from error
            time.sleep(pause * 2**attempt)
    try:
        _check(part, file)
    except DownloadError:
        part.unlink()
        raise
    os.replace(part, path)


def _continue(url: str, part: pathlib.Path) -> None:
    """Appends to `part` what it lacks, or begins anew if the server cannot start in the middle."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=30) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # there is no more: the checksum tells whether it is right
        response.raise_for_status()
        begin = start if response.status_code == httpx.codes.PARTIAL_CONTENT else 0
        size = begin + int(response.headers.get("Content-Length", 0))
        with (
            open(part, "ab" if begin else "wb") as file,
            progress.Progress(part.stem, size, start=begin, unit="bytes") as bar,
        ):
            for chunk in response.iter_raw():
                file.write(chunk)
                bar.update(file.tell())


def _is_refusal(error: httpx.HTTPError) -> bool:
    """Whether to ask again is no use."""
    if not isinstance(error, httpx.HTTPStatusError):
        return False
    busy = (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS)
    return error.response.is_client_error and error.response.status_code not in busy


def _check(path: pathlib.Path, file: File) -> None:
    with open(path, "rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != file.sha256:
        raise DownloadError(
            f"{path} has sha256 {digest[:12]}, and {file.url} was published with "
            f"{file.sha256[:12]}: if it is there, move it away, and run again"
        )


def verify(name: str, root: str, options: Mapping[str, str]) -> bool:
    """Prints the clips of the corpus in `root`; returns whether they are as many as published.

    Raises:
      UserError: the tree cannot be read, or the corpus has no such option.
    """
    corpora.register_all()
    for option in options.keys() - registry.options("corpus", name):
        raise UserError(f"{name} takes no {option}: leave it out")
    notes = logging.StreamHandler()
    notes.setFormatter(logging.Formatter("download: note: %(message)s"))
    logger = logging.getLogger("dfjax.corpora")
    logger.addHandler(notes)
    try:
        clips = registry.build("corpus", name, root=root, **options)
    finally:
        logger.removeHandler(notes)
    console = rich.console.Console(soft_wrap=True)
    console.print(_table(clips))
    found = collections.Counter(clip.label for clip in clips)
    published = SOURCES[name].published
    for label, kind in enumerate(LABELS):
        total = f" of {published[label]:,} published" if published else ""
        console.print(f"{kind}: {found[label]:,}{total}")
    return published is None or published == (found[0], found[1])


def _table(clips: Sequence[Clip]) -> rich.table.Table:
    table = rich.table.Table("method", *SPLITS, box=rich.box.SIMPLE_HEAD)
    counts = collections.Counter((clip.label, clip.method, clip.split) for clip in clips)
    for label, method in sorted({(clip.label, clip.method) for clip in clips}):
        table.add_row(method, *(f"{counts[label, method, split]:,}" for split in SPLITS))
    return table


if __name__ == "__main__":
    sys.exit(main())
