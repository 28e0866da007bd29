"""What goes wrong in a worker stays in it: typed errors, bounded time and memory, a new process."""

import concurrent.futures
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image, sandbox
from dfjax.media.errors import MediaError
from dfjax.media.sandbox import Sandbox, TimeLimitError, WorkerError
from tests.media import hostile

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def one():
    """A pool of one worker."""
    pool = Sandbox("tests.media.sandboxed", workers=1)
    yield pool
    pool.close()


def run(pool, task, arguments=None, blobs=(), seconds=20.0, **kwargs):
    return pool.run(task, arguments or {}, blobs, seconds=seconds, **kwargs)


def works(pool) -> bool:
    return run(pool, "echo", {"x": 1})[0] == {"x": 1}


def test_json_arrays_and_progress_come_back(one):
    shares = []
    reply, arrays = run(one, "echo", {"name": "ä"}, [b"", b"\x00\xff"], progress=shares.append)
    assert reply == {"name": "ä"}
    np.testing.assert_array_equal(arrays["grid"], [[0, 1, 2], [3, 4, 5]])
    assert arrays["grid"].dtype == np.float32
    assert (arrays["blob0"].tolist(), arrays["blob1"].tolist()) == ([], [0, 255])
    assert shares == [0.5]


def test_an_error_of_the_task_is_raised_as_it_was(one):
    pids = one.pids
    with pytest.raises(MediaError, match="not a picture") as error:
        run(one, "refuse", {"message": "not a picture"})
    assert error.value.code == "corrupt"
    assert one.pids == pids


def test_who_takes_too_long_is_killed_and_replaced(one):
    began, pids, restarts = time.monotonic(), one.pids, one.num_restarts
    with pytest.raises(TimeLimitError):
        run(one, "sleep", {"seconds": 60}, seconds=0.3)
    assert time.monotonic() - began < 5
    assert works(one)
    assert one.pids != pids
    assert one.num_restarts == restarts + 1


def test_too_much_memory_is_an_error_of_the_file(one):
    assert run(one, "hoard", {"bytes": 2**20})[0] == {"sum": 2**20}
    with pytest.raises(MediaError) as error:
        run(one, "hoard", {"bytes": sandbox.MEMORY})
    assert error.value.code == "too_large"
    assert works(one)


def test_a_crash_is_an_error_of_the_file_and_a_death_is_not(one):
    with pytest.raises(MediaError, match="crashed") as error:
        run(one, "crash")
    assert error.value.code == "corrupt"
    for task, arguments in (
        ("leave", {}),
        ("lie", {"dtype": "object"}),
        ("lie", {"dtype": "text"}),
    ):
        with pytest.raises(WorkerError):
            run(one, task, arguments)
        assert works(one)


def test_a_worker_may_neither_write_nor_connect_nor_fork(one, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        reply, _ = run(one, "trespass", {"folder": str(tmp_path), "port": port})
    assert reply["write"] == "OSError"
    assert all(path.stat().st_size == 0 for path in tmp_path.iterdir())
    assert reply["descriptors"] == "OSError"
    assert "HOME" in os.environ
    assert "HOME" not in reply["environment"]
    if subprocess.run(["unshare", "--user", "--net", "true"]).returncode:
        pytest.skip("this system lets nobody give up the network")
    assert reply["connect"] == "OSError"
    if os.geteuid() != 0:  # root is exempt
        assert reply["fork"] == "BlockingIOError"


def test_a_worker_that_died_while_idle_costs_no_task(one):
    works(one)
    os.kill(one.pids[0], 9)
    time.sleep(0.2)
    assert works(one)


def test_workers_are_replaced_after_some_tasks(one, monkeypatch):
    works(one)
    monkeypatch.setattr(sandbox, "MAX_TASKS", 0)
    pids, restarts = one.pids, one.num_restarts
    works(one)
    assert one.pids != pids
    assert one.num_restarts == restarts


def test_tasks_run_beside_each_other():
    pool = Sandbox("tests.media.sandboxed", workers=2)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        sleeping = [threads.submit(run, pool, "sleep", {"seconds": 2}) for _ in range(2)]
        assert [task.result() for task in sleeping] == [({}, {})] * 2
    assert time.monotonic() - began < 4
    pids = pool.pids
    pool.close()
    assert not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_module_that_does_not_import_is_named():
    with pytest.raises(RuntimeError, match=r"tests\.media\.nothing"):
        Sandbox("tests.media.nothing", workers=1)


def test_workers_end_soon_after_their_parent_is_killed():
    program = (
        "import threading, time\n"
        "from dfjax.media.sandbox import Sandbox\n"
        "pool = Sandbox('tests.media.sandboxed', workers=2)\n"
        "threading.Thread(target=pool.run, args=('spin', {}), kwargs={'seconds': 1}).start()\n"
        "print(*pool.pids, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT)
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    time.sleep(0.3)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30  # the limit on processor time ends the one that spins
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    try:
        return not re.search(r"State:\s+Z", pathlib.Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return False


# The files of `hostile`, through the task that the server gives its workers.


@pytest.fixture(scope="module")
def decoder():
    pool = Sandbox("dfjax.serve.tasks", workers=1)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    return folder, hostile.make_all(folder)


def find(pool, path):
    arguments = {"path": str(path), "spec": CropSpec(size=64).to_json(), "num_frames": 32}
    return run(pool, "extract_faces", arguments, seconds=30.0)


def code_of(pool, path) -> tuple[str, str]:
    try:
        find(pool, path)
    except MediaError as error:
        return error.code, str(error)
    return "no error", ""


def peak(pool) -> int:
    """The most memory, in bytes, that the worker ever had."""
    status = pathlib.Path(f"/proc/{pool.pids[0]}/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])


def test_the_code_that_sees_hostile_bytes_loads_no_model():
    program = (
        "import sys, dfjax.serve.tasks\n"
        "assert not {'jax', 'tensorflow', 'fastapi', 'orbax'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_hostile_files_are_refused_cheaply_and_others_are_not(decoder, corpus, tmp_path):
    folder, codes = corpus
    drawn = synthetic.film(synthetic.Settings(frames=1), 3, 0).frames[0]
    good = tmp_path / "good.png"
    good.write_bytes(image.encode_image(drawn, "png"))
    want = find(decoder, good)[1]["image"]
    idle, pids = peak(decoder), decoder.pids
    for name, expected in codes.items():
        began = time.monotonic()
        code, message = code_of(decoder, folder / name)
        assert code in expected, name
        assert str(folder) not in message, name
        assert time.monotonic() - began < 10, name
        assert peak(decoder) - idle < 2**30, name
        np.testing.assert_array_equal(find(decoder, good)[1]["image"], want)
    assert decoder.pids == pids  # none of them got the process down
