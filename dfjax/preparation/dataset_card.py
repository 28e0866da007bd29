"""What a prepared dataset is: `dataset_card.html` for people, `dataset_card.json` for programs.

The keys of dataset_card.json:

    dataset       digest of the records that it describes
    prepared      the dataset's metadata: format, corpus, seed, synthetic, crop_spec, frames,
                  versions, boxes_from_original (fakes were cut where their originals show a face,
                  all but own_boxes of them), strict (the rule of --strict, null if the corpus has
                  none), coverage by split and class, orphans (by split the number of fakes, and
                  of those whose originals are absent), warnings, and `methods`, the counts by
                  split, class and method: clips, of these failed and no_face, and crops
    sample        the crops that were measured, at most SAMPLE of a class and split, drawn by the
                  dataset's seed: `crops` by split and class
    cues          for each cue of `CUES`: the `edges` of its histogram, and by class the share of
                  the sampled crops in each bin (`histogram`) and the 5th, 50th and 95th percentile
                  (`percentiles`); `auc`: how well the cue alone separates fake from real, 0.5 to 1
    trivial_cues  for each split but train: the `auc` of the trivial-cue baseline fitted to train,
                  its `light` ("low", "raised", "high"), and the `clips` of the rarer class in it;
                  null if a class is missing
    audit         `dfjax.data.leaks.Audit` of these records, null if there is none
"""

import dataclasses
import functools
import json
import math
import pathlib
from collections.abc import Callable
from typing import Any

import jinja2
import numpy as np
import sklearn.metrics

from dfjax import files, html_template, progress
from dfjax.corpora.clip import LABELS
from dfjax.data import leaks
from dfjax.data.builder import Dataset
from dfjax.evaluators import trivial_cues
from dfjax.media import image as media_image

HTML, JSON = "dataset_card.html", "dataset_card.json"
SAMPLE = 4_000  # crops of a class and split

_MAX_READ = 5 * SAMPLE  # records of a split, if a class is rare
_SHEET, _THUMBNAIL = 24, 96  # crops of a contact sheet, and their side
_BINS = 24
_RAISED, _HIGH = 0.6, 0.7  # AUC of the trivial cues
_TELLING = 0.9  # AUC of one cue that is worth a warning
_ENOUGH = 20  # crops of a class, below which such an AUC is often chance
_FEW = 50  # clips of a class, below which an AUC says little


@dataclasses.dataclass(frozen=True)
class Cue:
    """A property of a crop that says nothing about the face.

    Attributes:
      title: its name on the page.
      unit: what its numbers are.
      measure: returns it for a record and its `trivial_cues.features`.
    """

    title: str
    unit: str
    measure: Callable[[dict[str, Any], np.ndarray], float]


CUES = {
    "brightness": Cue("Brightness", "mean gray, 0 to 255", lambda _, cues: 255 * cues[2]),
    "contrast": Cue("Contrast", "standard deviation of the gray", lambda _, cues: 255 * cues[3]),
    "sharpness": Cue(
        "Sharpness",
        "log10 of the variance of the Laplacian: blurred crops are on the left",
        lambda _, cues: cues[4] / math.log(10),
    ),
    "face_width": Cue(
        "Face size",
        "width of the face in the frame, pixels",
        lambda record, _: record["box"][2] - record["box"][0],
    ),
    "scale": Cue(
        "Scale",
        "log2 of crop pixels per frame pixel: enlarged crops are right of 0",
        lambda _, cues: cues[1] / math.log(2),
    ),
    "padded": Cue(
        "Padding", "percent of the crop beyond the frame", lambda record, _: 100 * record["padded"]
    ),
    "kilobytes": Cue(
        "File size", "kilobytes of the stored crop", lambda record, _: len(record["image"]) / 1000
    ),
}


