"""Downloads the public files of a corpus, prints the steps for the rest, and counts its clips.

    python scripts/download.py ffpp --out data/ffpp        # label files, then the manual steps
    python scripts/download.py ffpp --verify data/ffpp     # the clips that `dfjax prepare` reads

Videos are not downloaded: for nearly every corpus, the owners require that you accept their terms.
Interrupted downloads resume, and a file is kept only if its sha256 is the published one.
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

try:
    import httpx
except ModuleNotFoundError as error:
    sys.exit(f'download.py: error: {error.name} is not installed: pip install "dfjax[download]"')
import rich.box
import rich.table

from dfjax import console, corpora, progress, registry
from dfjax.corpora import ffpp, ffpp_trees
from dfjax.corpora.clip import LABELS, Clip
from dfjax.corpora.splits import SPLITS
from dfjax.errors import UserError

_TRIES = 5
_MAX_BYTES = 64 << 20  # of a label file: far more than any of them has
# Flags of --verify by parameter of the readers.
_OPTIONS = {"compression": "--compression", "ffpp_root": "--ffpp", "celebdf_root": "--celebdf"}


@dataclasses.dataclass(frozen=True)
class File:
    """A public file of the owners, and its path in the tree."""

    url: str
    path: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class Source:
    """How to get a corpus; `published` are the numbers of its real and fake clips."""

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
        "Fill in the form of https://github.com/tfzhou/FFIW; FFIW10K-v1-release-test is a separate "
        "download.",
        (9988, 9988),
    ),
    "ffpp": Source(
        "Fill in the form of https://github.com/ondyari/FaceForensics and run the script that you "
        "are sent: DIR -d all -c c23 -t videos.",
        (1000, 5000),
        tuple(_faceforensics_split(*split) for split in ffpp.SPLIT_SHA256.items()),
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
    """A failed download; `str(error)` is one line that names the cause and the fix."""


def main(argv: Sequence[str] | None = None) -> int:
    """Downloads and prints the steps, or verifies; returns the exit status."""
    arguments = _make_parser().parse_args(argv)
    try:
        options = {name: value for name in _OPTIONS if (value := getattr(arguments, name))}
        if arguments.verify:
            return 0 if verify(arguments.name, arguments.verify, options) else 1
        for name in options:
            raise UserError(f"{_OPTIONS[name]} is for --verify: leave it out")
        download(arguments.name, pathlib.Path(arguments.out))
    except (DownloadError, UserError, OSError) as error:
        console.print_line(f"download: error: {error}", error=True)
        return 2
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=sorted(SOURCES), metavar="NAME", help=", ".join(SOURCES))
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--out", metavar="DIR", help="folder for the corpus")
    action.add_argument("--verify", metavar="DIR", help="read the corpus there and count its clips")
    helps = {
        "compression": f"copy of the videos: {', '.join(ffpp_trees.COMPRESSIONS)}",
        "ffpp_root": "folder of FaceForensics++, for corpora with its reals",
        "celebdf_root": "folder of Celeb-DF v2, for corpora with its reals",
    }
    for name, flag in _OPTIONS.items():
        parser.add_argument(flag, dest=name, metavar="NAME", help=f"{helps[name]}; with --verify")
    return parser


def download(name: str, out: pathlib.Path) -> None:
    """Downloads the files of a corpus that need no consent, and prints the steps for the others.

    Raises:
      DownloadError: a file cannot be downloaded; the next call resumes it.
    """
    for file in SOURCES[name].files:
        fetch(file, out)
        print(f"{out / file.path}: as published")
    print(SOURCES[name].steps.replace("DIR", str(out)))
    print(f"Then: python scripts/download.py {name} --verify {out}")


def fetch(file: File, out: pathlib.Path, *, pause: float = 1.0) -> None:
    """Downloads a file to its path in `out`, complete and verified or not at all.

    After a dropped connection it tries again in `pause` seconds, doubled each time.

    Raises:
      DownloadError: the server refuses or keeps failing, or the file is not the published one.
    """
    path = out / file.path
    if path.exists():
        _check(path, file)
        return
    # Not `dfjax.files.replacing`, which removes what it did not finish: a download resumes.
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(_TRIES):
        try:
            _continue(file.url, part)
            break
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            if _is_refusal(error) or attempt == _TRIES - 1:
                reason = console.one_line(error)
                raise DownloadError(f"{file.url}: {reason}: the same command continues") from error
            time.sleep(pause * 2**attempt)
    try:
        _check(part, file)
    except DownloadError:
        part.unlink()
        raise
    os.replace(part, path)


def _continue(url: str, part: pathlib.Path) -> None:
    """Appends the rest to `part`, or starts over if the server cannot start in the middle.

    Raises:
      DownloadError: a redirection to what is not https, or a file of more than `_MAX_BYTES`.
      httpx.HTTPError: the server refuses, or the connection broke.
    """
    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}

    def require_secure(request: httpx.Request) -> None:
        if request.url.scheme != "https" and request.url != url:
            raise DownloadError(
                f"{url} leads to {request.url}, which is not https: tell the owners"
            )

    with (
        httpx.Client(
            event_hooks={"request": [require_secure]}, follow_redirects=True, timeout=30
        ) as client,
        client.stream("GET", url, headers=headers) as response,
    ):
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # `part` has all bytes; the checksum will say whether they are right
        response.raise_for_status()
        begin = start if response.status_code == httpx.codes.PARTIAL_CONTENT else 0
        size = begin + int(response.headers.get("Content-Length", 0))
        with (
            open(part, "ab" if begin else "wb") as file,
            progress.Progress(part.stem, size, start=begin, unit="bytes") as bar,
        ):
            for chunk in response.iter_raw():
                if file.tell() + len(chunk) > _MAX_BYTES:
                    raise DownloadError(
                        f"{url} has more than {_MAX_BYTES:,} bytes: not what it was"
                    )
                file.write(chunk)
                bar.update(file.tell())


def _is_refusal(error: httpx.HTTPError) -> bool:
    """Whether a second request would fail, too."""
    if not isinstance(error, httpx.HTTPStatusError):
        return False
    busy = (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS)
    return error.response.is_client_error and error.response.status_code not in busy


def _check(path: pathlib.Path, file: File) -> None:
    with open(path, "rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != file.sha256:
        raise DownloadError(
            f"{path} has sha256 {digest[:12]}, but {file.url} was published with "
            f"{file.sha256[:12]}: if the file exists, move it away, and run again"
        )


def verify(name: str, root: str, options: Mapping[str, str]) -> bool:
    """Prints the counts of the corpus in `root`; returns whether they are the published ones.

    Raises:
      UserError: the tree cannot be read, or the corpus does not take an option.
    """
    corpora.register_all()
    for option in options.keys() - registry.options("corpus", name):
        raise UserError(f"{name} takes no {_OPTIONS[option]}: leave it out")
    notes = logging.StreamHandler()
    notes.setFormatter(console.Formatter("download: note: %(message)s"))
    logger = logging.getLogger("dfjax.corpora")
    logger.addHandler(notes)
    try:
        clips = registry.build("corpus", name, root=root, **options)
    finally:
        logger.removeHandler(notes)
    terminal = console.make_console()
    terminal.print(_table(clips))
    counts = collections.Counter(clip.label for clip in clips)
    published = SOURCES[name].published
    for label, kind in enumerate(LABELS):
        total = f" of {published[label]:,} published" if published else ""
        terminal.print(f"{kind}: {counts[label]:,}{total}")
    return published is None or published == (counts[0], counts[1])


def _table(clips: Sequence[Clip]) -> rich.table.Table:
    table = rich.table.Table("method", *SPLITS, box=rich.box.SIMPLE_HEAD)
    counts = collections.Counter((clip.label, clip.method, clip.split) for clip in clips)
    for label, method in sorted({(clip.label, clip.method) for clip in clips}):
        table.add_row(method, *(f"{counts[label, method, split]:,}" for split in SPLITS))
    return table


if __name__ == "__main__":
    sys.exit(main())
