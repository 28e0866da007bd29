"""Reads over HTTP from one origin: no redirect and no playlist leads to another.

FFmpeg's own reader would follow both to any address that this machine can reach.
"""

import functools
import http
import http.client
import socket
import ssl
import urllib.parse
import urllib.request
from typing import Any

from dfjax.media import address
from dfjax.media.errors import MediaError


class Opener:
    """Opens addresses of one origin."""

    def __init__(self, origin: address.Address, number: str, *, seconds: float):
        """`number` is the host's name or network address; every answer may take `seconds`."""
        self._origin, self._seconds = origin, seconds
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        if origin.user is not None:
            user, password = map(urllib.parse.unquote, (origin.user, origin.password or ""))
            passwords.add_password(
                None, origin.url(origin.host, with_password=False), user, password
            )
        # Not `build_opener`: its handlers open files and FTP, and ask the proxies of environment.
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            _Http(number),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
            _Redirects(),
            urllib.request.HTTPBasicAuthHandler(passwords),
            urllib.request.HTTPDigestAuthHandler(passwords),
        ):
            self._opener.add_handler(handler)

    def open(self, url: str, flags: int = 0, options: dict[str, str] | None = None) -> "_Body":
        """Returns the body of an answer, as `av.open` takes it for `io_open`.

        Raises:
          MediaError: the address, or one that it leads to, has another origin.
          OSError: nobody answers, or refuses.
        """
        _require_same_origin(url, self._origin)
        request = urllib.request.Request(url)
        if options and "end_offset" in options:  # a playlist may list pieces of one file
            last = int(options["end_offset"]) - 1
            request.add_header("Range", f"bytes={options['offset']}-{last}")
        try:
            answer = self._opener.open(request, timeout=self._seconds)
        except http.client.HTTPException as error:
            raise OSError(f"not an answer of HTTP ({type(error).__name__})") from error
        if request.has_header("Range") and answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            raise OSError("it sends whole files where pieces were asked for")
        return _Body(answer)


class _Body:
    """What FFmpeg needs of a file that cannot be searched."""

    def __init__(self, answer: http.client.HTTPResponse):
        self._answer = answer
        self.close = answer.close

    def read(self, size: int) -> bytes:
        """Returns what is there, at most `size` bytes; none at the end or after a failure."""
        try:
            return self._answer.read1(size)
        except (OSError, http.client.HTTPException):
            return b""


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, request: urllib.request.Request, *others: Any) -> Any:
        _require_same_origin(others[-1], address.parse(request.full_url))
        return super().redirect_request(request, *others)


class _Http(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Connects to a number, whatever the name: names cannot be looked up where this runs."""

    def __init__(self, number: str):
        urllib.request.HTTPSHandler.__init__(self)
        self._number, self._tls = number, ssl.create_default_context()

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(_Connection, self._number, None), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(_Connection, self._number, self._tls), request)


class _Connection(http.client.HTTPConnection):
    def __init__(self, number: str, tls: ssl.SSLContext | None, host: str, **settings: Any):
        if tls is not None:
            self.default_port = http.client.HTTPS_PORT
        super().__init__(host, **settings)
        self._number, self._tls = number, tls

    def connect(self) -> None:
        self.sock = socket.create_connection((self._number, self.port), self.timeout)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)


def _require_same_origin(url: str, origin: address.Address) -> None:
    shown = address.mask(url)
    if not address.is_address(url) or address.parse(url).origin != origin.origin:
        raise MediaError(
            "unreadable",
            f"{origin.host} leads to {shown}, elsewhere: give that address if you trust it",
        )
