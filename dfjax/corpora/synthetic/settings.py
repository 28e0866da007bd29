"""What the drawn corpus depends on. Imports nothing that draws: `--help` shows these defaults."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    """Equal settings give equal files.

    Attributes:
      seed: decides everything that is drawn.
      identities: people to draw; 12 or more, so that each split has two.
      frames: length of a clip.
    """

    seed: int = 0
    identities: int = 108
    frames: int = 6
