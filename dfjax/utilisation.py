"""How much of a device a train step uses: operations a second, and memory."""

import re
from typing import Any

import jax

from dfjax.errors import UserError

# Dense bf16 operations a second that the makers state, by JAX's name of the device.
PEAK = {
    "NVIDIA A100": 312e12,
    "NVIDIA H100": 989e12,
    "NVIDIA H200": 989e12,
    "NVIDIA L4": 121e12,
    "NVIDIA L40S": 362e12,
    "NVIDIA B200": 2_250e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
}


def peak(device: jax.Device) -> float | None:
    """Returns the operations a second that a device can do in bf16, None: not known."""
    kind = device.device_kind
    return next((rate for name, rate in PEAK.items() if kind.startswith(name)), None)


def operations(compiled: Any) -> float:
    """Returns the floating-point operations of a compiled program on one device, as XLA counts.

    0 if it does not count them.
    """
    costs = compiled.cost_analysis() or {}
    return max(float(costs.get("flops", 0.0)), 0.0)


def metrics(operations: float, steps_per_second: float, device: jax.Device) -> dict[str, float]:
    """Returns `perf/...` of a device that does so many operations a step.

    `teraflops_per_device` is what it does a second, `mfu` the share of `peak` of that (where
    known), `memory_gib` the most memory that it has used so far (where the device tells).
    """
    rate = operations * steps_per_second
    found = {"perf/teraflops_per_device": rate / 1e12} if rate else {}
    if rate and (most := peak(device)):
        found["perf/mfu"] = rate / most
    if memory := (device.memory_stats() or {}).get("peak_bytes_in_use"):
        found["perf/memory_gib"] = memory / 2**30
    return found


def explain_memory(
    error: Exception, *, batch_size: int, grad_accum_steps: int, devices: int
) -> UserError | None:
    """Returns what to do about a device that was out of memory, None: the error is another."""
    text = str(error)
    if "RESOURCE_EXHAUSTED" not in text and "Out of memory" not in text:
        return None
    wanted = re.search(r"(\d+) bytes", text) or re.search(
        r"allocat\w+(?: request for)? ([\d.]+ ?[KMGT]i?B)", text
    )
    amount = wanted[1] if wanted else "what it needs"
    amount = f"{int(amount) / 2**30:.2f} GiB" if amount.isdecimal() else amount
    each = batch_size // devices // grad_accum_steps
    return UserError(
        f"out of memory: could not allocate {amount} for batch_size {batch_size}, of which each of "
        f"{devices} devices computes {each} images at a time: use "
        f"--config.grad_accum_steps={2 * grad_accum_steps}, which computes half as many at a time "
        "and trains alike but for BatchNorm, or a smaller batch_size"
    )
