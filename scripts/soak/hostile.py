"""A client that means harm, and one that leaves: raw bytes on sockets of their own."""

import base64
import collections
import contextlib
import json
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from soak.materials import Materials
from soak.record import Attack, Record

_INFER, _PREDICT = "/v2/models/dfjax/infer", "/v1/models/dfjax:predict"
_FORM = "Content-Type: multipart/form-data; boundary=B\r\n"
SHARE, HANG_UPS = 0.05, 0.02  # of all operations, honest ones included
_TIMEOUT = 70.0  # seconds: longer than a server may think about a request
_MAX_PARKED = 16

Maker = Callable[[Materials, random.Random], bytes]
ATTACKS: dict[str, Maker] = {}
PARKED = ("stalled body", "slow body", "half head", "silence")  # these never send all


def _attack(name: str) -> Callable[[Maker], Maker]:
    def add(make: Maker) -> Maker:
        ATTACKS[name] = make
        return make

    return add


class HostileClient:
    """Attacks, each as often as the others, and hang-ups; `seed` says in which order."""

    def __init__(
        self, port: int, seed: int, materials: Materials, record: Record, stop: threading.Event
    ):
        self._port, self._rng = port, random.Random(seed)
        self._materials, self._record, self._stop = materials, record, stop
        self._parked: collections.deque[tuple[str, socket.socket]] = collections.deque()
        self._left: list[str] = []

    def run(self) -> None:
        """Keeps to its shares of all operations until the traffic is over."""
        attacks = hang_ups = 0
        while not self._stop.wait(0.05):
            everything = len(self._record.operations) / (1 - SHARE - HANG_UPS)
            with contextlib.suppress(OSError):  # the server closed, or is away
                if attacks < SHARE * everything:
                    attacks += 1
                    self._attack()
                elif hang_ups < HANG_UPS * everything:
                    hang_ups += 1
                    self._hang_up()
                self._drip()
        for _, connection in self._parked:
            connection.close()

    def _attack(self) -> None:
        if not self._left:
            self._left = sorted(ATTACKS)
            self._rng.shuffle(self._left)
        name = self._left.pop()
        request = ATTACKS[name](self._materials, self._rng)
        connection = self._connect()
        if name in PARKED:
            self._park(name, connection, request)
            return
        began = time.monotonic()
        with connection:
            with contextlib.suppress(OSError):  # refused before it was read
                connection.sendall(request)
            self._note(name, _status(connection), began)

    def _hang_up(self) -> None:
        """Sends part of an honest upload, or all of it, and leaves."""
        file = self._rng.choice([*self._materials.clips, *self._materials.pictures])
        path = self._rng.choice(["/v1/detect", "/v1/jobs"])
        request, began = upload(path, file), time.monotonic()
        sent = self._rng.choice([len(request), self._rng.randrange(len(request))])
        with self._connect() as connection:
            connection.sendall(request[:sent])
            self._stop.wait(self._rng.random())
        self._note("hang-up", 0, began)

    def _note(self, name: str, status: int, began: float) -> None:
        self._record.attacks.append(Attack(name, status, time.monotonic() - began))

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=_TIMEOUT)

    def _park(self, name: str, connection: socket.socket, request: bytes) -> None:
        began = time.monotonic()
        connection.sendall(request)
        self._note(name, 0, began)
        self._parked.append((name, connection))
        if len(self._parked) > _MAX_PARKED:
            self._parked.popleft()[1].close()

    def _drip(self) -> None:
        """Sends one more byte of the slow bodies."""
        for name, connection in self._parked:
            if name == "slow body":
                with contextlib.suppress(OSError):
                    connection.send(b"x", socket.MSG_DONTWAIT)


def request(path: str, body: bytes, headers: str = "", method: str = "POST") -> bytes:
    """Returns the bytes of a request; `headers` are whole lines that end in CRLF."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def upload(path: str, data: bytes, headers: str = "") -> bytes:
    """Returns the bytes of a request that uploads a file."""
    head = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    return request(path, head + data + b"\r\n--B--\r\n", headers + _FORM)


def _status(connection: socket.socket) -> int:
    """The status of the answer; 0: the connection ended without one."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(connection.recv(4096).split(maxsplit=2)[1])
    return 0


def _infer(tensor: dict[str, Any], **fields: Any) -> bytes:
    return request(_INFER, json.dumps({"inputs": [tensor], **fields}).encode())


def _predict(**fields: Any) -> bytes:
    return request(_PREDICT, json.dumps(fields).encode())


def _tensor(materials: Materials) -> dict[str, Any]:
    """A good crop, to be spoiled."""
    crops = materials.crops[:1]
    data = crops.ravel().tolist()
    return {"name": "image", "shape": list(crops.shape), "datatype": "UINT8", "data": data}


@_attack("many sizes")
def _many_sizes(_: Materials, rng: random.Random) -> bytes:
    shape = [2**31 - 1] * rng.choice([5, 70, 20_000])
    return _infer({"name": "image", "shape": shape, "datatype": "UINT8", "data": [0]})


@_attack("string bomb")
def _string_bomb(_: Materials, rng: random.Random) -> bytes:
    instances = ["a" * rng.randrange(20_000), *[""] * 2_000]
    return _predict(signature_name="crops", instances=instances)


@_attack("strings for pixels")
def _strings_for_pixels(materials: Materials, rng: random.Random) -> bytes:
    data = ["a" * rng.randrange(20_000), *["1"] * 2_000]
    return _infer({**_tensor(materials), "data": data})


