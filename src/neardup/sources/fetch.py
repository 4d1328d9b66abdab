"""One image from an http or https URL, without letting the URL reach into the local network.

A host name is resolved once, the address is checked, and the connection goes to that very address: a name that resolves
differently the next time (DNS rebinding) gains nothing. Every redirect goes through the same. Proxies from the
environment are not used, for then the proxy would choose the address.
"""

import http.client
import io
import ipaddress
import queue
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, urljoin, urlsplit

from neardup.errors import BadInput

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_REDIRECTS = 5
LIMIT_BYTES = 64 * 2**20
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_BLOCK_BYTES = 65536
# What may come beside the body: headers, and the sizes of chunks as often as the body again.
_HEAD_BYTES = 2**20


def fetch_image(
    url: str, *, allow_private: bool = False, limit_bytes: int = LIMIT_BYTES, timeout_seconds: float = 20
) -> bytes:
    """The body behind an http or https URL, at most `limit_bytes`, within `timeout_seconds` altogether.

    At most MAX_REDIRECTS redirects are followed. Addresses that are not public (private, loopback, link-local,
    reserved, multicast, also inside an IPv6 address) are refused unless `allow_private`. What the server says about the
    type is not looked at. Raises BadInput; messages leave out the query, in which keys are often kept.
    """
    deadline = time.monotonic() + timeout_seconds
    target = _Target.parse(url)
    first = target
    try:
        for _ in range(MAX_REDIRECTS + 1):
            found = _request(target, allow_private, limit_bytes, deadline)
            if isinstance(found, bytes):
                return found
            target = found
    except TimeoutError as error:
        raise BadInput(f"{target.shown}: not done within {timeout_seconds:g} s; try again, or download it") from error
    except ssl.SSLCertVerificationError as error:
        raise BadInput(
            f"{target.shown}: its certificate is not trusted ({error.verify_message}); download it"
        ) from error
    except BadInput:
        raise
    except Exception as error:  # what a server answers makes http.client raise nearly everything
        said = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(f"{target.shown}: cannot be fetched ({said}); check the address, or download it") from error
    raise BadInput(f"{first.shown}: more than {MAX_REDIRECTS} redirects; give the address of the image itself")


@dataclass(frozen=True)
class _Target:
    """A URL in the parts that a request needs."""

    url: str
    scheme: str
    host: str  # ASCII, without the brackets of an IPv6 address
    port: int
    path: str  # with the query, percent-encoded

    @property
    def shown(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path.partition('?')[0]}"

    @classmethod
    def parse(cls, url: str, base: str = "") -> "_Target":
        """`url`, which may be relative to `base`."""
        try:
            url = urljoin(base, url)
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname or ""
            host = host if ":" in host else host.encode("idna").decode("ascii")
            path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
            query = "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~?") if parts.query else ""
            if not all("!" <= character <= "~" for character in host):  # of an IPv6 address, too
                raise ValueError("a host that no request can name")
        except ValueError as error:  # UnicodeError is one
            raise BadInput("a URL that cannot be understood; check host and port") from error
        if parts.scheme not in _PORTS:
            raise BadInput(f"a URL that begins with {parts.scheme[:20]!r}; only http:// and https:// are fetched")
        if not host:
            raise BadInput("a URL without a host; give it in full, as in https://example.org/photo.jpg")
        if parts.username is not None or parts.password is not None:
            raise BadInput(f"a URL with a name or password for {host}; download the image, and give the file")
        return cls(url, parts.scheme, host, _PORTS[parts.scheme] if port is None else port, path + query)


