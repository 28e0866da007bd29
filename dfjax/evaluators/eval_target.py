"""What is scored: a split of a prepared dataset, named "DIR:SPLIT" in configs and commands."""

import dataclasses

from dfjax.data import builder
from dfjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class EvalTarget:
    """A split of an open dataset.

    Attributes:
      name: "DIR:SPLIT" as it was given.
      dataset: the dataset in DIR.
      split: the name of the split.
    """

    name: str
    dataset: builder.Dataset
    split: str

    @classmethod
    def open(cls, name: str) -> "EvalTarget":
        """Returns the target of this name.

        Raises:
          UserError: it is not DIR:SPLIT, or DIR holds a dataset that cannot be read.
          FileNotFoundError: DIR holds no dataset.
        """
        return cls(name, *builder.open_split(name))

    @classmethod
    def of(cls, dataset: builder.Dataset, split: str) -> "EvalTarget":
        """Returns the target of a split of a dataset that is open."""
        return cls(f"{dataset.name}:{split}", dataset, split)

    @property
    def records(self) -> builder.Records:
        """The records to score.

        Raises:
          UserError: the dataset has no such split.
        """
        return self.dataset.records(self.split)

    @property
    def has_both_classes(self) -> bool:
        """Whether there are reals and fakes; reads no record.

        Raises:
          UserError: the dataset has no such split.
        """
        return set(self.dataset.labels(self.split).tolist()) == {0, 1}

    def require_both_classes(self, chosen_by: str) -> None:
        """Checks that there are reals and fakes; reads no record.

        `chosen_by` is the setting or the option that named this target.

        Raises:
          UserError: a class is missing, or the dataset has no such split.
        """
        if not self.has_both_classes:
            raise UserError(
                f"{self._describe(chosen_by)}, and both classes are needed: prepare data with both "
                "in this split (a manifest's column split, or other --splits), or choose another "
                "split"
            )

    def require_reals(self, chosen_by: str) -> None:
        """Checks that there are reals; reads no record.

        Raises:
          UserError: there is none, or the dataset has no such split.
        """
        if self.dataset.labels(self.split).all():
            raise UserError(
                f"{self._describe(chosen_by)}, and reals are needed: prepare data with some in "
                "this split (a manifest's column split, or other --splits), or choose another split"
            )

    def _describe(self, chosen_by: str) -> str:
        labels = self.dataset.labels(self.split)
        num_fake = int(labels.sum())
        return (
            f"{self.name} ({chosen_by}) has {len(labels) - num_fake} real and {num_fake} fake crops"
        )