@_attack("wrong types")
def _wrong_types(materials: Materials, rng: random.Random) -> bytes:
    wrong = rng.choice([[], {}, None, True, -1, 0.5, 10**400, [[[]]], ["x" * 300]])
    tensor = _tensor(materials)
    field = rng.choice([*tensor, "id", "signature_name", "instances"])
    if field in tensor:
        return _infer({**tensor, field: wrong})
    return _infer(tensor, id=wrong) if field == "id" else _predict(**{field: wrong})


@_attack("id")
def _id(materials: Materials, rng: random.Random) -> bytes:
    spoiled = rng.choice(["\ud800", float("inf"), "x" * 10**6, {"a": [1]}, "\x00"])
    return _infer(_tensor(materials), id=spoiled)


@_attack("nesting")
def _nesting(_: Materials, rng: random.Random) -> bytes:
    depth = rng.randrange(1_000, 100_000)
    return request(_PREDICT, b'{"instances":' + b"[" * depth + b"]" * depth + b"}")


@_attack("lying length")
def _lying_length(_: Materials, rng: random.Random) -> bytes:
    length = rng.choice(["9" * 5_000, "-1", "0x10", "1e3", str(2**63)])
    return request(_INFER, b"{}", f"Inference-Header-Content-Length: {length}\r\n")


@_attack("zero lengths")
def _zero_lengths(_: Materials, rng: random.Random) -> bytes:
    count = rng.randrange(1_000, 500_000)
    tensor = {"name": "image_bytes", "shape": [count], "datatype": "BYTES"}
    tensor["parameters"] = {"binary_data_size": 4 * count}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = f"Inference-Header-Content-Length: {len(head)}\r\n"
    return request(_INFER, head + bytes(4 * count), headers)


@_attack("picture bomb in JSON")
def _picture_bomb_in_json(materials: Materials, rng: random.Random) -> bytes:
    file = materials.bombs[rng.choice(["flat.png", "huge.png"])]
    return _predict(instances=[{"b64": base64.b64encode(file).decode()}])


@_attack("decode bomb")
def _decode_bomb(materials: Materials, rng: random.Random) -> bytes:
    return upload("/v1/detect", materials.bombs[rng.choice(sorted(materials.bombs))])


@_attack("truncated media")
def _truncated_media(materials: Materials, rng: random.Random) -> bytes:
    file = rng.choice(materials.clips + materials.pictures)
    return upload("/v1/detect", file[: rng.randrange(len(file))])


@_attack("mutated media")
def _mutated_media(materials: Materials, rng: random.Random) -> bytes:
    file = bytearray(rng.choice(materials.clips + materials.pictures))
    for _ in range(rng.choice([1, 10, 1_000])):
        file[rng.randrange(len(file))] = rng.randrange(256)
    return upload("/v1/detect", bytes(file))


@_attack("garbage job")
def _garbage_job(_: Materials, rng: random.Random) -> bytes:
    return upload("/v1/jobs", rng.randbytes(rng.randrange(1, 10_000)))


@_attack("broken form")
def _broken_form(materials: Materials, rng: random.Random) -> bytes:
    body = upload("/v1/detect", rng.choice(materials.pictures)).partition(b"\r\n\r\n")[2]
    spoiled = rng.choice([b"\r\n--B", b"--B--", b"\r\n\r\n", b"filename="])
    body = body.replace(spoiled, rng.choice([b"", b"\n", spoiled * 100]))
    return request("/v1/detect", body, _FORM)


@_attack("many parts")
def _many_parts(_: Materials, rng: random.Random) -> bytes:
    part = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    return request("/v1/detect", part * rng.randrange(20, 10_000) + b"--B--\r\n", _FORM)


@_attack("two lengths")
def _two_lengths(_: Materials, rng: random.Random) -> bytes:
    body = b"0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    other = rng.choice(["Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n"])
    return request("/v1/detect", body, other)


@_attack("cross-site")
def _cross_site(materials: Materials, rng: random.Random) -> bytes:
    origin = rng.choice(["https://evil.example", "null"])
    headers = f"Origin: {origin}\r\nSec-Fetch-Site: cross-site\r\n"
    return upload("/v1/detect", rng.choice(materials.pictures), headers)


@_attack("odd request")
def _odd_request(_: Materials, rng: random.Random) -> bytes:
    return rng.choice(
        [
            request("/../../etc/passwd", b"", method="GET"),
            request("/", b"", "X: " + "a" * 100_000 + "\r\n", method="GET"),
            request("/v1/detect", b"x" * 1000, "Content-Encoding: gzip\r\n"),
            request("/", b"", method="A" * 5_000),
            rng.randbytes(1_000) + b"\r\n\r\n",
        ]
    )


@_attack("stalled body")
def _stalled_body(_: Materials, rng: random.Random) -> bytes:
    return upload("/v1/detect", bytes(rng.randrange(10**6, 3 * 10**7)))[:-10]


@_attack("slow body")
def _slow_body(_: Materials, __: random.Random) -> bytes:
    return upload("/v1/detect", bytes(10**6))[:1_000]


@_attack("half head")
def _half_head(_: Materials, __: random.Random) -> bytes:
    return b"POST /v1/detect HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "


@_attack("silence")
def _silence(_: Materials, __: random.Random) -> bytes:
    return b""
