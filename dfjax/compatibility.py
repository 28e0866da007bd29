"""What this version reads of what any version wrote; docs/compatibility.md states the rule.

A number changes when the same bytes would be read otherwise. What was written before there were
numbers is of format 0.
"""

import dataclasses
from typing import Any

from dfjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Format:
    """The numbers of one kind of thing on disk.

    Attributes:
      kind: what a message calls it.
      read: the formats that this version reads, in rising order; it writes the last.
      remedy: what to do about one that it does not read.
    """

    kind: str
    read: tuple[int, ...]
    remedy: str

    @property
    def current(self) -> int:
        """The number that this version writes."""
        return self.read[-1]

    def require(self, found: Any, where: Any) -> int:
        """Returns the number of the thing at `where`, which says `found`, or None if it says none.

        Raises:
          UserError: this version does not read it; the message says what was found, what is read,
            and what to do.
        """
        number = 0 if found is None else found
        if type(number) is not int or number < 0:
            raise self.unreadable(where, f"its format is {found!r}, not a number")
        if number not in self.read:
            numbers = " and ".join(map(str, self.read))
            newer = "install a newer dfjax, or " if number > self.current else ""
            raise UserError(
                f"{where} is a {self.kind} of format {number}, and this version of dfjax reads "
                f"{numbers}: {newer}{self.remedy}"
            )
        return number

    def unreadable(self, where: Any, reason: Any) -> UserError:
        """The error of a thing whose number is read and whose content is not, for `reason`."""
        return UserError(
            f"{where} is a {self.kind} that this version of dfjax cannot read ({reason}): "
            f"{self.remedy}"
        )


DATASET = Format("prepared dataset", (2,), "prepare it again (dfjax prepare --overwrite)")
RUN = Format("run", (2,), "train it again, or use the dfjax that trained it")
EXPORT = Format("model export", (2,), "export the run again (dfjax export)")
CARD = Format(
    "model card",
    (2,),
    "evaluate the run again (python -m dfjax.main --mode=evaluate), and export it again",
)
