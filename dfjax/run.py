"""A run as an object: its config, its data, how faces were cut out, and its best weights.

WORKDIR/config.json holds the config, with the number of its format (`compatibility.RUN`) among the
fields; crop_spec.json the CropSpec; dataset.json where the prepared data lie, their digest, and the
digests of further data.
Checkpoints lie next to them (`checkpoint`), and, once the run was evaluated, its model card.
"""

import dataclasses
import functools
import json
import os
import pathlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ml_collections
from flax import linen as nn

from dfjax import checkpoint, compatibility, files, model_card, models, tree
from dfjax.buckets import workdir as bucket_workdir
from dfjax.errors import UserError
from dfjax.faces.crop_spec import CropSpec
from dfjax.familiarity import gate, store
from dfjax.model_card import ModelCard
from dfjax.run_folder import CONFIG_FILE

if TYPE_CHECKING:
    from dfjax.data.builder import Dataset
    from dfjax.data.training import Training

CROP_SPEC_FILE = "crop_spec.json"
DATASET_FILE = "dataset.json"
_FORMAT = "format"

# What evaluating, predicting and exporting read of a config, next to `model.*`: there, a missing
# field is the family's default. The other fields matter to resuming alone.
REQUIRED_FIELDS = (
    "seed",
    "select_by",
    "model.name",
    "data.dir",
    "data.train_split",
    "data.val_split",
    "data.test_split",
    "data.image_size",
    "data.num_workers",
    "data.num_threads",
    "data.prefetch",
)
# What may change from one start of a run to the next, because no weight and no choice of a
# checkpoint depends on it. Data are compared by their digest, not by their path.
_MAY_DIFFER = re.compile(
    r"compile_cache|writers|log_every|on_divergence|checkpoint_every|keep_checkpoints|eval\..*"
    r"|data\.(dir|test_split|allow_leaks|num_workers|num_threads|prefetch)"
)


@dataclasses.dataclass(frozen=True)
class Run:
    """A workdir, open for reading.

    Attributes:
      workdir: the folder of the run.
      config: as the version wrote it that began the run.
      crop_spec: how the faces were cut out that it was trained on.
    """

    workdir: pathlib.Path
    config: ml_collections.ConfigDict
    crop_spec: CropSpec

    @classmethod
    def open(cls, workdir: str | os.PathLike) -> "Run":
        """Returns the run in `workdir`, finished or not.

        Raises:
          UserError: there is none, or one of a format that this version does not read; or the
            config lacks a field that evaluating, predicting or exporting needs.
        """
        workdir = pathlib.Path(bucket_workdir.fetched(workdir))
        config = _read_config(workdir)
        if missing := [name for name in REQUIRED_FIELDS if name not in _flatten(config)]:
            raise compatibility.RUN.unreadable(workdir, f"{CONFIG_FILE} lacks {', '.join(missing)}")
        return cls(workdir, ml_collections.ConfigDict(config), _read_crop_spec(workdir))

    @functools.cached_property
    def dataset(self) -> "Dataset":
        """The data that it was trained on: where they lay then, or else where the config says.

        Raises:
          UserError: they are gone, or their faces are cut out by another CropSpec.
        """
        from dfjax.data import builder  # loads TFDS, which judging files does without

        recorded = _read_dataset(self.workdir).get("path", "")
        paths = [path for path in (recorded, self.config.data.dir) if path]
        there = [path for path in paths if builder.is_there(path)]
        if not there:
            raise UserError(
                f"{' and '.join(dict.fromkeys(paths))}, which {self.workdir} was trained on, is "
                "gone: prepare it again, or move it back"
            )
        dataset = builder.open_dataset(there[0])
        self.crop_spec.require_equal(dataset.crop_spec, where=there[0])
        return dataset

    @functools.cached_property
    def training(self) -> "Training":
        """What it was trained on: the split of its dataset, and `config.data.more`.

        Raises:
          UserError: one of them is gone.
        """
        from dfjax.data.training import Training  # as above

        data = self.config.data
        try:
            return Training.open(self.dataset, data.train_split, data.get("more", ()))
        except FileNotFoundError as error:
            raise UserError(f"{self.workdir} was trained on data.more: {error}") from error

    @functools.cached_property
    def card(self) -> ModelCard:
        """The model card that its evaluation wrote.

        Raises:
          UserError: it was not evaluated.
        """
        return model_card.read(self.workdir)

    @functools.cached_property
    def model(self) -> nn.Module:
        """The network, in float32 whatever it was trained in.

        Exports compute so, and thresholds that evaluation chooses are applied to their scores.
        """
        return models.build(**{**self.config.model, "dtype": "float32"})

    @property
    def pooling(self) -> str:
        """How the frames of a clip become one score, one of `pooling.RULES`."""
        return self.config.get("pooling", "mean")  # runs of earlier versions do not say

    def variables(self, step: int | None = None) -> tuple[dict[str, Any], int]:
        """Returns (variables as numpy arrays, step) of a checkpoint; None: of the best one.

        Raises:
          UserError: there is no such checkpoint, or it is damaged.
        """
        return checkpoint.load_variables(self.workdir, step, select_by=self.config.select_by)

    def evaluated(self) -> tuple[ModelCard, nn.Module, dict[str, Any]]:
        """Returns (card, model, variables as numpy arrays) of a run that can be used.

        Among the variables are the statistics of its gate, if it has one (`familiarity.gate`).

        Raises:
          UserError: it was not evaluated, or trained on since; or its weights or statistics are not
            those that were evaluated.
        """
        card = self.card
        variables, step = self.variables()
        if step != card.step:
            raise UserError(
                f"{self.workdir} has a better checkpoint ({step}) than the one its model card is "
                f"of ({card.step}): evaluate it again (dfjax evaluate --model {self.workdir})"
            )
        # Orbax keeps no checksum of the contents: a flipped bit would be another, silent model.
        if tree.digest(variables) != card.weights:
            raise UserError(
                f"{self.workdir}: the weights of checkpoint {step} are not those of its model "
                "card: the checkpoint is damaged; restore it, or take another"
            )
        if card.embedding is not None:
            statistics = store.read(self.workdir, card.embedding)
            variables = {**variables, gate.COLLECTION: statistics._asdict()}
        return card, self.model, variables


