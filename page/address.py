"""Where the page is served: its address, its port, and the token that a wider address needs."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from dataclasses import dataclass

HOST, PORT = "127.0.0.1", 8000
NEXT_PORTS = 20
"""How many ports after the usual one are tried when it is in use."""
TOKEN_BYTES = 16


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """A host and port to serve the page at. fixed: only there; else the next free port may do."""

    host: str = HOST
    port: int = PORT
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """A listening socket. token: what a browser must know, "" where only this machine can connect;
    note: "", or what the user should know about the address."""

    socket: socket.socket
    host: str
    port: int
    token: str
    note: str

    @property
    def url(self) -> str:
        """What to open in a browser."""
        # 0.0.0.0 stands for every address of this machine, and is none that a browser can open.
        host = HOST if self.host in ("0.0.0.0", "::") else self.host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}/" + (f"?token={self.token}" if self.token else "")


def listen(address: HttpAddress) -> Bound:
    """Listen on an address, or on the next free port where that is allowed.

    OSError, in one line, if it cannot.
    """
    last = address.port if address.fixed else address.port + NEXT_PORTS
    for port in range(address.port, last + 1):
        try:
            bound = _bound(address.host, port)
        except OSError as error:
            if port == last:
                tried = f"{address.port}" if port == address.port else f"{address.port}-{port}"
                reason = error.strerror or error
                raise OSError(
                    f"the page cannot be served on {address.host}:{tried}: {reason}; "
                    "name another address with --http, or none"
                ) from error
            continue
        host, port = bound.getsockname()[:2]
        notes = [f"{address.port} is in use"] if port != address.port and address.port else []
        token = ""
        if not is_loopback(host):
            token = secrets.token_urlsafe(TOKEN_BYTES)
            notes.append("other machines can connect; whoever has this address can play")
        return Bound(bound, host, port, token, "; ".join(notes))
    raise AssertionError("the last port either listens or raises")


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to host, an IP address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "0.0.0.0", "192.168.1.2")]
    [True, True, False, False]
    """
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def _bound(host: str, port: int) -> socket.socket:
    """A TCP socket that listens on host (a name, IPv4 or IPv6) and port."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    made = socket.socket(family, kind, protocol)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # on Windows, else two servers share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen()
    except OSError:
        made.close()
        raise
    return made
