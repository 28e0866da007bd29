"""What a preparation left in its folder: the counts, the files, and the warnings that follow."""

import collections
import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dfjax.corpora.clip import LABELS, Clip
from dfjax.corpora.splits import SPLITS
from dfjax.data import builder, leaks, unusable
from dfjax.preparation import dataset_card
from dfjax.preparation.crop_store import Outcome

_COUNTS = ("clips", "failed", "no_face", "damaged", "frames", "frames_with_face", "crops")
_UNEVEN_ABOVE = 0.05  # a difference in coverage between the classes that a model could exploit

Coverage = dict[str, dict[str, dict[str, int]]]


@dataclasses.dataclass(frozen=True)
class PreparationSummary:
    """What is in the output folder after a preparation.

    Attributes:
      out: the output folder.
      coverage: by split and class, the number of clips; of clips that failed, had no_face or were
        damaged; of frames and frames_with_face; and of crops.
      notes: what was noticed of clips that were read, with the number of them.
      own_boxes: fakes whose originals were asked for boxes that did not fit.
      synthetic: whether a program drew the clips.
      is_new: False if an earlier run had completed the dataset.
      audit: what audit.json holds; None if no dataset was written.
    """

    out: pathlib.Path
    coverage: Coverage
    notes: Mapping[str, int]
    own_boxes: int
    synthetic: bool
    is_new: bool
    audit: leaks.Audit | None = None

    @property
    def dataset_dir(self) -> pathlib.Path:
        """The folder of the records."""
        return builder.dataset_dir(self.out)

    @property
    def errors_file(self) -> pathlib.Path:
        """The file with a row for each clip that gave no crop."""
        return self.out / unusable.FILE

    @property
    def page(self) -> pathlib.Path:
        """The page that shows the dataset."""
        return self.out / dataset_card.HTML

    @property
    def num_crops(self) -> int:
        """Crops in the dataset; 0 if no clip was usable, and no dataset was written."""
        return _total(self.coverage, "crops")

    @property
    def num_errors(self) -> int:
        """Clips that gave no crop: the rows of `errors_file`."""
        return _total(self.coverage, "failed") + _total(self.coverage, "no_face")


def count_by_class(clips: Sequence[Clip], outcomes: Mapping[str, Outcome]) -> Coverage:
    """Returns the coverage of clips whose outcomes are given by key."""
    coverage: Coverage = {}
    for split in SPLITS:
        if any(clip.split == split for clip in clips):
            coverage[split] = {name: dict.fromkeys(_COUNTS, 0) for name in LABELS}
    for clip in clips:
        outcome, counts = outcomes[clip.key], coverage[clip.split][LABELS[clip.label]]
        counts["clips"] += 1
        counts["failed"] += outcome.failed
        counts["no_face"] += outcome.code == "no_face"
        counts["damaged"] += outcome.damaged
        counts["frames"] += outcome.frames
        counts["frames_with_face"] += outcome.frames_with_face
        counts["crops"] += outcome.crops
    return coverage


def count_by_method(clips: Sequence[Clip], outcomes: Mapping[str, Outcome]) -> list[dict[str, Any]]:
    """Returns the numbers of clips, of those that failed or had no face, and of crops.

    There is a row for each split, class and method, in this order.
    """
    counts: dict[tuple[int, int, str], collections.Counter] = {}
    for clip in clips:
        outcome = outcomes[clip.key]
        place = SPLITS.index(clip.split), clip.label, clip.method
        count = counts.setdefault(place, collections.Counter())
        count["clips"] += 1
        count["failed"] += outcome.failed
        count["no_face"] += outcome.code == "no_face"
        count["crops"] += outcome.crops
    return [
        {"split": SPLITS[split], "class": LABELS[label], "method": method, **count}
        for (split, label, method), count in sorted(counts.items())
    ]


def count_notes(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Returns how many clips have each of the notes of their outcomes."""
    return dict(collections.Counter(note for outcome in outcomes for note in outcome.notes))


def count_orphans(clips: Sequence[Clip]) -> dict[str, dict[str, int]]:
    """Returns by split the numbers of `fakes`, and of `orphans`: their originals are absent."""
    counts = {}
    for split in SPLITS:
        fakes = [clip for clip in clips if clip.split == split and clip.label]
        if fakes:
            orphans = sum(clip.orphan for clip in fakes)
            counts[split] = {"fakes": len(fakes), "orphans": orphans}
    return counts


def orphan_warnings(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Returns a line for each split with fakes whose originals are absent, as counted above."""
    return [
        f"{split}: {count['orphans']:,} of {count['fakes']:,} fakes were made from videos that are "
        "not here: only fakes show their people and places, which a detector can learn"
        for split, count in counts.items()
        if count["orphans"]
    ]


def warnings(coverage: Coverage, notes: Mapping[str, int]) -> list[str]:
    """Returns what could make scores on such data misleading, a line each."""
    lines = []
    for split, classes in coverage.items():
        for name, counts in classes.items():
            if not counts["crops"]:
                lines.append(f"{split} has no {name} crop: no training and no AUC on it")
        real, fake = (classes[name] for name in LABELS)
        shares = share_with_face(real), share_with_face(fake)
        if real["crops"] and fake["crops"] and abs(shares[0] - shares[1]) > _UNEVEN_ABOVE:
            lines.append(
                f"{split}: a face is found in {shares[0]:.0%} of real frames but in "
                f"{shares[1]:.0%} of fake ones: scores will favor what is easy to find"
            )
    if num_damaged := _total(coverage, "damaged"):
        lines.append(f"{num_damaged} videos decode only in part: the frames that decode were used")
    lines += [f"{count} clips: {note}" for note, count in notes.items()]
    return lines


def share_with_face(counts: Mapping[str, int]) -> float:
    """Returns the share of the frames that gave a crop, 0 to 1; 0 if there are no frames."""
    return counts["frames_with_face"] / max(1, counts["frames"])


def _total(coverage: Coverage, name: str) -> int:
    return sum(counts[name] for classes in coverage.values() for counts in classes.values())
