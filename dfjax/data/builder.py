"""Prepared datasets, written whole and opened for reading: ArrayRecord shards of face crops.

TFDS does not load TensorFlow here: not for writing, nor for reading images that stay encoded.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from dfjax import checksums, compatibility, console
from dfjax.buckets import data as bucket_data
from dfjax.buckets import store
from dfjax.corpora.splits import SPLITS
from dfjax.data import face_crops, record_index
from dfjax.errors import UserError
from dfjax.faces.crop_spec import CropSpec

BELOW = pathlib.PurePath(face_crops.NAME, face_crops.VERSION)
"""Where the records are in the folder of a dataset."""


def dataset_dir(data_dir: str | os.PathLike) -> pathlib.Path:
    """Returns the folder of the records below `data_dir`."""
    return pathlib.Path(data_dir, BELOW)


def is_there(data_dir: str | os.PathLike) -> bool:
    """Whether `data_dir` may hold a dataset: its folder is there, or it is in a store."""
    return store.is_url(data_dir) or dataset_dir(data_dir).is_dir()


_REMEDY = "restore it from a copy, or prepare the data again (dfjax prepare --overwrite)"


def write_dataset(data_dir: str | os.PathLike, **kwargs: Any) -> "Dataset":
    """Writes the dataset of `FaceCrops(data_dir=data_dir, **kwargs)`, whole or not at all.

    Returns it, open. The order and the bytes of the records depend only on clips and crops. Every
    clip must have a crop.
    """
    for leftover in dataset_dir(data_dir).parent.glob("incomplete.*"):  # of a run that was killed
        shutil.rmtree(leftover)
    tfds.disable_progress_bar()
    with (
        tempfile.TemporaryDirectory() as download_dir,  # stays empty
        contextlib.redirect_stdout(io.StringIO()),  # TFDS prints about downloads
    ):
        face_crops.FaceCrops(data_dir=data_dir, **kwargs).download_and_prepare(
            file_format="array_record",
            download_dir=download_dir,
            download_config=tfds.download.DownloadConfig(try_download_gcs=False),
        )
    checksums.write(dataset_dir(data_dir))
    return open_dataset(data_dir)


_COLUMNS = ("frame", "face", "box", "scale", "padded", "label", "clip", "method", "origin_ids")


class Records:
    """The records of a split as a random-access sequence, as they were written: `image` encoded.

    Texts are str, numbers are int and float, `landmarks` is a float32 array [L, 2] and `box` a
    float32 array [4].
    """

    def __init__(self, source: Any, labels: np.ndarray):
        """`source` is TFDS's sequence of the same records, `labels` int32 [N] are theirs."""
        self._source, self.labels = source, labels

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        record = self._source[index]
        return {
            **record,
            **{name: record[name].decode() for name in ("clip", "method", "origin_ids")},
        }

    def column(self, name: str) -> np.ndarray:
        """Returns one field of every record, [N] (`box`: [N, 4]), in order; decodes no image.

        Raises:
          UserError: there is no such field, or its values are arrays of different sizes.
        """
        if name not in _COLUMNS:
            raise UserError(f"records have no column {name!r}: use one of {', '.join(_COLUMNS)}")
        if name == "label":
            return self.labels
        return np.array([self[index][name] for index in range(len(self))])


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A prepared dataset, open for reading. Equal ones are the same records at the same path.

    Attributes:
      path: the folder that `dfjax prepare --out` was given, or a local copy of one in a store.
      digest: a text that changes whenever `dfjax prepare` writes other records.
      builder: TFDS's view of the dataset.
    """

    path: pathlib.Path
    digest: str
    builder: tfds.core.DatasetBuilder = dataclasses.field(compare=False, repr=False)
    _labels: dict[str, np.ndarray] = dataclasses.field(compare=False, repr=False)
    _copy: bucket_data.Copy | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """What it is called in messages and reports: its URL, or the path that was given."""
        return str(self.path) if self._copy is None else self._copy.url

    @property
    def place(self) -> str:
        """Where it is for every process: its URL, or its absolute path."""
        return os.path.abspath(self.path) if self._copy is None else self._copy.url

    @property
    def metadata(self) -> dict[str, Any]:
        """How the records were made, and their counts and coverage by split and class."""
        return self.builder.info.metadata

    @property
    def crop_spec(self) -> CropSpec:
        """How the faces were cut out.

        Raises:
          UserError: this version does not know the spec.
        """
        try:
            return CropSpec.from_json(self.metadata["crop_spec"])
        except ValueError as error:
            raise compatibility.DATASET.unreadable(self.path, error) from error

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that it has, train first."""
        return tuple(split for split in SPLITS if split in self._labels)

    @property
    def boxes_from_original(self) -> bool:
        """Whether fakes were cut where their originals show a face.

        A score on them then uses the original, which deployment does not have. It is not a part of
        the CropSpec, because a model trained on such data accepts crops of any other.
        """
        return bool(self.metadata.get("boxes_from_original", False))

    def labels(self, split: str) -> np.ndarray:
        """Returns the labels of a split, int32 [N], 0 real and 1 fake; reads no record.

        Raises:
          UserError: the dataset has no such split.
        """
        if split not in self._labels:
            choices = ", ".join(self.splits)
            raise UserError(f"{self.path} has no split {split!r}: use one of {choices}")
        return self._labels[split]

    def records(self, split: str) -> Records:
        """Returns the records of a split, in an order that was shuffled when they were written.

        Raises:
          UserError: the dataset has no such split.
        """
        labels = self.labels(split)
        decoders = {"image": tfds.decode.SkipDecoding()}  # TensorFlow would decode images
        source = self.builder.as_data_source(split, decoders=decoders)
        if self._copy is not None:
            info = self.builder.info.splits[split]
            shards = zip(sorted(info.filenames), info.shard_lengths, strict=True)
            source = bucket_data.Filling(source, self._copy, list(shards))
        return Records(source, labels)

    def fill(self) -> None:
        """Starts to copy all records of a dataset in a store, which else come as they are read."""
        if self._copy is not None:
            self._copy.fill()

    def index(self, split: str) -> record_index.Index:
        """Returns what is known of the records of a split; reads them only if it is not stored.

        Raises:
          UserError: the dataset has no such split, or what is stored is damaged.
        """
        file = dataset_dir(self.path) / record_index.FILE
        if not file.is_file():  # an earlier version made it
            return record_index.read_records(
                self.records(split), boxes_from_original=self.boxes_from_original
            )
        try:
            return record_index.read(file, split, self.labels(split))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            reason = f"{record_index.FILE}: {error}"
            raise compatibility.DATASET.unreadable(self.path, reason) from error

    def column(self, split: str, name: str) -> np.ndarray:
        """Returns `Records.column` of a split: `column("train", "scale")` is float [N]."""
        return self.records(split).column(name)


