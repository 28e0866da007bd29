"""Which web pages may use a server: a browser sends any page's requests, also to this machine."""

import ipaddress
import re
import urllib.parse
from collections.abc import Mapping, Sequence

from dfjax.serve.errors import RequestError

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:/\[\]\s]+)(?::\d+)?")  # as in a URL, with or without port


class Origins:
    """Checks the `Host` and `Origin` of requests.

    Without a check of `Host`, a page whose name is made to point to this machine (DNS rebinding)
    reads all answers; without one of `Origin`, any page can give the server work.
    """

    def __init__(self, address: str, *, hosts: Sequence[str] = (), origins: Sequence[str] = ()):
        """Takes the names in `hosts` and pages of `origins` ("https://app.example").

        Without `hosts`, a server that listens on loopback takes the names of loopback, and one that
        listens on another `address` takes any: the proxy in front of it knows its names.
        """
        self._hosts = None
        if hosts or _is_loopback(address):
            self._hosts = {*_LOOPBACK, _in_url(address), *(_in_url(host.lower()) for host in hosts)}
        self._origins = frozenset(origins)

    def check(self, method: str, headers: Mapping[bytes, bytes]) -> None:
        """Raises RequestError (403) for a foreign name, or for work that a foreign page sends."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        named = _HOST.fullmatch(host)
        if self._hosts is not None and (named is None or named[1] not in self._hosts):
            message = f"Host {host[:50]!r} is not a name of this server: see --allowed-host"
            raise RequestError(403, "forbidden", message)
        if method != "GET" and self._is_foreign(headers, host):
            message = "the request comes from another web page: see --allowed-origin"
            raise RequestError(403, "forbidden", message)

    def _is_foreign(self, headers: Mapping[bytes, bytes], host: str) -> bool:
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if origin in self._origins:
            return False
        if headers.get(b"sec-fetch-site") == b"cross-site":
            return True
        # A proxy may have taken TLS away: only the scheme may differ from that of the page.
        return bool(origin) and origin.partition("://")[2] != host


def is_origin(text: str) -> bool:
    """Whether `text` is an origin as browsers send it: scheme, name, port, and no path."""
    parts = urllib.parse.urlsplit(text)
    return text == f"{parts.scheme}://{parts.netloc}".lower() and parts.scheme in ("http", "https")


def is_host(text: str) -> bool:
    """Whether `text` is a name or an address, without a port."""
    named = _HOST.fullmatch(_in_url(text.lower()))
    return named is not None and named[0] == named[1]


def _is_loopback(address: str) -> bool:
    known = _ip(address)
    return address == "localhost" if known is None else known.is_loopback


def _in_url(address: str) -> str:
    known = _ip(address)
    return f"[{address}]" if known is not None and known.version == 6 else address


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
