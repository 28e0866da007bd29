"""The installed Chromium, for tests of pages; without one they are skipped."""

import contextlib
import shutil
from collections.abc import Iterator

import pytest
from playwright import sync_api

_CHROMIUM = shutil.which("chromium")
_ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream"
)

needs_browser = pytest.mark.skipif(_CHROMIUM is None, reason="no chromium is installed")


@contextlib.contextmanager
def launched() -> Iterator[sync_api.Browser]:
    """Gives a browser without a window."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS.split())
        yield browser
        browser.close()


def fits(page: sync_api.Page) -> bool:
    """Returns whether nothing of a page lies beyond its right side."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")
