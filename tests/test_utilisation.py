"""What a step costs, and what a device that is full is told."""

import types

import jax
import jax.numpy as jnp
import pytest

from dfjax import utilisation


def _device(kind: str, peak_bytes: int = 0) -> types.SimpleNamespace:
    stats = {"peak_bytes_in_use": peak_bytes} if peak_bytes else None
    return types.SimpleNamespace(device_kind=kind, memory_stats=lambda: stats)


def test_operations_of_a_product_are_counted():
    x = jnp.ones((8, 16)), jnp.ones((16, 32))
    compiled = jax.jit(jnp.matmul).lower(*x).compile()
    assert utilisation.operations(compiled) == 2 * 8 * 16 * 32


def test_rates_are_shares_of_what_the_maker_states():
    h100 = _device("NVIDIA H100 80GB HBM3", 5 * 2**30)
    assert utilisation.metrics(98.9e12, 5.0, h100) == {
        "perf/teraflops_per_device": pytest.approx(494.5),
        "perf/mfu": pytest.approx(0.5),
        "perf/memory_gib": 5.0,
    }
    assert utilisation.metrics(1e9, 2.0, _device("cpu")) == {"perf/teraflops_per_device": 2e-3}
    assert utilisation.metrics(0.0, 2.0, _device("cpu")) == {}


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("RESOURCE_EXHAUSTED: Out of memory allocating 3221225472 bytes.", "3.00 GiB"),
        ("RESOURCE_EXHAUSTED: Failed to allocate request for 1.5GiB on device", "1.5GiB"),
        ("RESOURCE_EXHAUSTED: out of memory", "what it needs"),
    ],
)
def test_a_full_device_is_told_bytes_batch_and_switch(text, amount):
    sizes = {"batch_size": 64, "grad_accum_steps": 2, "devices": 4}
    message = str(utilisation.explain_memory(RuntimeError(text), **sizes))
    assert f"allocate {amount} for batch_size 64" in message
    assert "each of 4 devices computes 8 images at a time" in message
    assert "--config.grad_accum_steps=4" in message
    assert utilisation.explain_memory(RuntimeError("INTERNAL: cuDNN"), **sizes) is None
