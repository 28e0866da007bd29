"""A desktop window with the live picture, by Tk: OpenCV's own windows need another wheel."""

import contextlib
import os
from collections.abc import Iterator

import numpy as np
from PIL import Image

from dfjax import console


class Window:
    """A desktop window that shows pictures until it is closed, or q is pressed in it."""

    def __init__(self, title: str):
        """Raises tkinter.TclError if there is no display, ImportError if there is no Tk."""
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
    """A window, or None without a display or Tk; a display that cannot be used is a warning."""
    try:
        window = Window(f"dfjax: {title}")
    except Exception as error:  # tkinter.TclError cannot be named where tkinter is missing
        if os.environ.get("DISPLAY"):
            message = console.one_line(error)
            console.print_line(f"dfjax: no window, events only: {message}", error=True)
        window = None
    try:
        yield window
    finally:
        if window is not None:
            window.close()