@dataclasses.dataclass
class _Sample:
    """The sampled crops of a class and split.

    Attributes:
      cues: for each crop, the value of each cue of `CUES`.
      features: for each crop, its `trivial_cues.features`.
      sheet: pictures of a few crops as data URIs, by clip.
      clips: the keys of all clips.
    """

    cues: list[list[float]] = dataclasses.field(default_factory=list)
    features: list[np.ndarray] = dataclasses.field(default_factory=list)
    sheet: dict[str, str] = dataclasses.field(default_factory=dict)
    clips: set[str] = dataclasses.field(default_factory=set)

    def add(self, record: dict[str, Any]) -> None:
        image = media_image.decode_image(record["image"])
        size, scale = len(record["image"]), float(record["scale"])
        features = trivial_cues.features(image, size, scale)
        self.features.append(features)
        self.cues.append([float(cue.measure(record, features)) for cue in CUES.values()])
        self.clips.add(record["clip"])
        if len(self.sheet) < _SHEET and record["clip"] not in self.sheet:
            self.sheet[record["clip"]] = media_image.data_uri(image, side=_THUMBNAIL)


def write(dataset: Dataset) -> None:
    """Writes dataset_card.json and dataset_card.html next to a prepared dataset.

    Equal records and an equal audit give equal files.
    """
    samples = _draw_samples(dataset)
    card = _describe(dataset, samples)
    sheets = {place: sample.sheet for place, sample in samples.items()}
    page = _template().render(card=card, sheets=sheets, charts=_charts(card["cues"]))
    files.replace_text(dataset.path / JSON, json.dumps(card, indent=2, allow_nan=False) + "\n")
    files.replace_text(dataset.path / HTML, page + "\n")


def warnings(folder: pathlib.Path) -> list[str]:
    """Returns a line if one cue alone tells the classes of the card in `folder` apart, else none.

    A detector learns what is easiest. Pictures that end at the face, in one class alone, do that:
    their crops reach beyond the frame, and show its mirror image there.
    """
    card = json.loads((folder / JSON).read_text())
    crops = card["sample"]["crops"].values()
    if min(sum(counts[name] for counts in crops) for name in LABELS) < _ENOUGH:
        return []
    aucs = {name: numbers["auc"] for name, numbers in card["cues"].items()}
    telling = [name for name in sorted(aucs, key=aucs.get, reverse=True) if aucs[name] >= _TELLING]
    if not telling:
        return []
    each = ", ".join(f"{CUES[name].title.lower()} (AUC {aucs[name]:.2f})" for name in telling)
    remedy = "; against padding, --crops as-is for face crops, or a smaller --scale"
    remedy = remedy if "padded" in telling else ""
    return [f"real and fake differ in {each}: a detector can learn that alone{remedy}"]


def is_current(dataset: Dataset) -> bool:
    """Returns whether the card next to a dataset is of the records that are there now."""
    path = dataset.path / JSON
    if not path.is_file() or not (dataset.path / HTML).is_file():
        return False
    return json.loads(path.read_text())["dataset"] == dataset.digest


def _draw_samples(dataset: Dataset) -> dict[tuple[str, str], _Sample]:
    """The samples by split and class."""
    samples = {(split, name): _Sample() for split in dataset.splits for name in LABELS}
    counts = {split: min(len(dataset.labels(split)), _MAX_READ) for split in dataset.splits}
    with progress.Progress("describing", sum(counts.values()), unit="crops") as bar:
        done = 0
        for number, split in enumerate(dataset.splits):
            records = dataset.records(split)
            draw = np.random.default_rng([dataset.metadata["seed"], number])
            for step, row in enumerate(draw.permutation(len(records))[: counts[split]], 1):
                if all(len(samples[split, name].cues) == SAMPLE for name in LABELS):
                    break
                record = records[int(row)]
                sample = samples[split, LABELS[record["label"]]]
                if len(sample.cues) < SAMPLE:
                    sample.add(record)
                bar.update(done + step)
            done += counts[split]
            bar.update(done)
    return samples


