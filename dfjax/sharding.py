"""Where arrays live: one mesh axis over all devices of all processes.

The state is replicated and batches are split along their first axis; XLA derives every collective
from that. Axes are of type Auto: explicit ones (the default of `jax.make_mesh`) would ask the
layers of every model for output shardings.
"""

import contextlib
import itertools
import json
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax._src import distributed
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from dfjax import errors
from dfjax.errors import UserError

_WAIT_MILLISECONDS = 24 * 60 * 60 * 1000  # a process that died ends the others before
_LEAVE_MILLISECONDS = 10_000  # that a process which ends waits for each other

_Result = TypeVar("_Result")
_meetings = itertools.count()  # the same in all processes, which call the same functions


def make_mesh() -> Mesh:
    """A 1-D mesh named "data" over every device of every process, in the order of processes.

    `jax.make_mesh` may order them by the wires between them. Collectives over one axis span all
    devices anyway, and here the rows of process p are to be the p-th block of a batch.
    """
    devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    return Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """The same array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def by_batch(mesh: Mesh) -> NamedSharding:
    """Rows of the first axis dealt out over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def check_batch_size(name: str, batch_size: int, mesh: Mesh) -> None:
    """Raises UserError unless every device gets the same number of rows."""
    _require_multiple(name, batch_size, mesh.size, f"{mesh.size} devices")


def check_train_batch_size(batch_size: int, mesh: Mesh, grad_accum_steps: int) -> None:
    """Raises UserError unless every device can make each microbatch of whole pairs of its own.

    So a microbatch is as balanced as the batch, and augmentation, which sees pairs, exchanges
    nothing between devices: it may run while another program does.
    """
    if grad_accum_steps < 1:
        raise UserError(f"grad_accum_steps is {grad_accum_steps}: use 1 or more microbatches")
    names = f"2 classes x {mesh.size} devices"
    if grad_accum_steps > 1:
        names += f" x {grad_accum_steps} microbatches"
    _require_multiple("batch_size", batch_size, 2 * mesh.size * grad_accum_steps, names)


def _require_multiple(name: str, value: int, parts: int, names: str) -> None:
    if value <= 0 or value % parts:
        raise UserError(f"{name} {value} is not divisible by {names}: use a multiple of {parts}")


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Global arrays, split by rows; the rows that process p holds are their p-th block."""
    sharding = by_batch(mesh)
    return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in batch.items()}


def abstract_batch(
    batch_size: int, image_size: int, landmarks: int, mesh: Mesh
) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes, types and shardings of a batch of `train_stream`, to compile before the first."""
    shapes = {
        "image": ((image_size, image_size, 3), np.uint8),
        "label": ((), np.int32),
        "kind": ((), np.int32),
        "aligned": ((), np.bool_),
        "landmarks": ((landmarks, 2), np.float32),
        "index": ((), np.int32),
    }
    rows = {k: jax.ShapeDtypeStruct((batch_size, *s), dtype) for k, (s, dtype) in shapes.items()}
    return abstract(rows, by_batch(mesh))


def abstract(tree: Any, sharding: NamedSharding) -> Any:
    """Shapes and types of a tree, each with the sharding."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


def local_rows(array: jax.Array) -> np.ndarray:
    """The rows of a `by_batch` array that live on this process, in order."""
    shards = sorted(array.addressable_shards, key=lambda s: s.index[0].start or 0)
    return np.concatenate([np.asarray(s.data) for s in shards])


def gather_json(value: Any) -> list[Any]:
    """The JSON-serialisable `value` of every process, on every process, in process order."""
    if jax.process_count() == 1:
        return [value]
    data = np.frombuffer(json.dumps(value).encode(), np.uint8)
    wait_for_all()
    sizes = multihost_utils.process_allgather(np.array(data.size))
    padded = np.zeros(sizes.max(), np.uint8)
    padded[: data.size] = data
    rows = multihost_utils.process_allgather(padded)
    return [json.loads(bytes(row[:size])) for row, size in zip(rows, sizes, strict=True)]


def wait_for_all() -> None:
    """Returns when every process is here.

    Before a computation that they share, and that one may be late for: a CPU gives the others 30 s
    to join it.
    """
    if jax.process_count() > 1:
        client = distributed.global_state.client  # no public function waits without computing
        client.wait_at_barrier(f"dfjax/{next(_meetings)}", _WAIT_MILLISECONDS)


def from_first(make: Callable[[], _Result]) -> _Result:
    """What `make` returns in the first process, in every process; `make` is called there alone.

    It returns what JSON can hold. A UserError that it raises is raised in every process.
    """
    if jax.process_count() == 1:
        return make()
    client, key = distributed.global_state.client, f"dfjax/{next(_meetings)}"
    if jax.process_index() == 0:
        try:
            result = make()
        except UserError as error:
            sent = {"error": type(error).__name__, "message": str(error)}
            client.key_value_set(key, json.dumps(sent))
            # The keys end with this process, which ends now.
            for index in range(1, jax.process_count()):
                with contextlib.suppress(jax.errors.JaxRuntimeError):  # it is dead
                    client.blocking_key_value_get(f"{key}/seen by {index}", _LEAVE_MILLISECONDS)
            raise
        client.key_value_set(key, json.dumps({"result": result}))
        return result
    sent = json.loads(client.blocking_key_value_get(key, _WAIT_MILLISECONDS))
    if "error" in sent:
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # the first has ended
            client.key_value_set(f"{key}/seen by {jax.process_index()}", "")
        raise getattr(errors, sent["error"], UserError)(sent["message"])
    return sent["result"]


def place_first(tree: Any, like: Any) -> Any:
    """The numpy arrays of the first process in every process, with the shardings of `like`.

    The other processes give None. The arrays of `like` are replicated.
    """
    if jax.process_count() > 1:
        given = tree if jax.process_index() == 0 else jax.tree.map(_zeros, like)
        # As whole numbers, because others are added up, and -0.0 and 0.0 make 0.0.
        bits = jax.tree.map(lambda x: np.asarray(x).view(f"u{x.dtype.itemsize}"), given)
        wait_for_all()
        bits = multihost_utils.broadcast_one_to_all(bits)
        tree = jax.tree.map(lambda x, bits: np.asarray(bits).view(x.dtype), like, bits)
    return jax.tree.map(_place, like, tree)


def _zeros(like: jax.ShapeDtypeStruct) -> np.ndarray:
    return np.zeros(like.shape, like.dtype)


def _place(like: jax.ShapeDtypeStruct, value: np.ndarray) -> jax.Array:
    return jax.make_array_from_callback(value.shape, like.sharding, lambda rows: value[rows])