def _request(target: _Target, allow_private: bool, limit_bytes: int, deadline: float) -> "bytes | _Target":
    """The body, or where the server says that it is."""
    with _connect(target, allow_private, deadline) as connected:
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.default_port = _PORTS[target.scheme]  # decides whether the Host header names the port
        # Reads come through `makefile`, writes through `sendall`; there is nothing else that it asks of a socket.
        connection.sock = cast(socket.socket, _BoundedSocket(connected, deadline, 2 * limit_bytes + _HEAD_BYTES))
        headers = {"Accept": "image/*, */*;q=0.5", "Accept-Encoding": "identity", "User-Agent": "neardup"}
        connection.request("GET", target.path, headers=headers | {"Connection": "close"})
        with connection.getresponse() as response:
            if response.status in _REDIRECTS and (location := response.getheader("Location")):
                # Header bytes arrive as Latin-1, and are UTF-8 where they are not ASCII.
                return _Target.parse(location.encode("latin-1").decode(errors="replace"), target.url)
            if response.status != HTTPStatus.OK:
                known = [status.phrase for status in HTTPStatus if status == response.status]
                answer = " ".join([str(response.status), *known])
                raise BadInput(f"{target.shown}: the server answered {answer}; check the address, or download it")
            return _body(response, target, limit_bytes)


def _body(response: http.client.HTTPResponse, target: _Target, limit_bytes: int) -> bytes:
    too_large = BadInput(f"{target.shown}: more than {limit_bytes} bytes; give a smaller image, or download it")
    if response.length is not None and response.length > limit_bytes:
        raise too_large
    encoding = (response.getheader("Content-Encoding") or "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise BadInput(f"{target.shown}: sent with an encoding that was not asked for; download it, and give the file")
    body = bytearray()
    for part in _blocks(response) if encoding == "identity" else _unzipped(_blocks(response)):
        body += part
        if len(body) > limit_bytes:
            raise too_large
    if response.length:  # bytes that were promised and did not come
        raise BadInput(f"{target.shown}: the connection ended {response.length} bytes too early; try again")
    return bytes(body)


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while block := response.read(_BLOCK_BYTES):
        yield block


def _unzipped(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """In pieces of at most _BLOCK_BYTES, so that a small body that unpacks to a huge one is stopped on the way."""
    unzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    for block in blocks:
        while block and not unzip.eof:
            yield unzip.decompress(block, _BLOCK_BYTES)
            block = unzip.unconsumed_tail
    if not unzip.eof:
        raise zlib.error("the compressed body ends too early")


def _connect(target: _Target, allow_private: bool, deadline: float) -> socket.socket:
    addresses = _resolve(target, deadline)
    allowed = [address for address in addresses if allow_private or _is_public(address)]
    if not allowed:
        raise BadInput(f"{target.shown}: at a private or local address; --allow-private fetches it all the same")
    failure: OSError = OSError("it has no address")
    for address in allowed:
        try:
            connected = socket.create_connection((address, target.port), timeout=_remaining(deadline))
        except OSError as error:
            failure = error
            continue
        if target.scheme == "http":
            return connected
        try:
            connected.settimeout(_remaining(deadline))
            return ssl.create_default_context().wrap_socket(connected, server_hostname=target.host)
        except BaseException:
            connected.close()
            raise
    raise failure


def _resolve(target: _Target, deadline: float) -> list[str]:
    """In a thread of its own, since the system's resolver knows no time limit."""
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(item[4][0]) for item in found)))
        except (OSError, UnicodeError) as error:
            answers.put(OSError(str(error)))

    threading.Thread(target=resolve, daemon=True).start()
    try:
        answer = answers.get(timeout=_remaining(deadline))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(str(inner))
        if ip.is_site_local:
            return False
    special = ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_reserved or ip.is_multicast
    return ip.is_global and not special and not ip.is_unspecified


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


class _BoundedSocket:
    """A socket whose every operation ends by the deadline, however slowly the bytes drip, and that gives so many.

    http.client alone would read a chunk of size -1 to its end, into memory.
    """

    def __init__(self, connected: socket.socket, deadline: float, most_bytes: int) -> None:
        self._connected, self._deadline, self._most_bytes = connected, deadline, most_bytes

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(_remaining(self._deadline))
        self._connected.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReader(self._connected, self._deadline, self._most_bytes))

    def close(self) -> None:
        """The `with` around the connection closes; the response may still be reading."""


class _BoundedReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: float, most_bytes: int) -> None:
        super().__init__()
        self._connected, self._deadline, self._left = connected, deadline, most_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if not self._left:
            raise OSError("the server sends without end")
        self._connected.settimeout(_remaining(self._deadline))
        received = self._connected.recv_into(memoryview(buffer)[: self._left])
        self._left -= received
        return received
