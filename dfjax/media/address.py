"""Addresses of streams: what may be given, their parts, and how they are shown."""

import dataclasses
import re
import urllib.parse

from dfjax.media.errors import MediaError

_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
# A playlist makes its reader ask for further addresses: it is read only where that was asked for.
_HLS = "hls+"
SCHEMES = tuple(f"{scheme}://" for scheme in (*_PORTS, f"{_HLS}http", f"{_HLS}https"))


@dataclasses.dataclass(frozen=True)
class Address:
    """An address of a stream.

    Attributes:
      scheme: "rtsp", "rtsps", "http" or "https".
      host, port: whom to ask.
      user, password: None if there is none.
      target: path and query.
      is_playlist: whether HLS was asked for.
    """

    scheme: str
    host: str
    port: int
    user: str | None
    password: str | None
    target: str
    is_playlist: bool

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return self.scheme, self.host, self.port

    def url(self, host: str, *, with_password: bool) -> str:
        """Returns the address, by another name or number of its host."""
        login = ""
        if with_password and self.user is not None:
            password = "" if self.password is None else f":{self.password}"
            login = f"{self.user}{password}@"
        host = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{login}{host}:{self.port}{self.target}"


def is_address(source: str) -> bool:
    """Returns whether `source` is an address, not a file or a camera."""
    return source.lower().startswith(SCHEMES)


def mask(source: str) -> str:
    """Returns `source`, if it is an address without what may be secret: login and query."""
    if not is_address(source):
        return source
    return re.sub(r"\?.*", "?***", re.sub(r"(?<=://).*@", "***@", source, flags=re.DOTALL))


def parse(source: str) -> Address:
    """Returns the parts of an address; user and password keep their percent signs.

    Raises:
      MediaError: `source` is none, or has no host.
    """
    is_playlist = source.lower().startswith(_HLS)
    try:
        parts = urllib.parse.urlsplit(source[len(_HLS) :] if is_playlist else source)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        parts = port = None
    if parts is None or not parts.hostname:
        raise MediaError(
            "unreadable",
            f"{mask(source)} is no address of a stream: use SCHEME://HOST:PORT/PATH, with one of "
            f"{' '.join(SCHEMES)}; signs of a password as %40",
        )
    target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return Address(
        parts.scheme, parts.hostname, port, parts.username, parts.password, target, is_playlist
    )
