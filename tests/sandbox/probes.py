"""What a decoder might try once a file has taken it over; and a program that tries all of it.

    python -m tests.sandbox.probes [refuse-user-namespaces]

prints as JSON what each probe got, "done" or the name of an error: in a sandboxed process, and in
an ordinary one of the same user, which shows that it would succeed without the sandbox.
"""

import ctypes
import json
import multiprocessing
import os
import pathlib
import platform
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

from dfjax.sandbox import confinement
from dfjax.sandbox.pool import Sandbox

_LIBC = ctypes.CDLL(None, use_errno=True)
_X86 = platform.machine() == "x86_64"


def _call(number_on_x86, number_on_arm, *arguments):
    number = number_on_x86 if _X86 else number_on_arm
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    if _LIBC.syscall(ctypes.c_long(number), *converted) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def _connect(family, address):
    with socket.socket(family) as connection:
        connection.settimeout(2)
        connection.connect(address)


def _ask_name_server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.connect(("127.0.0.1", 53))


def _ptrace(pid):
    if _LIBC.ptrace(16, pid, 0, 0) < 0:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "refused")
    os.waitpid(pid, 0)
    _LIBC.ptrace(17, pid, 0, 0)


def _read_memory(pid):
    buffer = ctypes.create_string_buffer(8)
    here = struct.pack("PN", ctypes.addressof(buffer), 8)
    _call(310, 270, pid, here, 1, here, 1, 0)  # process_vm_readv


def _fork():
    if os.fork() == 0:
        os._exit(0)
    os.wait()


def _start_thread_of_another_kind():
    _call(435, 435, bytes(88), 88)  # clone3


def _unshare(flags):
    if _LIBC.unshare(flags) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def _raw_socket():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()


def _netlink():
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()


