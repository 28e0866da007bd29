"""A window with the live picture, where there is a display; OpenCV's own needs another wheel."""

import contextlib
import os
import sys
from collections.abc import Iterator

import numpy as np
from PIL import Image


class Window:
    """A window of the desktop that shows pictures until somebody closes it."""

    def __init__(self, title: str):
        """Raises tkinter.TclError where there is no display, ImportError where there is no Tk."""
        import tkinter

        from PIL import ImageTk

        self._root = tkinter.Tk()
        self._root.title(title)
        self._label = tkinter.Label(self._root)
        self._label.pack()
        self._make_photo = ImageTk.PhotoImage
        self._closed = False
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        self._root.bind("q", lambda _: self._close())

    def show(self, image: np.ndarray) -> bool:
        """Shows RGB uint8 [H, W, 3]; returns False once the window was closed."""
        if not self._closed:
            photo = self._make_photo(Image.fromarray(image), master=self._root)
            self._label.configure(image=photo)
            self._label.image = photo  # Tk keeps no reference of its own
            self._root.update()
        return not self._closed

    def close(self) -> None:
        """Takes the window off the screen."""
        self._root.destroy()

    def _close(self) -> None:
        self._closed = True


@contextlib.contextmanager
def open_window(title: str) -> Iterator[Window | None]:
    """A window, or None where there is no display or no Tk; says so where a display is wasted."""
    try:
        shown = Window(f"dfjax: {title}")
    except Exception as error:  # tkinter.TclError cannot be named where tkinter is missing
        if os.environ.get("DISPLAY"):
            print(f"dfjax: no window, events only: {error}", file=sys.stderr)
        shown = None
    try:
        yield shown
    finally:
        if shown is not None:
            shown.close()
