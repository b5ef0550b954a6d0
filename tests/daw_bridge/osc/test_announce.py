"""Control surfaces find the server by mDNS, on the loopback interface."""

from __future__ import annotations

import json
import re
import socket
from contextlib import ExitStack
from urllib.request import urlopen

import pytest

from daw_bridge.osc.announce import OSC, OSCQUERY, Announcement, Service, can_announce
from tests.daw_bridge.osc.test_notify import Surface
from tests.server import Server
from tests.waiting import PATIENCE_S, wait_until

zeroconf = pytest.importorskip("zeroconf")
HERE = "127.0.0.1"


class Browser:
    """What a surface sees: (kind, name) -> port of what is called melstream. Servers of other tests
    may be among it."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], int] = {}
        self._responder = zeroconf.Zeroconf([HERE])
        zeroconf.ServiceBrowser(self._responder, [OSC, OSCQUERY], self)

    def add_service(self, responder, kind: str, name: str) -> None:
        info = responder.get_service_info(kind, name)
        if info is not None and name.startswith("melstream"):
            assert info.parsed_addresses() == [HERE]
            self.found[kind, name] = info.port

    def update_service(self, responder, kind: str, name: str) -> None:
        self.add_service(responder, kind, name)

    def remove_service(self, responder, kind: str, name: str) -> None:
        self.found.pop((kind, name), None)

    def ports(self, kind: str) -> set[int]:
        return {port for (found, _), port in list(self.found.items()) if found == kind}

    def wait_for(self, kind: str, port: int, there: bool = True) -> None:
        wait_until(lambda: (port in self.ports(kind)) == there, lambda: self.found)

    def close(self) -> None:
        self._responder.close()


def test_a_surface_finds_the_server_and_sees_it_go():
    assert can_announce()
    browser = Browser()
    with ExitStack() as stack:
        stack.callback(browser.close)
        services = []
        for kind in (OSC, OSCQUERY):
            # A port that nobody else announces.
            taken = stack.enter_context(socket.create_server((HERE, 0)))
            services.append(Service(kind, HERE, taken.getsockname()[1]))
        announcement = Announcement(services)
        for service in services:
            browser.wait_for(service.kind, service.port)
        announcement.close()
        for service in services:
            browser.wait_for(service.kind, service.port, there=False)


def test_a_surface_finds_a_server_that_plays_and_follows_it():
    surface = Surface()
    browser = Browser()
    try:
        with Server("--http", f"{HERE}:0") as server:
            browser.wait_for(OSC, server.port)
            (page,) = (int(m[1]) for x in server.lines if (m := re.match(r"page .*:(\d+)/", x)))
            browser.wait_for(OSCQUERY, page)
            with urlopen(f"http://{HERE}:{page}/?HOST_INFO", timeout=PATIENCE_S) as said:
                info = json.load(said)
            assert (info["OSC_PORT"], info["EXTENSIONS"]["LISTEN"]) == (server.port, True)
            server.ask("/notify", surface.port, 1)
            server.send("/part/2/note", 60, 100)
            (level,) = surface.hear("/part/2/level")
            assert -60 < level < 0 and surface.hear("/level") is not None
    finally:
        browser.close()


def test_an_address_that_is_not_ours_is_told_and_ends_nothing(caplog):
    announcement = Announcement([Service(OSC, "203.0.113.7", 9000)])
    wait_until(lambda: "the server is not announced (zeroconf)" in caplog.text)
    announcement.close()