def _become_dumpable():
    if _LIBC.prctl(4, 1, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def _limit_parent(pid):
    import resource

    resource.prlimit(pid, resource.RLIMIT_NOFILE, (1024, 1024))


# By name: a function of the world (see `main`). Those below the line need no luck of the system to
# succeed in an ordinary process.
PROBES = {
    "connect by TCP": lambda w: _connect(socket.AF_INET, ("127.0.0.1", w["port"])),
    "connect by UDP": lambda w: _ask_name_server(),
    "connect by path": lambda w: _connect(socket.AF_UNIX, w["socket"]),
    "connect to an abstract socket": lambda w: _connect(socket.AF_UNIX, "\0" + w["abstract"]),
    "netlink": lambda w: _netlink(),
    "write": lambda w: pathlib.Path(w["victim"]).write_text("x"),
    "append": lambda w: open(w["victim"], "a").close(),
    "truncate": lambda w: os.truncate(w["victim"], 0),
    "remove": lambda w: os.unlink(w["victim"]),
    "rename": lambda w: os.rename(w["victim"], w["victim"] + "2"),
    "change the mode": lambda w: os.chmod(w["victim"], 0o777),
    "change the times": lambda w: os.utime(w["victim"]),
    "set an attribute": lambda w: os.setxattr(w["victim"], "user.x", b"x"),
    "make an empty file": lambda w: open(w["folder"] + "/new", "w").close(),
    "make a folder": lambda w: os.mkdir(w["folder"] + "/new"),
    "make a link": lambda w: os.symlink("/etc/passwd", w["folder"] + "/new"),
    "make a hard link": lambda w: os.link(w["victim"], w["folder"] + "/new"),
    "make a pipe": lambda w: os.mkfifo(w["folder"] + "/new"),
    "write the file it may read": lambda w: open(w["readable"], "r+").close(),
    "read another file": lambda w: pathlib.Path(w["victim"]).read_text(),
    "list a folder": lambda w: os.listdir(w["folder"]),
    "read /etc": lambda w: pathlib.Path("/etc/passwd").read_text(),
    "signal the parent": lambda w: os.kill(w["parent"], 0),
    "signal another worker": lambda w: os.kill(w["other"], 0),
    "change the parent's limits": lambda w: _limit_parent(w["parent"]),
    "start a process": lambda w: _fork(),
    "run a program": lambda w: subprocess.run(["/bin/true"], check=True),
    "run a program in its place": lambda w: os.execv("/bin/true", ["true"]),
    "memory as a file": lambda w: os.close(os.memfd_create("x")),
    # Not everywhere possible without a sandbox.
    "read the parent's environment": lambda w: pathlib.Path(
        f"/proc/{w['parent']}/environ"
    ).read_bytes()[0],
    "open the parent's memory": lambda w: open(f"/proc/{w['parent']}/mem", "r+b").close(),
    "read the parent's memory": lambda w: _read_memory(w["parent"]),
    "list the parent's files": lambda w: os.listdir(f"/proc/{w['parent']}/fd"),
    "trace the parent": lambda w: _ptrace(w["parent"]),
    "another user namespace": lambda w: _unshare(0x10000000),
    "another mount namespace": lambda w: _unshare(0x00020000),
    "mount": lambda w: _call(165, 40, b"none", w["folder"].encode(), b"tmpfs", 0, None),
    "join a namespace": lambda w: _call(308, 268, os.open("/proc/1/ns/net", os.O_RDONLY), 0),
    "raw socket": lambda w: _raw_socket(),
    "clone3": lambda w: _start_thread_of_another_kind(),
    "userfaultfd": lambda w: _call(323, 282, 0),
    "keyctl": lambda w: _call(250, 219, 0, -4, 0),
    "bpf": lambda w: _call(321, 280, 0, bytes(128), 128),
    "perf_event_open": lambda w: _call(298, 241, bytes(128), 0, -1, -1, 0),
    "io_uring": lambda w: _call(425, 425, 1, ctypes.create_string_buffer(256)),
    "open_by_handle_at": lambda w: _call(304, 265, -1, bytes(16), 0),
    "pidfd_open": lambda w: _call(434, 434, w["parent"], 0),
    "become dumpable": lambda w: _become_dumpable(),
}
SURE = tuple(PROBES)[: tuple(PROBES).index("read the parent's environment")]


def _dumpable() -> int:
    return _LIBC.prctl(3, 0, 0, 0, 0)


def attempt(name, world) -> str:
    try:
        PROBES[name](world)
    except BaseException as error:
        return type(error).__name__
    return "done"


def probe(arguments, *_):
    return {"got": attempt(arguments["name"], arguments["world"])}, {}


def describe(arguments, *_):
    status = pathlib.Path(arguments["path"]).read_text()  # the file that it may read
    return {"read": status, "environment": sorted(os.environ), "dumpable": _dumpable()}, {}


def load():
    _LIBC.prctl(3, 0, 0, 0, 0)


touch = load


TASKS = {"probe": probe, "describe": describe}


def refuse_user_namespaces():
    """What Docker's default profile does: unshare fails with EPERM."""
    number = 272 if _X86 else 97
    program = [
        (0x20, 0, 0, 0),
        (0x15, 0, 1, number),
        (0x06, 0, 0, 0x50001),
        (0x06, 0, 0, 0x7FFF0000),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    _LIBC.prctl(38, 1, 0, 0, 0)
    description = struct.pack("@HP", len(program), ctypes.addressof(code))
    assert _LIBC.prctl(22, 2, description, 0, 0) == 0


def make_world(folder: pathlib.Path) -> tuple[dict, tuple]:
    listener = socket.create_server(("127.0.0.1", 0))
    by_path, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    by_path.bind(str(folder / "socket"))
    abstract.bind(f"\0dfjax-{os.getpid()}")
    by_path.listen()
    abstract.listen()
    other = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.DEVNULL
    )
    (folder / "readable").write_text("what it may read")
    world = {
        "port": listener.getsockname()[1],
        "socket": str(folder / "socket"),
        "abstract": f"dfjax-{os.getpid()}",
        "folder": str(folder),
        "victim": str(folder / "victim"),
        "readable": str(folder / "readable"),
        "parent": os.getpid(),
        "other": other.pid,
    }
    return world, (listener, by_path, abstract, other)


def _in_ordinary_process(name, world, results):
    results.put(attempt(name, world))


def without_sandbox(name, world) -> str:
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=_in_ordinary_process, args=(name, world, results))
    process.start()
    process.join(10)
    process.kill()
    return "done" if results.empty() else results.get()  # exec leaves nothing


def _reset(folder: pathlib.Path) -> None:
    (folder / "victim").write_text("precious")
    if (folder / "new").is_dir():
        (folder / "new").rmdir()
    (folder / "new").unlink(missing_ok=True)


def main() -> None:
    if "refuse-user-namespaces" in sys.argv:
        refuse_user_namespaces()
    confinement.hide_memory()
    folder = pathlib.Path(tempfile.mkdtemp())
    world, kept = make_world(folder)
    sandbox = Sandbox("tests.sandbox.probes")
    found = {"layers": sandbox.layers, "sandboxed": {}, "ordinary": {}}
    described, _ = sandbox.run(
        "describe", {"path": world["readable"]}, seconds=20, reads=[world["readable"]]
    )
    for name in PROBES:
        _reset(folder)
        found["sandboxed"][name] = sandbox.run(
            "probe", {"name": name, "world": world}, seconds=20, reads=[world["readable"]]
        )[0]["got"]
        assert (folder / "victim").read_text() == "precious", name
        assert not os.path.lexists(folder / "new"), name
    for name in SURE:
        _reset(folder)
        found["ordinary"][name] = without_sandbox(name, world)
    sandbox.close()
    kept[-1].kill()
    kept[-1].wait()
    shutil.rmtree(folder)
    print(json.dumps({**found, **described}))
    for end in kept[:-1]:
        end.close()


if __name__ == "__main__":
    main()
