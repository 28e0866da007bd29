"""A test environment stricter than production: four devices, and no silent broadcasting."""

import pathlib

import jax
import numpy as np
import pytest
from absl import flags

from dfjax import prepare
from dfjax.corpora import folder
from dfjax.faces import align
from dfjax.media import image

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
# Grain's worker processes read absl flags, which pytest never parses.
flags.FLAGS.mark_as_parsed()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> pathlib.Path:
    """A prepared dataset of 40 px crops: 24 train, 11 val and 9 test pictures, both classes each.

    A fake carries a bright corner, so that a few steps of training find it.
    """
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    for split, count in (("train", 24), ("val", 11), ("test", 9)):
        for number in range(count):
            picture = rng.integers(0, 200, (40, 40, 3), np.uint8)
            label = number % 2
            picture[:12, :12] += np.uint8(55 * label)
            name = f"{split}{number}.png"
            (root / name).write_bytes(image.encode_image(picture, "png"))
            rows.append(f"{name},{label},{split}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    spec = align.CropSpec(crops="as-is", detector="none", landmarks=0, size=40)
    out = tmp_path_factory.mktemp("prepared")
    prepare.prepare(folder.read_folder(root, seed=0), out, spec=spec, encoding="png", jobs=1)
    return out
