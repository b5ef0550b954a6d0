"""Control surfaces find the server by mDNS, on the loopback interface."""

from __future__ import annotations

import json
import re
import time
from urllib.request import urlopen

import pytest

from daw_bridge.osc.announce import OSC, OSCQUERY, Announcement, Service, can_announce
from tests.daw_bridge.osc.test_notify import Surface
from tests.server import Server

zeroconf = pytest.importorskip("zeroconf")
HERE = "127.0.0.1"
PATIENCE_S = 30.0


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

    def sees(self, kind: str, port: int, there: bool = True) -> bool:
        end = time.monotonic() + PATIENCE_S
        while (port in self.ports(kind)) != there and time.monotonic() < end:
            time.sleep(0.05)
        return (port in self.ports(kind)) == there

    def close(self) -> None:
        self._responder.close()


def test_a_surface_finds_the_server_and_sees_it_go():
    assert can_announce()
    browser = Browser()
    try:
        services = [Service(OSC, HERE, 9000), Service(OSCQUERY, HERE, 8000)]
        announcement = Announcement(services)
        assert browser.sees(OSC, 9000) and browser.sees(OSCQUERY, 8000)
        announcement.close()
        assert browser.sees(OSC, 9000, False) and browser.sees(OSCQUERY, 8000, False)
    finally:
        browser.close()


def test_a_surface_finds_a_server_that_plays_and_follows_it():
    surface = Surface()
    browser = Browser()
    try:
        with Server("--http", f"{HERE}:0") as server:
            assert browser.sees(OSC, server.port)
            (page,) = (int(m[1]) for x in server.lines if (m := re.match(r"page .*:(\d+)/", x)))
            assert browser.sees(OSCQUERY, page)
            with urlopen(f"http://{HERE}:{page}/?HOST_INFO") as said:
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
    end = time.monotonic() + PATIENCE_S
    while not caplog.records and time.monotonic() < end:
        time.sleep(0.05)
    announcement.close()
    assert "the server is not announced (zeroconf)" in caplog.text
