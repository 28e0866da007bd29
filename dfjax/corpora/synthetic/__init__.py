"""The synthetic corpus, which needs no download: drawn talking heads and forgeries of them."""

import os

from dfjax import registry
from dfjax.corpora import folder
from dfjax.corpora.clip import Clip
from dfjax.corpora.synthetic.settings import Settings


@registry.register("corpus", "synthetic")
def read_synthetic(
    root: str | os.PathLike,
    *,
    seed: int = Settings.seed,
    identities: int = Settings.identities,
    frames: int = Settings.frames,
    jobs: int = 1,
) -> list[Clip]:
    """Returns the clips of the synthetic corpus in the folder `root`; draws those that are missing.

    See `corpus.write_corpus`. The splits are the corpus's own, disjoint by identity.

    Raises:
      UserError: there are fewer than 12 identities.
    """
    from dfjax.corpora.synthetic import corpus  # it loads OpenCV, which registering must not

    corpus.write_corpus(root, Settings(seed, identities, frames), jobs=jobs)
    return folder.read_folder(root, name="synthetic")
