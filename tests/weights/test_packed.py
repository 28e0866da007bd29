"""Kernels in 16 bits differ from the exact ones by half a step at most; nothing else changes."""

import numpy as np
import pytest

from dfjax.weights import packed


def test_large_kernels_are_rounded_by_the_steps_of_their_channels():
    exact = np.float32([[1.0, 0.0, -65534e-6], [-0.50001, 0.0, 3.4e-6]])
    tensors = {"params/a/kernel": exact, "params/b/kernel": exact[0], "params/a/bias": exact[0]}
    found = packed.pack(tensors, at_least=6)
    np.testing.assert_array_equal(
        found["params/a/kernel"], np.int16([[32767, 0, -32767], [-16384, 0, 2]])
    )
    assert found.keys() == {*tensors, "params/a/kernel:scale"}
    unpacked = packed.unpack(found)
    np.testing.assert_allclose(
        unpacked["params/a/kernel"],
        [[1.0, 0.0, -65534e-6], [-16384 / 32767, 0.0, 4e-6]],
        rtol=1e-6,
    )
    for name in ("params/b/kernel", "params/a/bias"):
        assert unpacked[name] is tensors[name]
    assert unpacked.keys() == tensors.keys()


def test_they_are_several_times_as_exact_as_half_precision():
    exact = np.random.default_rng(0).normal(size=(1, 1, 192, 64)).astype(np.float32)
    found = packed.unpack(packed.pack({"params/a/kernel": exact}, at_least=1))["params/a/kernel"]
    half = exact.astype(np.float16).astype(np.float32)
    assert 4 * np.abs(found - exact).max() < np.abs(half - exact).max()
    assert 4 * np.std(found - exact) < np.std(half - exact)


@pytest.mark.parametrize(
    "wrong",
    [
        {"a/kernel": np.zeros((4, 1), np.int16)},  # would be [4, 2]
        {"a/kernel": np.zeros((4, 2), np.float32)},
        {},
    ],
)
def test_a_scale_without_a_kernel_of_its_channels_is_refused(wrong):
    with pytest.raises(ValueError, match="a/kernel:scale is not the scale of a packed kernel"):
        packed.unpack({**wrong, "a/kernel:scale": np.ones(2, np.float32)})
