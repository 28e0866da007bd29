"""Which formats this version reads of what is on disk; docs/compatibility.md states the rule.

A number rises when the same bytes get another meaning. A file without a number is of format 0. This
file imports nothing that reads or writes these formats.
"""

import dataclasses
from typing import Any

from dfjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Format:
    """The numbers of one kind of thing on disk.

    Attributes:
      kind: the name of the thing in messages.
      read: the formats that this version reads, in rising order; it writes the last.
      remedy: what to do about a format that is not read.
    """

    kind: str
    read: tuple[int, ...]
    remedy: str

    @property
    def current(self) -> int:
        """The number that this version writes."""
        return self.read[-1]

    def require(self, number: Any, where: Any) -> int:
        """Returns the format of the thing at `where`, which holds `number`; None is format 0.

        Raises:
          UserError: this version does not read it; the message says which formats it reads and
            what to do.
        """
        number = 0 if number is None else number
        if type(number) is not int or number < 0:
            raise self.unreadable(where, f"its format is {number!r}, not a number")
        if number not in self.read:
            numbers = " and ".join(map(str, self.read))
            newer = "install a newer dfjax, or " if number > self.current else ""
            raise UserError(
                f"{where} is a {self.kind} of format {number}, and this version of dfjax reads "
                f"{numbers}: {newer}{self.remedy}"
            )
        return number

    def unreadable(self, where: Any, reason: Any) -> UserError:
        """Returns the error for a thing of a known format whose content cannot be read."""
        return UserError(
            f"{where} is a {self.kind} that this version of dfjax cannot read ({reason}): "
            f"{self.remedy}"
        )


DATASET = Format("prepared dataset", (2,), "prepare it again (dfjax prepare --overwrite)")
RUN = Format("run", (2,), "train it again, or use the dfjax that trained it")
EXPORT = Format("model export", (2,), "export the run again (dfjax export)")
CARD = Format(
    "model card",
    (2, 3),  # 3 says how frames are pooled; before that, their mean was all there was
    "evaluate the run again (dfjax evaluate), and export it again",
)
