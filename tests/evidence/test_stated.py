"""What a file states of its making is shown as text, and its position is not."""

import dataclasses
import io
import json

import av
import numpy as np
import pytest
from PIL import ExifTags, Image

from dfjax.evidence import stated, text
from dfjax.evidence.stated import Stated
from dfjax.media import tags
from dfjax.media.tags import Tags

BASE = ExifTags.Base
EVIL = "\x1b[31m<b>\u202egnp.exe" + "x" * 1000


def make_exif(position: bool = True, software: str = "Lightbox 4") -> Image.Exif:
    exif = Image.Exif()
    exif[BASE.Make], exif[BASE.Model], exif[BASE.Software] = "Acme", "Acme 7", software
    exif.get_ifd(ExifTags.IFD.Exif)[BASE.DateTimeOriginal] = "2026:05:01 10:00:00"
    if position:
        exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 8.0, 1.0)
    return exif


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_picture_states_its_camera(tmp_path, kind):
    for position in (True, False):
        image = Image.new("RGB", (64, 64), "teal")
        image.save(tmp_path / "a", kind, exif=make_exif(position))
        told = stated.read(tmp_path / "a")
        assert (told.format, told.make, told.model) == (kind, "Acme", "Acme 7")
        assert (told.software, told.taken) == ("Lightbox 4", "2026:05:01 10:00:00")
        assert told.has_position == position
        assert "48" not in json.dumps(dataclasses.asdict(told))


def test_a_picture_that_states_nothing(tmp_path):
    for kind in ("JPEG", "PNG", "GIF", "BMP", "AVIF"):
        Image.new("RGB", (64, 64), "teal").save(tmp_path / "a", kind)
        assert tags.read(tmp_path / "a") == Tags(format=kind)


def test_a_comment_names_a_program(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a", "JPEG", comment=b"Lavc61.3.100")
    assert stated.read(tmp_path / "a").encoders == ("Lavc61.3.100",)


def write_clip(file, **metadata: str) -> None:
    with av.open(file, "w", format="mp4", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update(metadata)
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        grey = av.VideoFrame.from_ndarray(np.full((96, 64), 128, np.uint8), "yuv420p")
        container.mux([*stream.encode(grey), *stream.encode()])


def test_a_video_states_its_encoders(tmp_path):
    place = {"com.apple.quicktime.location.ISO6709": "+48.1351+011.5820/"}
    phone = {"com.apple.quicktime.make": "Acme", "com.apple.quicktime.model": "Acme 7"}
    when = {"creation_time": "2026-05-01T10:00:00.000000Z"}
    write_clip(tmp_path / "a", **place, **phone, **when)
    told = stated.read(tmp_path / "a")
    assert (told.format, told.codec, told.profile) == ("QuickTime / MOV", "h264", "High")
    of_container, *_, in_stream = told.encoders
    assert of_container.startswith("Lavf")
    assert in_stream.startswith("x264 - core ")  # written by the encoder into the first frame
    assert "H.264" not in in_stream
    assert told.handlers == ("VideoHandler",)
    assert told.created == when["creation_time"]
    assert (told.make, told.model) == ("Acme", "Acme 7")
    assert told.has_position
    assert "48.1" not in json.dumps(dataclasses.asdict(told))
    write_clip(tmp_path / "b")
    assert not stated.read(tmp_path / "b").has_position


def test_hostile_texts_are_short_lines(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a", "JPEG", exif=make_exif(software=EVIL))
    write_clip(tmp_path / "b", **{"com.apple.quicktime.make": EVIL, "creation_time": "now"})
    software, make = stated.read(tmp_path / "a").software, stated.read(tmp_path / "b").make
    assert software.startswith("\\x1b[31m<b>")
    assert make.startswith("\\x1b[31m<b>\\u202egnp.exe")
    assert len(software) == len(make) == text.MAX_LENGTH


def test_broken_tags_are_no_error(tmp_path):
    whole = io.BytesIO()
    Image.new("RGB", (64, 64)).save(whole, "JPEG", exif=make_exif())
    data = whole.getvalue()
    begin, end = data.index(b"Exif"), data.index(b"\xff\xdb")
    rng = np.random.default_rng(0)
    for _ in range(50):
        broken = bytearray(data)
        for place in rng.integers(begin, end, 8):
            broken[place] = rng.integers(256)
        (tmp_path / "a").write_bytes(broken)
        assert isinstance(stated.read(tmp_path / "a"), Stated | None)
    assert stated.read(tmp_path / "none") is None


def test_what_another_process_tells_is_cleaned_again():
    values = dataclasses.asdict(Tags("JPEG", make=EVIL, encoders=[EVIL] * 3))
    told = Stated.from_json(json.loads(json.dumps(values)))
    assert len(told.make) == text.MAX_LENGTH
    assert len(told.encoders) == 1
    assert Stated.from_json(dataclasses.asdict(told)) == told
    with pytest.raises(TypeError):
        Stated.from_json({**values, "surprise": 1})
