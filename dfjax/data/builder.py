"""The one TFDS dataset, `face_crops`: records of aligned face crops in ArrayRecord shards.

TFDS leaves TensorFlow unloaded here, when writing and, with images kept encoded, when reading.
"""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from dfjax import compatibility
from dfjax.corpora.clip import Clip
from dfjax.corpora.splits import SPLITS
from dfjax.errors import UserError
from dfjax.faces.crop_spec import CropSpec

NAME = "face_crops"
VERSION = "1.0.0"  # a folder's name to TFDS; what can be read is said by `compatibility.DATASET`

_DESCRIPTION = (
    "Face crops of real and manipulated videos and pictures. `metadata` holds the CropSpec that "
    "every consumer has to share, the versions that made the crops, and counts by split and class."
)


class FaceCrops(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes the crops of clips as `DATA_DIR/face_crops/1.0.0`; read them with `open_dataset`.

    `crops_of` maps a clip to its crops, dicts with the fields from `image` (encoded) to `padded`;
    the clip gives the others.
    """

    # Not registered: `tfds.load("face_crops", data_dir=...)` then reads what lies there.
    name = NAME
    VERSION = tfds.core.Version(VERSION)
    # Nothing is downloaded; looking for checksums, TFDS would import a package it does not require.
    url_infos = None

    def __init__(
        self,
        *,
        data_dir: str | os.PathLike,
        clips: Sequence[Clip],
        crops_of: Callable[[Clip], Iterable[dict[str, Any]]],
        size: int,
        encoding: str,
        metadata: dict[str, Any],
    ):
        """`size` is the side of the crops, `encoding` "jpeg" or "png", `metadata` plain JSON."""
        self._clips, self._crops_of = clips, crops_of
        self._size, self._encoding, self._metadata = size, encoding, metadata
        super().__init__(data_dir=data_dir)

    def _info(self) -> tfds.core.DatasetInfo:
        image = tfds.features.Image(
            shape=(self._size, self._size, 3), encoding_format=self._encoding
        )
        features = {
            "image": image,
            "frame": np.int32,  # among the frames that decode; 0 of a picture
            "face": np.int32,  # within the frame, by falling size
            "landmarks": tfds.features.Tensor(shape=(None, 2), dtype=np.float32),
            "box": tfds.features.Tensor(shape=(4,), dtype=np.float32),
            "scale": np.float32,
            "padded": np.float32,
            "label": tfds.features.ClassLabel(names=["real", "fake"]),
            "clip": tfds.features.Text(),
            "method": tfds.features.Text(),
            "origin_ids": tfds.features.Text(),  # ids joined by ";"
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(format=compatibility.DATASET.current, **self._metadata),
        )

    def _example_writer(self) -> "_CanonicalWriter":
        return _CanonicalWriter(self.info.file_format)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        del dl_manager  # the clips are on disk
        by_split = {
            split: [clip for clip in self._clips if clip.split == split] for split in SPLITS
        }
        return {split: self._generate_examples(clips) for split, clips in by_split.items() if clips}

    def _generate_examples(self, clips: Sequence[Clip]) -> Iterator[tuple[str, dict[str, Any]]]:
        for clip in clips:
            yield from examples(clip, crops_of=self._crops_of)


class _CanonicalWriter(tfds.core.writer.ExampleWriter):
    """Orders the fields of a record, which protobuf leaves to chance: same data, same bytes."""

    def write(self, path: Any, examples: Iterable[tuple[Any, bytes]]) -> Any:
        parse = tf_example_pb2.Example.FromString
        canonical = (
            (key, parse(example).SerializeToString(deterministic=True)) for key, example in examples
        )
        return super().write(path, canonical)


def examples(
    clip: Clip, *, crops_of: Callable[[Clip], Iterable[dict[str, Any]]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (key, record) for every crop of a clip; keys are unique as clip keys are."""
    for crop in crops_of(clip):
        record = {
            **crop,
            "label": clip.label,
            "clip": clip.key,
            "method": clip.method,
            "origin_ids": ";".join(clip.origin_ids),
        }
        yield f"{clip.key}#{crop['frame']}#{crop['face']}", record


def dataset_dir(data_dir: str | os.PathLike) -> pathlib.Path:
    """Returns the folder of the records below `data_dir`."""
    return pathlib.Path(data_dir, NAME, VERSION)


def write_dataset(data_dir: str | os.PathLike, **kwargs: Any) -> None:
    """Writes the dataset of `FaceCrops(data_dir=data_dir, **kwargs)`, complete or not at all.

    Order and bytes of the records depend on clips and crops alone. Every clip must have a crop.
    """
    for leftover in dataset_dir(data_dir).parent.glob("incomplete.*"):  # of a run that was killed
        shutil.rmtree(leftover)
    tfds.disable_progress_bar()
    with (
        tempfile.TemporaryDirectory() as download_dir,  # stays empty
        contextlib.redirect_stdout(io.StringIO()),  # talk of downloads
    ):
        FaceCrops(data_dir=data_dir, **kwargs).download_and_prepare(
            file_format="array_record",
            download_dir=download_dir,
            download_config=tfds.download.DownloadConfig(try_download_gcs=False),
        )


_COLUMNS = ("frame", "face", "box", "scale", "padded", "label", "clip", "method", "origin_ids")


class Records:
    """The records of a split as a random-access sequence, as they were written: `image` encoded.

    Texts are str; numbers int and float; `landmarks` float32 [L, 2] and `box` float32 [4] arrays.
    """

    def __init__(self, source: Any):
        self._source = source

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
          UserError: no such field, or one whose values are no numbers or texts of equal size.
        """
        if name not in _COLUMNS:
            raise UserError(f"records have no column {name!r}: use one of {', '.join(_COLUMNS)}")
        return np.array([self[index][name] for index in range(len(self))])


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A prepared dataset, open for reading; `builder` is TFDS's view of it."""

    path: pathlib.Path
    builder: tfds.core.DatasetBuilder

    @property
    def metadata(self) -> dict[str, Any]:
        """How the records were made, and their counts and coverage by split and class."""
        return self.builder.info.metadata

    @property
    def crop_spec(self) -> CropSpec:
        """How the faces were cut out.

        Raises:
          UserError: by a spec that this version does not know.
        """
        try:
            return CropSpec.from_json(self.metadata["crop_spec"])
        except ValueError as error:
            raise compatibility.DATASET.unreadable(self.builder.data_path, error) from error

    @property
    def boxes_from_original(self) -> bool:
        """Whether fakes were cut out where their originals show a face.

        A score on them then uses what deployment does not have: the original. It is no part of the
        CropSpec, because a model of such data can be given crops of any other.
        """
        # Before there was a choice, every fake was searched itself.
        return bool(self.metadata.get("boxes_from_original", False))

    def records(self, split: str) -> Records:
        """Returns the records of a split, shuffled once and for all; TensorFlow stays unloaded.

        Raises:
          UserError: the dataset has no such split.
        """
        splits = self.builder.info.splits
        if split not in splits:
            raise UserError(
                f"{self.builder.data_path} has no split {split!r}: use one of {', '.join(splits)}"
            )
        decoders = {"image": tfds.decode.SkipDecoding()}
        return Records(self.builder.as_data_source(split, decoders=decoders))

    def column(self, split: str, name: str) -> np.ndarray:
        """Returns `Records.column` of a split: `column("train", "scale")` is float [N]."""
        return self.records(split).column(name)


def open_dataset(data_dir: str | os.PathLike) -> Dataset:
    """Returns the dataset that `dfjax prepare --out data_dir` made.

    Raises:
      FileNotFoundError: none is there.
      UserError: it is damaged, or of a format that this version does not read.
    """
    path = dataset_dir(data_dir)
    if not path.is_dir():
        raise FileNotFoundError(
            f"{data_dir} holds no prepared dataset: run dfjax prepare --out {data_dir} to its end"
        )
    # Before TFDS looks at it: of another format, it might fail in words of its own.
    try:
        found = json.loads((path / "metadata.json").read_text()).get("format")
    except (OSError, ValueError) as error:
        raise compatibility.DATASET.unreadable(data_dir, f"metadata.json: {error}") from error
    compatibility.DATASET.require(found, data_dir)
    return Dataset(pathlib.Path(data_dir), tfds.builder_from_directory(path))
