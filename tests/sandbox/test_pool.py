"""What goes wrong in a worker stays in it: typed errors, bounded time and memory, a new process."""

import concurrent.futures
import logging
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference.sandboxed import SandboxedExtractor
from dfjax.media import image
from dfjax.media.errors import MediaError
from dfjax.sandbox import pool
from dfjax.sandbox.errors import CancelledTaskError, TimeLimitError, WorkerError
from dfjax.sandbox.pool import Cancellation, Sandbox
from tests.media import hostile

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sandbox():
    sandbox = Sandbox("tests.sandbox.tasks")
    yield sandbox
    sandbox.close()


def run(sandbox, task, arguments=None, blobs=(), seconds=20.0, **kwargs):
    return sandbox.run(task, arguments or {}, blobs, seconds=seconds, **kwargs)


def works(sandbox) -> bool:
    return run(sandbox, "echo", {"x": 1})[0] == {"x": 1}


def children(pid: int) -> list[int]:
    """The living child processes of a process."""
    found = [p.read_text().split() for p in pathlib.Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for pids in found for child in pids if is_running(int(child))]


def is_running(pid: int) -> bool:
    try:
        return not re.search(r"State:\s+Z", pathlib.Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return False


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_json_arrays_and_progress_come_back(sandbox):
    shares = []
    reply, arrays = run(sandbox, "echo", {"name": "ä"}, [b"", b"\x00\xff"], progress=shares.append)
    assert reply == {"name": "ä"}
    np.testing.assert_array_equal(arrays["grid"], [[0, 1, 2], [3, 4, 5]])
    assert arrays["grid"].dtype == np.float32
    assert (arrays["blob0"].tolist(), arrays["blob1"].tolist()) == ([], [0, 255])
    assert shares == [0.5]


def test_a_task_asks_its_caller(sandbox):
    reply, _ = run(sandbox, "ask", answer=lambda question: question.sum(0) * 2)
    assert reply == {"answer": [6.0, 10.0, 14.0]}


def test_every_task_has_a_process_of_its_own(sandbox):
    pids = {run(sandbox, "identify")[0]["pid"] for _ in range(5)}
    assert len(pids) == 5
    run(sandbox, "remember", {"x": 1})
    assert run(sandbox, "recall")[0] == {}


def test_an_error_of_the_task_is_raised_as_it_was(sandbox):
    restarts = sandbox.num_restarts
    with pytest.raises(MediaError, match="not a picture") as error:
        run(sandbox, "refuse", {"message": "not a picture"})
    assert error.value.code == "corrupt"
    assert sandbox.num_restarts == restarts


def test_who_takes_too_long_is_killed(sandbox):
    began, restarts = time.monotonic(), sandbox.num_restarts
    for task in ("sleep", "hang"):  # one that lets itself be killed, and one that does not answer
        with pytest.raises(TimeLimitError):
            run(sandbox, task, {"seconds": 60}, seconds=0.3)
    assert time.monotonic() - began < 10
    assert works(sandbox)
    assert sandbox.num_restarts == restarts + 2


def test_who_is_cancelled_is_killed(sandbox):
    cancellation, began = Cancellation(), time.monotonic()
    threading.Timer(0.3, cancellation.request).start()
    with pytest.raises(CancelledTaskError):
        run(sandbox, "spin", cancellation=cancellation)
    with pytest.raises(CancelledTaskError):  # before it begins
        run(sandbox, "spin", cancellation=cancellation)
    assert time.monotonic() - began < 10
    assert works(sandbox)


def test_too_much_memory_is_an_error_of_the_file(sandbox):
    assert run(sandbox, "hoard", {"bytes": 2**20})[0] == {"sum": 2**20}
    with pytest.raises(MediaError) as error:
        run(sandbox, "hoard", {"bytes": pool.MEMORY})
    assert error.value.code == "too_large"
    assert works(sandbox)


def test_a_crash_is_an_error_of_the_file_and_a_death_is_not(sandbox):
    with pytest.raises(MediaError, match="crashed") as error:
        run(sandbox, "crash")
    assert error.value.code == "corrupt"
    with pytest.raises(WorkerError):
        run(sandbox, "leave")
    assert works(sandbox)


LIES = (
    b"[]",
    b"nonsense",
    b'{"reply": []}',
    b'{"reply": {}}',
    b'{"error": 1}',
    b'{"error": ["a"]}',
    b'{"progress": "much"}',
    b'{"progress": null}',
    b'{"question": []}',
    b'{"reply": {}, "layout": [["x", "object", [1]]]}',
    b'{"reply": {}, "layout": [["x", "uint8", [-1]]]}',
    b'{"reply": {}, "layout": [["x", "uint8", [1e999]]]}',
    b'{"reply": {}, "layout": [["x", "uint8", [1099511627775, 1099511627775]]]}',
    b'{"reply": {}, "layout": [["x", "uint8"]]}',
    b'{"reply": {}, "layout": {"x": 1}}',
    b"[" * 100_000,
    b"9" * 5_000,
    b"\xff\xfe",
)


@pytest.mark.parametrize("message", LIES, ids=lambda lie: lie[:30].decode("latin-1"))
def test_who_lies_is_not_believed(sandbox, message):
    with pytest.raises(WorkerError):
        run(sandbox, "say", blobs=[message])


def test_an_answer_is_bounded_before_memory_is_reserved(sandbox):
    before = resident()
    layout = [[f"x{n}", "uint8", [400 * 2**20]] for n in range(10)]
    text = b'{"reply": {}, "layout": ' + repr(layout).replace("'", '"').encode() + b"}"
    with pytest.raises(WorkerError):
        run(sandbox, "say", blobs=[text])
    with pytest.raises(WorkerError):
        run(sandbox, "echo", blobs=[bytes(2000)], max_bytes=1000)
    with pytest.raises(WorkerError):
        run(sandbox, "boast")  # a header that says it has 2^40 bytes
    assert resident() - before < 50 * 2**20


def resident() -> int:
    """Bytes of memory of this process."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_what_a_worker_writes_to_its_log_is_short_and_escaped(sandbox, caplog):
    with caplog.at_level(logging.INFO):
        run(sandbox, "log", {"text": "\x1b[31m\nINFO POST /v1/detect 200\n" + "x" * 1_000_000})
    (line,) = [record.getMessage() for record in caplog.records]
    assert len(line) < 5_000
    assert "\x1b" not in line
    assert "\n" not in line


def test_a_spare_worker_or_a_zygote_that_died_while_idle_costs_no_task(sandbox):
    works(sandbox)
    zygote = sandbox._zygote._process.pid
    time.sleep(0.2)  # spares are forked while the caller goes on

    def all_killed() -> bool:
        spares = children(zygote)
        for spare in spares:
            os.kill(spare, signal.SIGKILL)
        return not spares

    until(all_killed)
    assert works(sandbox)
    os.kill(zygote, signal.SIGKILL)
    until(lambda: not sandbox.alive)
    assert works(sandbox)
    assert sandbox.alive


def test_a_sandbox_that_cannot_start_tries_again_later(monkeypatch):
    sandbox = Sandbox("tests.sandbox.tasks")
    popen, failures = subprocess.Popen, [OSError(24, "Too many open files")] * 2

    def fail_twice(*args, **kwargs):
        if failures:
            raise failures.pop()
        return popen(*args, **kwargs)

    monkeypatch.setattr(pool, "_PAUSE", 0.2)
    monkeypatch.setattr(subprocess, "Popen", fail_twice)
    os.kill(sandbox._zygote._process.pid, signal.SIGKILL)
    until(lambda: not sandbox.alive)
    for _ in range(2):
        time.sleep(0.3)
        with pytest.raises(WorkerError, match="Too many open files"):
            run(sandbox, "echo")
        with pytest.raises(WorkerError, match="being started"):
            run(sandbox, "echo")
        assert not sandbox.alive
    time.sleep(0.3)
    assert works(sandbox)
    sandbox.close()


def test_close_ends_what_runs_and_what_would_start():
    sandbox = Sandbox("tests.sandbox.tasks")
    zygote = sandbox._zygote._process.pid
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        tasks = [threads.submit(run, sandbox, "spin") for _ in range(3)]
        until(lambda: len(children(zygote)) >= 3)
        workers, began = children(zygote), time.monotonic()
        sandbox.close()
        assert [type(task.exception()) for task in tasks] == [WorkerError] * 3
    assert time.monotonic() - began < 5
    until(lambda: not any(map(is_running, [zygote, *workers])))
    with pytest.raises(WorkerError, match="closed"):
        run(sandbox, "echo")


def test_tasks_run_beside_each_other(sandbox):
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        sleeping = [threads.submit(run, sandbox, "sleep", {"seconds": 2}) for _ in range(2)]
        assert [task.result() for task in sleeping] == [({}, {})] * 2
    assert time.monotonic() - began < 4


def test_a_module_that_does_not_import_is_named():
    with pytest.raises(RuntimeError, match=r"tests\.sandbox\.nothing"):
        Sandbox("tests.sandbox.nothing")


def test_workers_end_with_their_parent():
    program = (
        "import threading, time\n"
        "from dfjax.sandbox.pool import Sandbox\n"
        "sandbox = Sandbox('tests.sandbox.tasks')\n"
        "threading.Thread(target=sandbox.run, args=('spin', {}), kwargs={'seconds': 60}).start()\n"
        "print(sandbox._zygote._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT)
    zygote = int(parent.stdout.readline())
    until(lambda: children(zygote))
    pids = [zygote, *children(zygote)]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: not any(map(is_running, pids)), seconds=5)


# The files of `hostile`, through the task that the server gives its workers.


@pytest.fixture(scope="module")
def extractor():
    with SandboxedExtractor() as extractor:
        yield extractor


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    return folder, hostile.make_all(folder)


def find(extractor, path):
    return extractor.file(path, CropSpec(size=64), num_frames=32, seconds=30.0)


def code_of(extractor, path) -> tuple[str, str]:
    try:
        find(extractor, path)
    except MediaError as error:
        return error.code, str(error)
    return "no error", ""


def test_the_code_that_sees_hostile_bytes_loads_no_model():
    program = (
        "import sys, dfjax.inference.tasks\n"
        "assert not {'jax', 'tensorflow', 'fastapi', 'orbax'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_hostile_files_are_refused_cheaply_and_others_are_not(extractor, corpus, tmp_path):
    folder, codes = corpus
    drawn = synthetic.film(synthetic.Settings(frames=1), 3, 0).frames[0]
    good = tmp_path / "good.png"
    good.write_bytes(image.encode_image(drawn, "png"))
    want = find(extractor, good).faces[0].crop.image
    for name, expected in codes.items():
        began = time.monotonic()
        code, message = code_of(extractor, folder / name)
        assert code in expected, name
        assert name in message or code == "no error", name
        assert time.monotonic() - began < 10, name
    np.testing.assert_array_equal(find(extractor, good).faces[0].crop.image, want)
    assert extractor.sandbox.num_restarts == 0  # none of them got its process down
