"""The one TFDS dataset, `face_crops`: how records of aligned face crops are written.

`labels.npz` next to the shards holds the labels of each split, in the order of its records, and
`index.npz` what else is asked of all records, so that nothing has to read them to count, balance or
pair them.
"""

import os
import pathlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from dfjax import compatibility
from dfjax.corpora.clip import LABELS, Clip
from dfjax.corpora.splits import SPLITS
from dfjax.data import record_index

NAME = "face_crops"
VERSION = "1.0.0"  # names a folder; `compatibility.DATASET` decides what can be read
LABELS_FILE = "labels.npz"
_FORMAT = tfds.core.FileFormat.ARRAY_RECORD

_DESCRIPTION = (
    "Face crops of real and manipulated videos and pictures. `metadata` holds the CropSpec that "
    "every consumer has to share, the versions that made the crops, and counts by split and class."
)


class FaceCrops(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes the crops of clips as `DATA_DIR/face_crops/1.0.0`; `builder` reads them.

    `crops_of` maps a clip to its crops, dicts with the fields from `image` (encoded) to `padded`;
    the clip gives the other fields.
    """

    # Not registered, so that `tfds.load("face_crops", data_dir=...)` reads the files in data_dir.
    name = NAME
    VERSION = tfds.core.Version(VERSION)
    # Nothing is downloaded. To look for checksums, TFDS would import a package it does not require.
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
        lent: Collection[str] = (),
        shard_written: Callable[[pathlib.Path], None] | None = None,
    ):
        """`size` is the side of the crops, `encoding` "jpeg" or "png", `metadata` plain JSON.

        `lent` are the keys of the fakes that were cut where their originals show faces.
        `shard_written` is called with the file of each shard once it is whole.
        """
        self._shard_written = shard_written
        self._clips, self._crops_of, self._lent = clips, crops_of, lent
        self._size, self._encoding, self._metadata = size, encoding, metadata
        self._places: dict[str, list[record_index.Place]] = {}  # by the name of the shard
        super().__init__(data_dir=data_dir)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=_features(self._size, self._encoding),
            metadata=tfds.core.MetadataDict(format=compatibility.DATASET.current, **self._metadata),
        )

    def _example_writer(self) -> "_CanonicalWriter":
        return _CanonicalWriter(self.info.file_format, self._places, self._shard_written)

    def _download_and_prepare(self, **kwargs: Any) -> None:
        # TFDS calls this inside the folder that it renames when the dataset is complete.
        super()._download_and_prepare(**kwargs)
        indices = {}
        for split, info in self.info.splits.items():
            places = [each for name in sorted(info.filenames) for each in self._places[name]]
            places = record_index.Places.of(places, self._clips)
            indices[split] = record_index.make(places, self._clips, self._lent)
        _write_indices(self.data_path, indices)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        del dl_manager  # the clips are on disk
        by_split = {
            split: [clip for clip in self._clips if clip.split == split] for split in SPLITS
        }
        return {split: self._generate_examples(clips) for split, clips in by_split.items() if clips}

    def _generate_examples(self, clips: Sequence[Clip]) -> Iterator[tuple[str, dict[str, Any]]]:
        for clip in clips:
            yield from examples(clip, crops_of=self._crops_of)


def shard_name(split: str, number: int, count: int) -> str:
    """Returns the name of a shard of a split that has `count` of them."""
    return f"{NAME}-{split}.{_FORMAT.file_suffix}-{number:05d}-of-{count:05d}"


def write_shard(
    path: pathlib.Path,
    clips: Iterable[Clip],
    *,
    crops_of: Callable[[Clip], Iterable[dict[str, Any]]],
    size: int,
    encoding: str,
) -> tuple[list[record_index.Place], int]:
    """Writes the crops of clips, in their order; returns their places, and the bytes of records."""
    features = _features(size, encoding)
    serializer = tfds.core.example_serializer.ExampleSerializer(features.get_serialized_info())
    places: dict[str, list[record_index.Place]] = {}
    num_bytes = 0

    def serialized() -> Iterator[tuple[str, bytes]]:
        nonlocal num_bytes
        for clip in clips:
            for key, record in examples(clip, crops_of=crops_of):
                data = serializer.serialize_example(features.encode_example(record))
                num_bytes += len(data)
                yield key, data

    _CanonicalWriter(_FORMAT, places, None).write(path, serialized())
    return places[path.name], num_bytes


def write_index(
    folder: pathlib.Path,
    shards: Mapping[str, Sequence[tuple[int, int]]],
    indices: Mapping[str, record_index.Index],
    *,
    size: int,
    encoding: str,
    metadata: dict[str, Any],
) -> None:
    """Writes what makes shards a dataset: everything that lies beside them.

    `shards` are, by split, how many records and how many bytes of them each shard has, in order.
    """
    made = FaceCrops(
        data_dir=folder, clips=(), crops_of=dict, size=size, encoding=encoding, metadata=metadata
    )
    made.info.set_file_format(_FORMAT, override=True)
    splits = [
        tfds.core.SplitInfo(
            name=split,
            shard_lengths=[num_records for num_records, _ in sizes],
            num_bytes=sum(num_bytes for _, num_bytes in sizes),
            filename_template=tfds.core.ShardedFileTemplate(
                data_dir=folder,
                dataset_name=NAME,
                split=split,
                filetype_suffix=_FORMAT.file_suffix,
            ),
        )
        for split, sizes in shards.items()
    ]
    made.info.set_splits(tfds.core.splits.SplitDict(splits))
    made.info.write_to_directory(folder)
    _write_indices(folder, indices)


def _write_indices(folder: pathlib.Path, indices: Mapping[str, record_index.Index]) -> None:
    np.savez(folder / LABELS_FILE, **{split: index.label for split, index in indices.items()})
    record_index.write(folder / record_index.FILE, indices)


def _features(size: int, encoding: str) -> tfds.features.FeaturesDict:
    features = {
        "image": tfds.features.Image(shape=(size, size, 3), encoding_format=encoding),
        "frame": np.int32,  # among the frames that decode; that of the clip for a picture
        "time": np.float32,  # seconds from the first frame of a video; else nan
        "face": np.int32,  # within the frame, by falling size
        "landmarks": tfds.features.Tensor(shape=(None, 2), dtype=np.float32),
        "box": tfds.features.Tensor(shape=(4,), dtype=np.float32),
        "scale": np.float32,
        "padded": np.float32,
        "label": tfds.features.ClassLabel(names=list(LABELS)),
        "clip": tfds.features.Text(),
        "method": tfds.features.Text(),
        "origin_ids": tfds.features.Text(),  # ids joined by ";"
    }
    return tfds.features.FeaturesDict(features)


class _CanonicalWriter(tfds.core.writer.ExampleWriter):
    """Notes the place of each record, and fixes the order of the fields in a record.

    Protobuf leaves that order to chance; here, the same data give the same bytes.
    """

    def __init__(
        self,
        file_format: Any,
        places: dict[str, list[record_index.Place]],
        written: Callable[[pathlib.Path], None] | None,
    ):
        super().__init__(file_format)
        self._places, self._written = places, written

    def write(self, path: Any, examples: Iterable[tuple[Any, bytes]]) -> Any:
        places = self._places[pathlib.Path(path).name] = []

        def canonical() -> Iterator[tuple[Any, bytes]]:
            for key, serialized in examples:
                example = tf_example_pb2.Example.FromString(serialized)
                places.append(_place(example))
                yield key, example.SerializeToString(deterministic=True)

        done = super().write(path, canonical())
        if self._written is not None:
            self._written(pathlib.Path(path))
        return done


def _place(example: tf_example_pb2.Example) -> record_index.Place:
    feature = example.features.feature
    frame, face = (feature[name].int64_list.value[0] for name in ("frame", "face"))
    return feature["clip"].bytes_list.value[0].decode(), frame, face


def examples(
    clip: Clip, *, crops_of: Callable[[Clip], Iterable[dict[str, Any]]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (key, record) for every crop of a clip; keys are unique as clip keys are."""
    for crop in crops_of(clip):
        record = {
            **crop,
            "frame": clip.frame + crop["frame"],
            "label": clip.label,
            "clip": clip.key,
            "method": clip.method,
            "origin_ids": ";".join(clip.origin_ids),
        }
        yield f"{clip.key}#{record['frame']}#{crop['face']}", record
