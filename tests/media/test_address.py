import pytest

from dfjax.media import address
from dfjax.media.errors import MediaError


def test_parts_of_an_address():
    camera = address.parse("rtsp://user:p%40ss@camera.local/live?channel=1#x")
    assert camera.origin == ("rtsp", "camera.local", 554)
    assert (camera.user, camera.password) == ("user", "p%40ss")
    assert camera.url("10.0.0.7", with_password=True) == (
        "rtsp://user:p%40ss@10.0.0.7:554/live?channel=1"
    )
    playlist = address.parse("HLS+https://[::1]:8443")
    assert playlist.origin == ("https", "::1", 8443)
    assert playlist.is_playlist
    assert not camera.is_playlist
    assert playlist.url("::1", with_password=True) == "https://[::1]:8443/"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://host/live", "rtsp://host/live"),
        ("rtsp://user:secret@host/live?token=secret", "rtsp://***@host/live?***"),
        ("hls+http://secret@host/?a=1&secret=2", "hls+http://***@host/?***"),
        # Signs that should be written as %2F, %23 and %3F end the login, and still are hidden.
        ("rtsp://user:se/cr#e?t@host/live", "rtsp://***@host/live"),
        ("rtsp://user:secret\n@host", "rtsp://***@host"),
        ("clip@home.mp4", "clip@home.mp4"),
    ],
)
def test_what_may_be_secret_is_masked(source, shown):
    assert address.mask(source) == shown


@pytest.mark.parametrize("source", ["rtsp://", "rtsp://user:s/ecret@host/", "ftp://host/x", "0"])
def test_what_is_no_address_is_refused_without_telling_secrets(source):
    with pytest.raises(MediaError, match="no address of a stream: use") as caught:
        address.parse(source)
    assert "ecret" not in str(caught.value)
