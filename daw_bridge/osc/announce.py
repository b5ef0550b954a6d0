"""Tells control surfaces on the network where this server is, by mDNS (zeroconf, Bonjour).

They then find it by itself: OSC as _osc._udp, OSCQuery as _oscjson._tcp. It needs the package
zeroconf (`pip install melstream[zeroconf]`). What listens on this machine alone is announced on
this machine alone.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import ipaddress
import logging
import socket
import threading
from collections.abc import Sequence
from concurrent import futures
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

NAME = "melstream"
OSC, OSCQUERY = "_osc._udp.local.", "_oscjson._tcp.local."
LOOK_S = 0.05
"""How often whoever waits for the network looks whether it is to end."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """What is announced. kind: OSC or OSCQUERY; host: the numeric address that it listens on."""

    kind: str
    host: str
    port: int


def can_announce() -> bool:
    """Whether the package that does it is there."""
    return importlib.util.find_spec("zeroconf") is not None


class Announcement:
    """Announces services, in a thread of its own, from construction to `close`.

    A network that takes no announcements is logged once.
    """

    def __init__(self, services: Sequence[Service]) -> None:
        # Now: while sound is played it would be in its way.
        importlib.import_module("zeroconf")
        self._services = services
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="zeroconf", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take it back."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with ExitStack() as stack:
                for host in dict.fromkeys(service.host for service in self._services):
                    here = [service for service in self._services if service.host == host]
                    self._announce(host, here, stack)
                self._closing.wait()
        except Exception as error:  # a network that refuses it must not end anything
            _log.warning("the server is not announced (zeroconf): %r", error)

    def _announce(self, host: str, services: Sequence[Service], stack: ExitStack) -> None:
        """Announce services on one address, until the stack ends."""
        from zeroconf import InterfaceChoice, Zeroconf

        address = ipaddress.ip_address(host)
        addresses = _own_addresses() if address.is_unspecified else [address.packed]
        responder = Zeroconf(InterfaceChoice.All if address.is_unspecified else [host])
        stack.callback(responder.close)
        for service in services:
            self._register(responder, _info(service, addresses), stack)

    def _register(self, responder: Zeroconf, info: ServiceInfo, stack: ExitStack) -> None:
        """Return when a name has been found. It is then said some times, by zeroconf's thread."""
        loop = responder.loop
        assert loop
        # Another server of this name may be there: then this one is called melstream-2.
        named = responder.async_register_service(info, allow_name_change=True)
        found = asyncio.run_coroutine_threadsafe(named, loop)
        while not futures.wait([found], LOOK_S).done:
            if self._closing.is_set():
                found.cancel()
                return
        said = cast(asyncio.Future, found.result())
        # Before it is taken back, or else it might be said once more afterwards.
        stack.callback(lambda: loop.call_soon_threadsafe(said.cancel))


def _info(service: Service, addresses: list[bytes]) -> ServiceInfo:
    from zeroconf import ServiceInfo

    return ServiceInfo(
        service.kind,
        f"{NAME}.{service.kind}",
        port=service.port,
        addresses=addresses,
        server=f"{NAME}-{socket.gethostname().partition('.')[0]}.local.",
    )


def _own_addresses() -> list[bytes]:
    """The IPv4 addresses by which other machines reach this one."""
    import ifaddr

    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
    kept = [ipaddress.ip_address(ip) for ip in found if isinstance(ip, str)]
    return [ip.packed for ip in kept if not ip.is_loopback]
