"""The synthetic corpus, which needs no download: drawn talking heads and forgeries of them."""

import os

from dfjax import registry
from dfjax.corpora import folder
from dfjax.corpora.clip import Clip
from dfjax.corpora.synthetic import corpus


@registry.register("corpus", "synthetic")
def read_synthetic(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    identities: int = corpus.DEFAULTS.identities,
    frames: int = corpus.DEFAULTS.frames,
    jobs: int = 1,
) -> list[Clip]:
    """Returns the clips of the synthetic corpus in the folder `root`; draws those that are missing.

    See `corpus.write_corpus`. The splits are the corpus's own, disjoint by identity.

    Raises:
      UserError: there are fewer than 12 identities.
    """
    corpus.write_corpus(root, corpus.Settings(seed, identities, frames), jobs=jobs)
    return folder.read_folder(root, name="synthetic")
