"""Subscribers are told what changes, over real UDP, and not for ever."""

from __future__ import annotations

import socket
import time

import pytest
from pythonosc.osc_bundle import OscBundle

from daw_bridge.clock import AudioClock
from daw_bridge.commands.actions import Session
from daw_bridge.desk.desk import Desk
from daw_bridge.osc.notify import LASTS_S, MOST, PACKET_BYTES, Notifier, bundles
from daw_bridge.osc.server import OscServer
from tests.daw_bridge.osc.test_server import Client
from tests.waiting import PATIENCE_S, wait_until

HERE = ("127.0.0.1", 9)


class Surface:
    """A control surface that listens on a port of its own, and remembers what it was told."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.shown: dict[str, list] = {}

    def hear(self, address: str, wait_s: float = PATIENCE_S) -> list | None:
        """What an address is told next; None if nothing is."""
        end = time.monotonic() + wait_s
        self.shown.pop(address, None)
        while address not in self.shown:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                packet = self.socket.recv(65_535)
            except TimeoutError:
                return None
            assert len(packet) <= PACKET_BYTES + 16
            self.shown |= {m.address: m.params for m in OscBundle(packet)}
        return self.shown[address]


@pytest.fixture
def status() -> dict:
    return {"underruns": 3, "vocoder": "spectral", "fault": ""}


@pytest.fixture
def desk(book, inbox) -> Desk:
    return Desk(book, inbox.post, lambda: 0)


@pytest.fixture
def server(desk, inbox, status):
    clock = AudioClock(16_000)
    with OscServer(desk, inbox, clock, lambda: status, "0.1", port=0) as server:
        yield server


def test_a_surface_is_told_everything_once_and_then_what_changes(server, desk, status):
    client, surface = Client(server.port), Surface()
    assert client.ask("/notify", surface.port) == ("/notify.reply", [surface.port, LASTS_S])
    assert surface.hear("/patch/list.reply") == ["piano", "organ", "harp"]
    assert surface.shown["/part/16/patch"] == ["piano"]
    assert surface.shown["/part/2/knob/breath"] == [0.5]
    assert surface.shown["/part/2/timbre/1"] == [1.0]
    assert surface.shown["/status/underruns"] == [3]
    assert "/part/1/morph" not in surface.shown
    surface.shown = {}
    client.send("/part/2/patch", "organ")
    assert surface.hear("/part/2/patch") == ["organ"]
    desk.pan(3, -0.25)
    assert surface.hear("/part/3/pan") == [-0.25]
    assert surface.shown["/part/2/knob/breath"] == [1.0]
    assert not any(address.startswith("/part/1/") for address in surface.shown)
    desk.morph(1, "piano", "harp", 0.5)
    assert surface.hear("/part/1/morph") == ["piano", "harp", 0.5]
    desk.learnt.learn("breath")
    assert surface.hear("/midi/learn") == ["breath"]
    desk.learnt.bind(21, "breath")
    assert surface.hear("/midi/map.reply") == ["21", "breath"]
    status["underruns"] = 4
    assert surface.hear("/status/underruns") == [4]


class Peaks:
    """A meter that says what a test lets it. resting: whether nobody looks."""

    def __init__(self) -> None:
        self.now: dict[int, float] = {}
        self.resting = False

    def peaks(self) -> dict[int, float]:
        self.resting = False
        return self.now

    def rest(self) -> None:
        self.resting = True


def test_levels_are_told_to_those_who_ask(desk, inbox, status):
    meter = Peaks()
    clock = AudioClock(16_000)
    with OscServer(desk, inbox, clock, lambda: status, "1", port=0, meter=meter) as server:
        client, surface, other = Client(server.port), Surface(), Surface()
        client.ask("/notify", other.port)
        client.ask("/notify", surface.port, 1)
        meter.now = {0: 1.0, 3: 0.1}
        assert surface.hear("/part/3/level") == pytest.approx([-20.0])
        assert surface.shown["/level"] == [0.0] and "/part/1/level" not in surface.shown
        meter.now = {0: 0.0}
        assert surface.hear("/part/3/level") == surface.shown["/level"] == [-120.0]
        # What does not change is not told again.
        assert surface.hear("/part/3/level", 0.3) is None
        assert other.hear("/part/16/patch") == ["piano"]
        assert other.hear("/level", 0.3) is None and not meter.resting
        client.ask("/notify", 0)
        wait_until(lambda: meter.resting)
        meter.now = {0: 0.5}
        assert surface.hear("/level", 0.3) is None and meter.resting


def test_a_surface_is_told_nothing_more_when_it_ends_it(server, desk):
    client, surface, other = Client(server.port), Surface(), Surface()
    client.ask("/notify", surface.port)
    assert surface.hear("/part/1/pan") == [0.0]
    assert client.ask("/notify", 0) == ("/notify.reply", [0, 0.0])
    # What another one is told now comes after all that was on its way.
    client.ask("/notify", other.port)
    assert other.hear("/part/1/pan") == [0.0]
    while surface.hear("/part/1/pan", 0) is not None:
        pass
    desk.pan(1, 0.5)
    assert other.hear("/part/1/pan") == [0.5]
    assert surface.hear("/part/1/pan", 0) is None


def test_without_a_port_it_goes_to_where_it_was_sent_from(server):
    client = Client(server.port)
    port = client.socket.getsockname()[1]
    assert client.ask("/notify") == ("/notify.reply", [port, LASTS_S])
    assert [m.address for m in OscBundle(client.socket.recv(65_535))][0].startswith("/part/1/")


def test_bad_ports_are_refused(server):
    address, (of, problem) = Client(server.port).ask("/notify", 70_000)
    assert (address, of) == ("/error", "/notify") and "0 to 65535" in problem


def test_a_subscription_ends_by_itself_unless_its_machine_is_heard(desk, inbox):
    now = [0.0]
    told: list[tuple] = []
    session = Session(desk, inbox, dict, "0.1")
    notifier = Notifier(session, lambda address, packet: told.append(address), clock=lambda: now[0])
    try:
        for port in range(MOST):
            notifier.subscribe(("10.0.0.1", port + 1))
        with pytest.raises(ValueError, match="16 subscribers already"):
            notifier.subscribe(HERE)
        now[0] = LASTS_S - 1
        notifier.hear("10.0.0.1")
        now[0] = LASTS_S + 1
        with pytest.raises(ValueError, match="16 subscribers already"):
            notifier.subscribe(HERE)
        now[0] = 2 * LASTS_S
        notifier.subscribe(HERE)
    finally:
        notifier.close()


def test_much_is_told_in_packets_that_any_network_takes():
    content = {f"/part/1/knob/k{i}": (0.1 * i,) for i in range(200)}
    packets = list(bundles(content))
    assert len(packets) > 1 and max(map(len, packets)) <= PACKET_BYTES + 16
    told = {m.address: m.params[0] for packet in packets for m in OscBundle(packet)}
    assert list(told) == list(content) and told["/part/1/knob/k10"] == pytest.approx(1.0)
