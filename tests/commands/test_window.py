"""The window on a real, if virtual, screen."""

import os
import shutil
import subprocess
import time

import numpy as np
import pytest
from PIL import ImageGrab

from dfjax.commands import window

tkinter = pytest.importorskip("tkinter")


@pytest.fixture(scope="module")
def server():
    """The display of a virtual screen.

    One for all tests: Tk keeps its connection, and ends the process when a screen goes away.
    """
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "800x600x24"]
    with subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL) as server:
        yield f":{os.read(reader, 16).decode().strip()}"
        server.terminate()


@pytest.fixture
def screen(server, monkeypatch):
    monkeypatch.setenv("DISPLAY", server)
    return server


@pytest.fixture
def roots(monkeypatch):
    """Tk's windows, in the order of their making."""
    roots = []

    class Recorded(tkinter.Tk):
        def __init__(self):
            super().__init__()
            roots.append(self)

    monkeypatch.setattr(tkinter, "Tk", Recorded)
    return roots


def test_picture_is_on_the_screen_until_the_window_is_closed(screen, roots):
    image = np.zeros((120, 160, 3), np.uint8)
    image[:, :80] = (200, 30, 60)
    with window.open_window("camera 0") as shown:
        deadline = time.monotonic() + 20
        num_pixels = 0
        while not num_pixels and time.monotonic() < deadline:
            assert shown.show(image)
            pixels = np.asarray(ImageGrab.grab(xdisplay=screen).convert("RGB"))
            num_pixels = int((pixels == (200, 30, 60)).all(-1).sum())
        assert num_pixels == 120 * 80
        roots[0].tk.eval(roots[0].protocol("WM_DELETE_WINDOW"))  # as a window manager does
        assert not shown.show(image)


def test_q_closes_the_window(screen, roots):
    image = np.zeros((120, 160, 3), np.uint8)
    with window.open_window("camera 0") as shown:
        assert shown.show(image)
        roots[0].focus_force()
        roots[0].event_generate("q")
        shown.show(image)
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
