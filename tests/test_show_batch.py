"""`show_batch` draws what a run is trained on."""

import pytest

from dfjax import show_batch
from dfjax.media import image as media_image
from tests import tiny_run


@pytest.mark.usefixtures("quick_compilation")
def test_a_run_keeps_a_picture_of_its_first_batch(prepared, run, tmp_path):
    config = tiny_run.make_config(prepared)
    show_batch.show_batch(config, 0, tmp_path / "first.png")
    assert (tmp_path / "first.png").read_bytes() == (run / "first_batch.png").read_bytes()
    show_batch.show_batch(config, 1, tmp_path / "second.png")
    assert (tmp_path / "second.png").read_bytes() != (tmp_path / "first.png").read_bytes()
    # Four pairs of 32 px, four times as large, three tiles each and a gap.
    assert media_image.read_image(tmp_path / "first.png").shape == (128 + 18 + 6, 4 * 390, 3)