def require_same(
    workdir: pathlib.Path,
    config: ml_collections.ConfigDict,
    dataset: "Dataset",
    further: "Sequence[Dataset]" = (),
) -> None:
    """Checks that a run that may be in `workdir` is the one that is described.

    `further` are the datasets of `config.data.more`.
    Only what can change neither weights nor the choice of a checkpoint may differ.

    Raises:
      UserError: the workdir holds a run of another config, crop spec or data, each difference is
        named; or of a format that this version does not read; or checkpoints of nobody knows what.
    """
    if not (workdir / CONFIG_FILE).exists():
        if any((workdir / checkpoint.FOLDER).glob("[0-9]*")):
            raise UserError(
                f"{workdir} holds checkpoints, and no {CONFIG_FILE} that says of what: use a new "
                "--workdir, or put the file back"
            )
        return
    differences = _differences(_read_config(workdir), _fields(config))
    differences += _differences(_read_crop_spec(workdir).to_json(), dataset.crop_spec.to_json())
    known = _read_dataset(workdir)
    digests = [known.get("digest"), *known.get("more", [])]
    for data, digest in zip((dataset, *further), digests, strict=False):
        if data.digest != digest:
            differences.append(f"{data.place} holds other records than it was trained on")
    if differences:
        raise UserError(
            f"{workdir} holds another run: {'; '.join(differences)}: use a new --workdir "
            f"(init_from={workdir} begins with these weights), or the same settings to resume"
        )


def begin(
    workdir: pathlib.Path,
    config: ml_collections.ConfigDict,
    dataset: "Dataset",
    further: "Sequence[Dataset]" = (),
) -> None:
    """Writes down what the run in `workdir` is, new or to be resumed.

    Of a run that is there, the files then say what was asked for last.

    Raises:
      UserError: it is another one (`require_same`).
    """
    require_same(workdir, config, dataset, further)
    data = {"path": dataset.place, "digest": dataset.digest}
    data |= {"more": [each.digest for each in further]} if further else {}
    files.replace_json(workdir / CROP_SPEC_FILE, dataset.crop_spec.to_json())
    files.replace_json(workdir / DATASET_FILE, data)
    # The last one, because it says that there is a run.
    numbered = {**_fields(config), _FORMAT: compatibility.RUN.current}
    files.replace_json(workdir / CONFIG_FILE, numbered, sort_keys=True)


def _fields(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """The config as its file has it: tuples become lists."""
    return json.loads(json.dumps(config.to_dict()))


def _read_config(workdir: pathlib.Path) -> dict[str, Any]:
    path = workdir / CONFIG_FILE
    if not path.exists():
        raise UserError(f"{workdir} holds no run ({CONFIG_FILE} is missing): train first")
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise compatibility.RUN.unreadable(workdir, f"{CONFIG_FILE}: {error}") from error
    compatibility.RUN.require(config.pop(_FORMAT, None), workdir)
    return config


def _read_crop_spec(workdir: pathlib.Path) -> CropSpec:
    try:
        return CropSpec.from_json(json.loads((workdir / CROP_SPEC_FILE).read_text()))
    except (OSError, ValueError) as error:
        raise compatibility.RUN.unreadable(workdir, f"{CROP_SPEC_FILE}: {error}") from error


def _read_dataset(workdir: pathlib.Path) -> dict[str, Any]:
    try:
        return json.loads((workdir / DATASET_FILE).read_text())
    except (OSError, ValueError) as error:
        raise compatibility.RUN.unreadable(workdir, f"{DATASET_FILE}: {error}") from error


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs and matters, by dotted name.

    A missing field is the same as one that is None: there is a default for that. Evaluators that do
    not select the checkpoint may come, go and change.
    """
    selects = f"evals.{new.get('select_by', '').partition('/')[0]}."
    old, new = _flatten(old), _flatten(new)
    changed = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    return [
        f"{name} was {_show(old, name)}, is {_show(new, name)}"
        for name in changed
        if not _MAY_DIFFER.fullmatch(name)
        and (name.startswith(selects) or not name.startswith("evals."))
    ]


def _show(flat: dict[str, Any], name: str) -> str:
    return repr(flat[name]) if name in flat else "not a field"


def _flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The fields of all groups by dotted name."""
    flat = {}
    for name, value in config.items():
        is_group = isinstance(value, dict)
        flat |= _flatten(value, f"{prefix}{name}.") if is_group else {f"{prefix}{name}": value}
    return flat