def open_dataset(data_dir: str | os.PathLike) -> Dataset:
    """Returns the dataset that `dfjax prepare --out data_dir` made, in a folder or in a store.

    Raises:
      FileNotFoundError: there is none.
      UserError: it is damaged, or of a format that this version does not read; or the store cannot
        be read.
    """
    copy = None
    if store.is_url(data_dir):
        copy = bucket_data.Copy(os.fspath(data_dir), BELOW.as_posix())
        data_dir = copy.path
    folder = dataset_dir(data_dir)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{data_dir} holds no prepared dataset: run dfjax prepare --out {data_dir} to its end"
        )
    # Checked before TFDS opens it, whose messages about another format would not say what to do.
    try:
        number = json.loads((folder / "metadata.json").read_text()).get("format")
    except (OSError, ValueError) as error:
        raise compatibility.DATASET.unreadable(data_dir, f"metadata.json: {error}") from error
    compatibility.DATASET.require(number, data_dir)
    if checksums.is_in(folder):
        try:
            checksums.check(folder, whole=False, may_lack=copy is not None)
        except checksums.DamagedError as error:
            raise UserError(f"{error}: {_REMEDY}") from error
    try:
        view = tfds.builder_from_directory(folder)
    except Exception as error:  # protobuf's error has no base class in common with TFDS's
        reason = f"dataset_info.json: {console.one_line(error)}"
        raise compatibility.DATASET.unreadable(data_dir, reason) from error
    sizes = {split: info.num_examples for split, info in view.info.splits.items()}
    try:
        labels = _read_labels(folder / face_crops.LABELS_FILE, sizes)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise compatibility.DATASET.unreadable(
            data_dir, f"{face_crops.LABELS_FILE}: {error}"
        ) from error
    return Dataset(pathlib.Path(data_dir), _digest(folder), view, labels, copy)


def verify(data_dir: str | os.PathLike) -> Iterator[checksums.Compared]:
    """Reads every byte of the dataset in `data_dir`, and compares it with what was written.

    Raises:
      FileNotFoundError: there is none.
      UserError: its list of files cannot be read; or it has none, because an earlier version
        prepared it.
    """
    folder = dataset_dir(data_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"{data_dir} holds no prepared dataset")
    if not checksums.is_in(folder):
        raise UserError(
            f"{folder} has no {checksums.FILE}: an earlier version prepared it, and wrote down no "
            "checksums; prepare it again (dfjax prepare --overwrite)"
        )
    return checksums.compare(folder)


def open_split(name: str) -> tuple[Dataset, str]:
    """Returns the dataset in DIR and the split of the name "DIR:SPLIT".

    Raises:
      UserError: it is not DIR:SPLIT, or DIR holds a dataset that cannot be read.
      FileNotFoundError: DIR holds no dataset.
    """
    data_dir, _, split = name.rpartition(":")
    if not data_dir:
        raise UserError(f"{name!r} is not a split: give DIR:SPLIT, for example data/mine:test")
    return open_dataset(data_dir), split


def _read_labels(file: pathlib.Path, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """The labels of each split, which has `sizes[split]` records."""
    # From memory: numpy leaves a damaged file open.
    with np.load(io.BytesIO(file.read_bytes())) as arrays:
        labels = {split: arrays[split] for split in sizes}
    for split, size in sizes.items():
        if labels[split].shape != (size,):
            raise ValueError(f"{labels[split].shape} labels for the {size} records of {split}")
    return {split: np.asarray(values, np.int32) for split, values in labels.items()}


def _digest(folder: pathlib.Path) -> str:
    # Sizes stand for the contents of the shards, which are too large to read for this.
    # The checksums are left out, which earlier versions did not write; they know sizes of files
    # that are not copied yet.
    sizes = _sizes(folder)
    arrays = (face_crops.LABELS_FILE, record_index.FILE)
    small = ("dataset_info.json", "metadata.json", *arrays)
    contents = [(folder / name).read_bytes() for name in small if (folder / name).exists()]
    return hashlib.sha256(repr((sizes, contents)).encode()).hexdigest()[:32]


def _sizes(folder: pathlib.Path) -> list[tuple[str, int]]:
    """Names and sizes of the files of a dataset, of which some may not be here yet."""
    there = {file.name: file.stat().st_size for file in folder.iterdir() if file.name[0] != "."}
    there.pop(checksums.FILE, None)
    listed = checksums.sizes(folder) if checksums.is_in(folder) else {}
    return sorted((listed | there).items())
