"""Whatever is put into the folder of a model, the server goes on looking for a good one."""

import asyncio
import contextlib
import json
import logging
import shutil

from dfjax import model_card
from dfjax.serve.model_versions import ModelVersions


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


def put_card(folder, content):
    half = folder / "half.json"
    half.write_text(json.dumps(content))
    half.rename(folder / model_card.FILE)


def watched(versions, steps):
    """Runs the coroutine function `steps` while the versions are watched."""

    async def run():
        watch = asyncio.create_task(versions.watch(0.02))
        await steps()
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch

    asyncio.run(run())


def test_a_card_that_cannot_be_read_does_not_end_the_watch(model, tmp_path, caplog):
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    card = json.loads((folder / model_card.FILE).read_text())
    another_field = json.loads(json.dumps(card))
    for decision in another_field["decisions"].values():
        decision["unknown"] = 1
    versions = ModelVersions(folder)

    async def steps():
        for broken in (another_field, {**card, "step": [1]}):
            before = versions.num_poll_errors
            put_card(folder, broken)
            await until(lambda before=before: versions.num_poll_errors > before + 5)
        put_card(folder, {**card, "temperature": 50.0})
        await until(lambda: versions.current.detector.scorer.card.temperature == 50.0)

    with caplog.at_level(logging.ERROR, "dfjax"):
        watched(versions, steps)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == len(set(messages)) == 2  # each error once, however often it is met


def test_a_link_that_leads_nowhere_is_a_file_like_others(exported, tmp_path):
    for number in (1, 2):
        shutil.copytree(exported, tmp_path / f"{number}.half")
    (tmp_path / "1.half").rename(tmp_path / "1")
    served = []
    versions = ModelVersions(tmp_path, runtime="onnx", on_change=served.append)

    async def steps():
        (tmp_path / "1" / "link").symlink_to("nowhere")
        await until(lambda: len(served) == 2)  # its files changed
        (tmp_path / "2.half").rename(tmp_path / "2")
        await until(lambda: len(served) == 3)

    watched(versions, steps)
    assert [version.number for version in served] == [1, 1, 2]
    assert versions.num_poll_errors == 0
