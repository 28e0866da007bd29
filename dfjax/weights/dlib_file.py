"""Reads the network that dlib serialized for face recognition, without dlib.

The format, of dlib 19 and 20 (serialize.h, dnn/core.h, dnn/layers.h, dnn/tensor.h): an integer is a
byte with its sign and length, then its magnitude, least byte first; a float is an integer mantissa
and an integer exponent of two; a string is its length and its bytes; a tensor is four sizes and
32-bit floats, least byte first. The layers are nested: first comes the version of each from the
loss inwards, then the input, then the content of each layer from the input outwards.
"""

import math

import numpy as np

_TAG, _LAYER, _INNERMOST = 1, 2, 3  # versions, one for each of these kinds of layers
_MAX_LAYERS = 10_000
_MAX_NAME = 64  # bytes


def is_dlib_network(head: bytes) -> bool:
    """Whether a file begins like a network of dlib: with a version and a loss."""
    return head[:3] == b"\x01\x01\x01" and head[4:9] == b"loss_"


def parse(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, tuple[float, ...]]]:
    """Returns (tensors in PyTorch's layouts, {"mean", "std"} of RGB in 0..1) of a network.

    Convolutions and dense layers are counted from the input: "con1.weight", "con1.bias",
    "fc1.weight". The affine layer that follows a convolution (its BatchNorm, frozen) is merged
    into it.

    Raises:
      ValueError: the bytes are cut off, damaged, or another network of dlib.
    """
    reader = _Reader(data)
    reader.expect(1, "the loss layer")
    reader.expect("loss_metric_2", "the loss")
    for _ in ("margin", "threshold"):
        reader.float()
    versions = [reader.integer()]
    while versions[-1] != _INNERMOST:
        if versions[-1] not in (_TAG, _LAYER) or len(versions) > _MAX_LAYERS:
            raise ValueError(f"a layer of version {versions[-1]}")
        versions.append(reader.integer())
    reader.expect("input_rgb_image_sized", "the input layer")
    mean = tuple(reader.float() / 255 for _ in range(3))
    reader.integers(2)  # height and width

    network = _Network()
    for version in reversed(versions):
        if version == _TAG:
            continue
        network.add(reader)
        for _ in range(3):
            reader.flag()
        for _ in range(3):
            reader.tensor()  # output and gradients, which are empty
        if version == _INNERMOST:
            reader.integer()
    reader.expect_end()
    return network.tensors, {"mean": mean, "std": (256 / 255,) * 3}


class _Network:
    """Collects the parameters of consecutive layers."""

    def __init__(self):
        self.tensors: dict[str, np.ndarray] = {}
        self._counts = {"con": 0, "fc": 0}
        self._last = ""

    def add(self, reader: "_Reader") -> None:
        kind = reader.string()
        if kind == "con_4":
            self._add_convolution(reader)
        elif kind == "affine_":
            self._merge_affine(reader)
        elif kind == "fc_2":
            self._add_dense(reader)
        elif kind in ("max_pool_2", "avg_pool_2"):
            reader.integers(6)  # window, strides, padding
        elif kind not in ("relu_", "add_prev_"):
            raise ValueError(f"a layer of kind {kind!r}")
        self._last = kind

    def _add_convolution(self, reader: "_Reader") -> None:
        params = reader.tensor()
        reader.integers(7)  # filters, window, strides, padding
        weight, bias = reader.cut(params)
        reader.floats(4)  # factors of learning rates and weight decays
        name = self._next("con")
        self.tensors[f"{name}.weight"] = weight
        self.tensors[f"{name}.bias"] = bias.reshape(-1)

    def _merge_affine(self, reader: "_Reader") -> None:
        scale, shift = (part.reshape(-1) for part in reader.cut(reader.tensor()))
        reader.integer()  # mode: over channels
        if self._last != "con_4":
            raise ValueError(f"an affine layer after {self._last!r}")
        name = f"con{self._counts['con']}"
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        if not len(scale) == len(shift) == len(bias) == len(weight):
            raise ValueError(f"an affine layer of {len(scale)} channels after {len(weight)}")
        scale = scale.astype(np.float64)
        merged = weight * scale[:, None, None, None]
        self.tensors[f"{name}.weight"] = merged.astype(np.float32)
        self.tensors[f"{name}.bias"] = (bias * scale + shift).astype(np.float32)

    def _add_dense(self, reader: "_Reader") -> None:
        reader.integers(2)  # outputs, inputs
        weight, bias = reader.cut(reader.tensor())
        reader.integer()  # mode: with or without bias
        reader.floats(4)
        name = self._next("fc")
        self.tensors[f"{name}.weight"] = weight.reshape(weight.shape[:2]).T
        if bias.size:
            self.tensors[f"{name}.bias"] = bias.reshape(-1)

    def _next(self, kind: str) -> str:
        self._counts[kind] += 1
        return f"{kind}{self._counts[kind]}"


