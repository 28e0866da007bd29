"""The window on a real, if virtual, screen."""

import os
import shutil
import subprocess
import time

import numpy as np
import pytest
from PIL import ImageGrab

from dfjax.inference import window

pytest.importorskip("tkinter")


@pytest.fixture
def screen(monkeypatch):
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "800x600x24"]
    with subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL) as server:
        display = f":{os.read(reader, 16).decode().strip()}"
        monkeypatch.setenv("DISPLAY", display)
        yield display
        server.terminate()


def test_picture_is_on_the_screen_until_the_window_is_closed(screen):
    image = np.zeros((120, 160, 3), np.uint8)
    image[:, :80] = (200, 30, 60)
    with window.open_window("camera 0") as shown:
        deadline = time.monotonic() + 20
        found = 0
        while not found and time.monotonic() < deadline:
            assert shown.show(image)
            pixels = np.asarray(ImageGrab.grab(xdisplay=screen).convert("RGB"))
            found = int((pixels == (200, 30, 60)).all(-1).sum())
        assert found == 120 * 80
        shown._close()
        assert not shown.show(image)


def test_without_a_display_there_is_none(monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY", raising=False)
    with window.open_window("camera 0") as shown:
        assert shown is None
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("DISPLAY", ":63999")
    with window.open_window("camera 0") as shown:
        assert shown is None
    assert "events only" in capsys.readouterr().err
