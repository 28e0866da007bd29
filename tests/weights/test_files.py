"""Weights come out of every format as they went in, and hostile files do no harm."""

import hashlib
import io
import json
import os
import pathlib
import pickle
import socket
import sys
import zipfile

import h5py
import numpy as np
import pytest

from dfjax.errors import UserError
from dfjax.weights import files, torch_file

TENSORS = {
    "params/conv/kernel": np.arange(12, dtype=np.float32).reshape(2, 3, 2),
    "batch_stats/bn/mean": np.float32([0.5, -1.0]),
    "scalar": np.float32(3.0),
    "counter": np.int64(7),
}


def _assert_equal(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == np.asarray(value).dtype


def _safetensors(header: dict, payload: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + payload


def _npz(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


def _npy(value: np.ndarray, **changes) -> bytes:
    stream = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(value) | changes
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + value.tobytes()


def _keras_file(path: pathlib.Path, layers: dict[str, dict[str, np.ndarray]], root="/") -> None:
    """As Keras writes one: layers by name, each with weights by the names that Keras gives them."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = b"c__builtin__\neval\n"  # nothing in here may be looked at
        group = file.require_group(root)
        group.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, weights in layers.items():
            inner = group.create_group(layer)
            inner.attrs["weight_names"] = [name.encode() for name in weights]
            for name, value in weights.items():
                inner[name] = value


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "weights.safetensors"
    fortran = np.asfortranarray(TENSORS["params/conv/kernel"])
    files.write(path, {**TENSORS, "params/conv/kernel": fortran}, {"model": "resnet18"})
    file = files.read(path)
    _assert_equal(file.tensors, TENSORS)
    assert file.metadata == {"model": "resnet18"}
    assert file.format == "safetensors"
    assert file.normalization == {}
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_content_is_written_as_the_same_bytes(tmp_path):
    metadata = dict.fromkeys("zyxwvuts", "text")
    for name in ("a", "b"):
        files.write(tmp_path / name, TENSORS, metadata)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert files.read(tmp_path / "a").metadata == metadata


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "weights.safetensors"
    files.write(path, TENSORS, {})
    before = path.read_bytes()
    with pytest.raises(Exception, match="object"):
        files.write(path, {"a": np.array([object()])}, {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_short_floats_become_single_precision(tmp_path):
    values = np.float32([1.0, -2.5, 0.15625])
    bfloat16 = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = {
        "a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]},
        "b": {"dtype": "F16", "shape": [3], "data_offsets": [6, 12]},
        "c": {"dtype": "F64", "shape": [3], "data_offsets": [12, 36]},
    }
    payload = bfloat16 + values.astype("<f2").tobytes() + values.astype("<f8").tobytes()
    (tmp_path / "short.safetensors").write_bytes(_safetensors(header, payload))
    found = files.read(tmp_path / "short.safetensors").tensors
    _assert_equal(found, dict.fromkeys("abc", values))

    (tmp_path / "short.npz").write_bytes(
        _npz(a=_npy(np.frombuffer(bfloat16, "V2")), b=_npy(values.astype("<f2")))
    )
    found = files.read(tmp_path / "short.npz").tensors
    _assert_equal(found, dict.fromkeys("ab", values))


def test_npz_keeps_names_with_slashes_and_drops_the_optimizer(tmp_path):
    kernel = np.asfortranarray(TENSORS["params/conv/kernel"])
    for prefix, others in (
        ("", {}),
        ("params/", {"opt/0/mu": kernel}),
        ("opt/target/", {"opt/state/step": np.int64(1)}),
    ):
        arrays = {f"{prefix}Transformer/encoderblock_0/MlpBlock_3/kernel": kernel}
        np.savez(tmp_path / "weights.npz", **arrays, **others)
        file = files.read(tmp_path / "weights.npz")
        assert file.format == "npz"
        _assert_equal(file.tensors, {"Transformer/encoderblock_0/MlpBlock_3/kernel": kernel})


@pytest.mark.parametrize("root", ["/", "model_weights"])
def test_layers_that_keras_numbered_are_counted_from_one(tmp_path, root):
    values = iter(np.arange(20, dtype=np.float32).reshape(10, 2))
    layers = {
        "input_3": {},
        "conv2d_10": {"conv2d_10/kernel:0": next(values), "conv2d_10/bias:0": next(values)},
        "conv2d_9": {"conv2d_9/kernel:0": next(values)},  # made first, though it comes later
        "batch_normalization": {"batch_normalization/gamma:0": next(values)},
        "block1_conv1": {"block1_conv1/kernel:0": next(values)},
        # An inner model, and names as Keras 3 writes them.
        "functional_2": {"sequential_1/dense_4/kernel": next(values), "dense_7/bias": next(values)},
    }
    _keras_file(tmp_path / "weights.h5", layers, root)
    file = files.read(tmp_path / "weights.h5")
    assert file.format == "keras"
    found = {name: value[0] / 2 for name, value in file.tensors.items()}
    assert found == {
        "conv2d_2/kernel": 0,
        "conv2d_2/bias": 1,
        "conv2d_1/kernel": 2,
        "batch_normalization_1/gamma": 3,
        "block1_conv1/kernel": 4,
        "dense_1/kernel": 5,
        "dense_2/bias": 6,
    }


@pytest.mark.skipif("DFJAX_TEST_DATA" not in os.environ, reason="needs published weights")
def test_published_keras_weights_are_read():
    path = pathlib.Path(os.environ["DFJAX_TEST_DATA"], "mesonet", "Meso4_DF.h5")
    tensors = files.read(path).tensors
    assert len(tensors) == 4 * (2 + 4) + 2 * 2
    with h5py.File(path) as file:
        np.testing.assert_array_equal(
            tensors["conv2d_4/kernel"], file["conv2d_8/conv2d_8/kernel:0"][()]
        )


_SOUND = _safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8))
_ARRAY = np.zeros(2, np.float32)
_OBJECTS = _npy(np.zeros(2, np.float32), descr="|O")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty: get it again"),
        (b"nonsense that is long enough", "none of the formats that dfjax reads"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS.*: run git lfs pull"),
        (_SOUND[:-1], "not a sound file of format safetensors .*: get it again"),
        (_SOUND[:40], "its header claims 61 bytes, and 32 are there"),
        (b"\xff" * 8 + _SOUND[8:], "its header claims 18446744073709551615 bytes"),
        (
            _safetensors({"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 0]}}),
            "not a sound file",
        ),
        (
            _safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}),
            "not a sound",
        ),
        (_safetensors({}), "holds no tensors: give a file of weights"),
        (
            _safetensors({"a": {"dtype": "F32", "shape": "x", "data_offsets": []}}),
            "not a sound file",
        ),
        (
            _safetensors(
                {
                    "a/kernel": {"dtype": "I16", "shape": [4, 1], "data_offsets": [0, 8]},
                    "a/kernel:scale": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]},
                },
                bytes(16),
            ),
            "a/kernel:scale is not the scale of a packed kernel",
        ),
        (_npz(a=_npy(_ARRAY))[:-9], "damaged or truncated zip"),
        (_npz(a=_OBJECTS), "it holds a pickle, as an array of Python objects: save plain arrays"),
        (_npz(a=_npy(_ARRAY, shape=(10**12,))), r"shape \[1000000000000\] .* in 8 bytes"),
        (_npz(a=_npy(_ARRAY, descr="<U4")), "an array of type <U4"),
        (_npz(a=b"\x93NUMPY\x01"), "not a sound file of format npz"),
        (_npz(a=bytes(10**6)), "it claims 1000000 bytes of tensors in"),
        (_npz(), "a zip without weights"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "not a sound file of format keras"),
    ],
)
def test_a_file_that_is_damaged_or_lies_is_refused_in_one_line(tmp_path, data, message):
    path = tmp_path / "weights.bin"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        files.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_places_without_weights_are_named(tmp_path):
    with pytest.raises(ValueError, match="is a folder: give a file of weights in it"):
        files.read(tmp_path)
    with pytest.raises(ValueError, match=r"not exist: .* come with dfjax \(efficientnet_lite0\)"):
        files.read(tmp_path / "missing.npz")
    (tmp_path / "a.bin").write_bytes(_SOUND)
    with pytest.raises(ValueError, match="has the format safetensors, not npz"):
        files.read(f"npz:{tmp_path}/a.bin")
    with pytest.raises(ValueError, match="unknown format 'onnx': choose one of safetensors, npz"):
        files.read(tmp_path / "a.bin", "onnx")


def test_hdf5_that_is_truncated_or_leads_elsewhere_is_refused(tmp_path):
    path, other = tmp_path / "weights.h5", tmp_path / "other.h5"
    layers = {"conv": {"conv/kernel:0": np.zeros((8, 8, 8), np.float32)}}
    _keras_file(other, layers)
    data = other.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="not a sound file of format keras"):
        files.read(path)

    def elsewhere(group, name):
        group[name] = h5py.ExternalLink(str(other), "/conv/conv/kernel:0")

    def external_storage(group, name):
        group.create_dataset(name, (8,), "f4", external=[(str(other), 0, 32)])

    def bomb(group, name):
        group.create_dataset(name, (10**7, 10**4), "f4", chunks=(1000, 1000), compression="gzip")

    def text(group, name):
        group[name] = np.array([b"c__builtin__\neval\n"])

    for make, message in (
        (elsewhere, "is missing, or a link"),
        (external_storage, "lies in another file"),
        (bomb, "it claims 400000000000 bytes of tensors"),
        (text, "not an array of numbers"),
    ):
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = [b"conv"]
            file.create_group("conv").attrs["weight_names"] = [b"kernel:0"]
            make(file["conv"], "kernel:0")
        with pytest.raises(ValueError, match=message):
            files.read(path)


class _Evil:
    """Leaves a file behind when its pickle is opened."""

    def __init__(self, mark: pathlib.Path):
        self._mark = mark

    def __reduce__(self):
        return (pathlib.Path.touch, (self._mark,))


def _torch_zip(pickled: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n"}.items():
            archive.writestr(f"archive/{name}", data)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["a.pth", "a.npz", "a.safetensors", "a.h5", "a.dat"])
@pytest.mark.parametrize("wrap", [bytes, _torch_zip])
def test_a_pickle_is_not_opened_whatever_it_is_called(tmp_path, name, wrap):
    mark = tmp_path / "mark"
    pickled = pickle.dumps(_Evil(mark), protocol=2)
    (tmp_path / name).write_bytes(wrap(pickled))
    for format in (None, "npz", "safetensors"):
        with pytest.raises(ValueError, match=r"may run any code .* ask for pth:"):
            files.read(tmp_path / name, format)
    pickle.loads(pickled)  # noqa: S301  it is what it claims to be
    assert mark.exists()


@pytest.mark.parametrize("wrap", [bytes, _torch_zip])
def test_code_in_a_pickle_does_not_run_even_where_it_was_asked_for(tmp_path, wrap):
    pytest.importorskip("torch")
    mark = tmp_path / "mark"
    (tmp_path / "evil.pth").write_bytes(wrap(pickle.dumps(_Evil(mark), protocol=2)))
    with pytest.raises(ValueError, match=r"evil\.pth cannot be used: it holds code"):
        files.read(f"pth:{tmp_path}/evil.pth")
    assert not mark.exists()


def test_weights_of_pytorch_are_read_where_they_were_asked_for(tmp_path):
    torch = pytest.importorskip("torch")
    kernel = torch.arange(6.0).reshape(2, 3)
    state = {"fc.weight": kernel.T, "fc.bias": kernel[0].bfloat16(), "steps": torch.tensor(3)}
    path = tmp_path / "weights.pth"
    torch.save({"epoch": 3, "model": state}, path)
    file = files.read(f"pth:{path}")
    expected = {
        "fc.weight": kernel.numpy().T,
        "fc.bias": np.float32([0, 1, 2]),
        "steps": np.int64(3),
    }
    _assert_equal(file.tensors, expected)
    assert file.format == "pth"

    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="zip"):
        files.read(path, "pth")
    # A few bytes that claim to be many.
    torch.save({"fc.weight": torch.zeros(1).expand(10**6, 10**6)}, path)
    with pytest.raises(ValueError, match="it claims more values than the file has bytes"):
        files.read(path, "pth")


def test_without_pytorch_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match="pip install torch, or give the weights"):
        torch_file.read("weights.pth")


@pytest.fixture
def hostile_reader(monkeypatch):
    monkeypatch.setattr(files, "_TASKS", "tests.weights.hostile_reader")


@pytest.mark.usefixtures("hostile_reader")
@pytest.mark.parametrize(
    ("order", "reason"), [("crash", "crashed its reader"), ("end", "the process that tried died")]
)
def test_a_reader_that_crashes_is_an_error_in_one_line(tmp_path, order, reason):
    path = tmp_path / "weights.h5"
    path.write_text(json.dumps(order))
    with pytest.raises(UserError, match=rf"weights\.h5 .*{reason}.*: ") as caught:
        files.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("hostile_reader")
def test_a_reader_that_a_file_took_over_reaches_nothing_else(tmp_path):
    path, other = tmp_path / "weights.h5", tmp_path / "other"
    other.write_bytes(b"data")
    with socket.create_server(("127.0.0.1", 0)) as trap:
        path.write_text(json.dumps({"port": trap.getsockname()[1], "folder": str(tmp_path)}))
        done = files.read(path).metadata
        trap.settimeout(0.1)
        with pytest.raises(TimeoutError):
            trap.accept()
    attempts = ("read another", "write", "truncate", "remove", "connect", "fork")
    assert done.keys() == set(attempts)
    assert set(done.values()) <= {"PermissionError", "BlockingIOError"}
    assert other.read_bytes() == b"data"
    assert sorted(tmp_path.iterdir()) == [other, path]