class _Reader:
    """A position in bytes; a read beyond their end is an error."""

    def __init__(self, data: bytes):
        self._data = memoryview(data)
        self._position = 0

    def _take(self, count: int) -> memoryview:
        if count > len(self._data) - self._position:
            raise ValueError(f"it ends at byte {len(self._data)}, inside the network")
        self._position += count
        return self._data[self._position - count : self._position]

    def integer(self) -> int:
        control = self._take(1)[0]
        size, negative = control & 0x0F, control & 0x80
        if control & 0x70 or not 1 <= size <= 8:
            raise ValueError(f"not an integer at byte {self._position - 1}")
        value = int.from_bytes(self._take(size), "little")
        return -value if negative else value

    def integers(self, count: int) -> list[int]:
        return [self.integer() for _ in range(count)]

    def float(self) -> float:
        mantissa, exponent = self.integers(2)
        if abs(exponent) > 900:  # beyond float64; dlib's infinities and NaN are 32000 and more
            raise ValueError(f"not a finite number before byte {self._position}")
        return math.ldexp(mantissa, exponent)

    def floats(self, count: int) -> list[float]:
        return [self.float() for _ in range(count)]

    def string(self) -> str:
        size = self.integer()
        if not 0 <= size <= _MAX_NAME:
            raise ValueError(f"not a name before byte {self._position}")
        return bytes(self._take(size)).decode("ascii", "replace")

    def flag(self) -> bool:
        value = bytes(self._take(1))
        if value not in (b"0", b"1"):
            raise ValueError(f"not a truth value at byte {self._position - 1}")
        return value == b"1"

    def tensor(self) -> np.ndarray:
        self.expect(2, "a tensor")
        shape = self._shape()
        data = self._take(4 * math.prod(shape))
        return np.frombuffer(data, "<f4").astype(np.float32).reshape(shape)

    def cut(self, params: np.ndarray) -> list[np.ndarray]:
        """The two tensors that `params` holds one after the other, by the shapes read here."""
        shapes = []
        for _ in range(2):
            self.expect(1, "a part of a tensor")
            shapes.append(self._shape())
        sizes = [math.prod(shape) for shape in shapes]
        if sum(sizes) != params.size:
            raise ValueError(f"{params.size} parameters instead of {sum(sizes)}")
        parts = np.split(params.reshape(-1), [sizes[0]])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def _shape(self) -> tuple[int, ...]:
        shape = tuple(self.integers(4))
        if min(shape) < 0:
            raise ValueError(f"a negative size before byte {self._position}")
        return shape

    def expect(self, value: int | str, what: str) -> None:
        actual = self.integer() if isinstance(value, int) else self.string()
        if actual != value:
            raise ValueError(f"{what} is {actual!r}, and only {value!r} is known")

    def expect_end(self) -> None:
        if self._position != len(self._data):
            raise ValueError(f"more bytes after its end at {self._position}")