def _describe(dataset: Dataset, samples: dict[tuple[str, str], _Sample]) -> dict[str, Any]:
    """The content of dataset_card.json."""
    audit, splits = leaks.read(dataset), dataset.splits
    return {
        "dataset": dataset.digest,
        "prepared": {
            **{"methods": [], "orphans": {}, "warnings": [], "own_boxes": 0, "strict": None},
            **dataset.metadata,
            "boxes_from_original": dataset.boxes_from_original,
        },
        "sample": {
            "crops": {s: {name: len(samples[s, name].cues) for name in LABELS} for s in splits}
        },
        "cues": _summarize_cues(samples),
        "trivial_cues": {split: _probe(samples, split) for split in splits if split != "train"},
        "audit": None if audit is None else dataclasses.asdict(audit),
    }


def _summarize_cues(samples: dict[tuple[str, str], _Sample]) -> dict[str, Any]:
    by_class = {
        name: np.array(
            [row for (_, c), sample in samples.items() if c == name for row in sample.cues]
        )
        for name in LABELS
    }
    return {
        cue: _compare({name: rows[:, i] for name, rows in by_class.items() if len(rows)})
        for i, cue in enumerate(CUES)
    }


def _compare(values: dict[str, np.ndarray]) -> dict[str, Any]:
    """The entry of a cue in dataset_card.json; `values` are those of the cue, by class."""
    together = np.concatenate(list(values.values()))
    low, high = np.percentile(together, [0.5, 99.5])
    edges = np.linspace(low, high, _BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])
    auc = None
    if len(values) == len(LABELS):
        label = np.repeat([0, 1], [len(values[name]) for name in LABELS])
        auc = float(sklearn.metrics.roc_auc_score(label, together))
    return {
        "edges": edges.tolist(),
        "histogram": {
            name: (np.histogram(own.clip(low, high), edges)[0] / len(own)).tolist()
            for name, own in values.items()
        },
        "percentiles": {
            name: np.percentile(own, [5, 50, 95]).tolist() for name, own in values.items()
        },
        "auc": None if auc is None else max(auc, 1 - auc),
    }


def _probe(samples: dict[tuple[str, str], _Sample], split: str) -> dict[str, Any] | None:
    """The entry of a split in `trivial_cues`: the baseline fitted to train, measured on it."""
    chosen = [samples.get((where, name)) for where in ("train", split) for name in LABELS]
    if any(sample is None or not sample.cues for sample in chosen):
        return None
    features = [np.stack(sample.features) for sample in chosen]
    fit, held_out = (np.concatenate(features[i : i + 2]) for i in (0, 2))
    labels = [np.repeat([0, 1], [len(features[i]), len(features[i + 1])]) for i in (0, 2)]
    auc = trivial_cues.probe_auc(fit, labels[0], held_out, labels[1])
    light = "high" if auc > _HIGH else "raised" if auc > _RAISED else "low"
    return {"auc": auc, "light": light, "clips": min(len(sample.clips) for sample in chosen[2:])}


def _charts(cues: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The outline of each histogram by cue and class, in a box of 100 by 100, y down."""
    charts = {}
    for cue, numbers in cues.items():
        highest = max(max(shares) for shares in numbers["histogram"].values())
        charts[cue] = {
            name: _outline(np.array(shares) / highest)
            for name, shares in numbers["histogram"].items()
        }
    return charts


def _outline(heights: np.ndarray) -> str:
    sides = np.linspace(0, 100, len(heights) + 1).repeat(2)[1:-1]
    tops = (100 - 96 * heights).repeat(2)
    corners = " ".join(f"{x:.5g},{y:.5g}" for x, y in zip(sides, tops, strict=True))
    return f"0,100 {corners} 100,100"


@functools.cache
def _template() -> jinja2.Template:
    return html_template.make_template(
        pathlib.Path(__file__).with_name("dataset_card.html.jinja"),
        values={
            "cues": CUES,
            "kinds": leaks.KINDS,
            "few": _FEW,
            "classes": LABELS,
            "sample": SAMPLE,
            "candidates": leaks.CANDIDATES,
        },
    )
