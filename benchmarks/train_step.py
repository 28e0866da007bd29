"""Speed of a training step of named networks on the CPU; peer: PyTorch, on timm's networks."""

import functools
import time

import numpy as np

from benchmarks import speed, turns
from benchmarks.networks import Network
from dfjax import allocator


def make_dfjax(network: Network, *, plain: bool = False, dtype: str = "float32") -> turns.Program:
    """A step as `dfjax train` does it: AdamW and cross-entropy, from uint8 images."""
    if not plain:
        allocator.keep_freed_memory()
    import jax
    import optax

    from benchmarks import untrained
    from dfjax import losses, models, steps

    model = models.build(network.name, dtype=dtype)
    if not plain:
        model = models.for_backend(model)
    tx, key = optax.adamw(1e-3), jax.random.key(1)
    state = untrained.make_state(model, network.side, tx)
    batch = {
        "image": untrained.make_crops(network.batch, network.side),
        "label": np.arange(network.batch, dtype=np.int32) % 2,
    }
    batch = jax.device_put(batch)  # once, as PyTorch's lies where it computes
    train_step = functools.partial(
        steps.train_step,
        model=model,
        tx=tx,
        loss=losses.build("bce", label_smoothing=0.0),
        ema_decay=0.0,
        grad_accum_steps=1,
    )
    began = time.perf_counter()
    compiled = jax.jit(train_step, donate_argnums=0).lower(state, batch, key).compile()
    compile_seconds = time.perf_counter() - began

    def step() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(compiled(state, batch, key))

    return turns.Program(step, compile_seconds, compiled)


def make_torch(
    network: Network, *, compiled: bool = False, dtype: str = "float32"
) -> turns.Program:
    """The same by PyTorch, from normalized images; `compiled` compiles forward and backward."""
    import torch

    from benchmarks import pytorch

    model, images = pytorch.make_network(network, compiled=compiled), pytorch.make_images(network)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    labels = torch.arange(network.batch).remainder(2).float()[:, None]

    def step() -> None:
        optimizer.zero_grad()
        with pytorch.autocast(dtype):
            logits = model(images).float()
        torch.nn.functional.binary_cross_entropy_with_logits(logits, labels).backward()
        optimizer.step()

    return turns.compiling(step) if compiled else turns.Program(step)


PROGRAMS = {
    "plain": functools.partial(make_dfjax, plain=True),
    "dfjax": make_dfjax,
    "PyTorch": make_torch,
    "PyTorch compiled": functools.partial(make_torch, compiled=True),
    "dfjax bf16": functools.partial(make_dfjax, dtype="bfloat16"),
    "PyTorch bf16": functools.partial(make_torch, dtype="bfloat16"),
}

if __name__ == "__main__":
    speed.main(__doc__, PROGRAMS, default=("plain", "dfjax", "PyTorch"))
