"""Control surfaces find the server by mDNS, on the loopback interface."""

from __future__ import annotations

import json
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
    """What a surface sees: kind -> port of what is called melstream."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}
        self._responder = zeroconf.Zeroconf([HERE])
        zeroconf.ServiceBrowser(self._responder, [OSC, OSCQUERY], self)

    def add_service(self, responder, kind: str, name: str) -> None:
        info = responder.get_service_info(kind, name)
        if info is not None and name.startswith("melstream"):
            assert info.parsed_addresses() == [HERE]
            self.found[kind] = info.port

    def update_service(self, responder, kind: str, name: str) -> None:
        self.add_service(responder, kind, name)

    def remove_service(self, responder, kind: str, name: str) -> None:
        self.found.pop(kind, None)

    def sees(self, found: dict[str, int]) -> bool:
        end = time.monotonic() + PATIENCE_S
        while self.found != found and time.monotonic() < end:
            time.sleep(0.05)
        return self.found == found

    def close(self) -> None:
        self._responder.close()


def test_a_surface_finds_the_server_and_sees_it_go():
    assert can_announce()
    browser = Browser()
    try:
        services = [Service(OSC, HERE, 9000), Service(OSCQUERY, HERE, 8000)]
        announcement = Announcement(services)
        assert browser.sees({OSC: 9000, OSCQUERY: 8000})
        announcement.close()
        assert browser.sees({})
    finally:
        browser.close()


def test_a_surface_finds_a_server_that_plays_and_follows_it():
    surface = Surface()
    browser = Browser()
    try:
        with Server("--http", f"{HERE}:0") as server:
            end = time.monotonic() + PATIENCE_S
            while len(browser.found) < 2 and time.monotonic() < end:
                time.sleep(0.05)
            assert browser.found[OSC] == server.port
            with urlopen(f"http://{HERE}:{browser.found[OSCQUERY]}/?HOST_INFO") as said:
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
