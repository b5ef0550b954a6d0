"""Our JACK client and its bond with a real server that comes and goes."""

from __future__ import annotations

import contextlib
import signal
from typing import cast

import numpy as np
import pytest

from common.jack.client import JackClient
from common.jack.link import JackLink
from synth.output.jack import JackSink
from synth.output.playout import Playout
from synth.output.ring import Ring
from tests.jack_server import ENVIRONMENT, RATE, JackServer, Stranger, jack_server
from tests.waiting import wait_until, wait_until_equal

TONE_S = 90


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def server():
    with jack_server() as server:
        yield server


def opened() -> JackClient:
    """A client. A server that is busy may refuse it at first."""

    def tried() -> JackClient | None:
        with contextlib.suppress(OSError):
            return JackClient()
        return None

    return cast(JackClient, wait_until(tried))


class Tone:
    """A member that plays a constant on two ports, and has a MIDI port."""

    client_name = "melstream"

    def __init__(self) -> None:
        self.clients: list[JackClient] = []
        self.reasons: list[str] = []

    def join(self, client: JackClient) -> None:
        ring = Ring(TONE_S * RATE)
        ring.write(np.full((TONE_S * RATE, 2), [0.25, -0.5], np.float32))
        self.playout = Playout(ring, client.rate, 1, clock=lambda: client.now_s)
        fades = (self.playout.fall, self.playout.held, self.playout.last)
        client.play(["left", "right"], ring.counts, ring.samples, self.playout.counts, fades)
        client.listen("midi")

    def joined(self, client: JackClient) -> None:
        self.clients.append(client)

    def left(self, why: str) -> None:
        self.reasons.append(why)


def test_sound_midi_and_latency_go_through_a_client_called_melstream(server):
    link, tone = JackLink(), Tone()
    link.add(tone)
    link.latency_s = lambda: 0.05
    link.start()
    stranger = Stranger(inputs=2)
    try:
        (client,) = wait_until(lambda: tone.clients)
        assert (client.name, client.rate) == ("melstream", RATE)
        stranger.connect("melstream:left", "stranger:in_1")
        stranger.connect("melstream:right", "stranger:in_2")
        stranger.connect("stranger:out", "melstream:midi")
        stranger.wait_for_ear()
        stranger.take()
        wait_until(lambda: sum(map(len, stranger.heard)) > 4_000)
        heard = stranger.take()
        np.testing.assert_array_equal(heard[3_000], np.float32([0.25, -0.5]))
        assert 0 < tone.playout.ahead_s < TONE_S

        sent, told = client.now_s, []
        stranger.send("90 3c 64", "f0 7e 00 f7", "80 3c 00")
        wait_until(lambda: told.extend(client.messages()) or len(told) == 3)
        assert [(port, message.hex(" ")) for port, message, _ in told] == [
            (0, "90 3c 64"),
            (0, "f0 7e 00 f7"),
            (0, "80 3c 00"),
        ]
        ages = np.array([age for _, _, age in told])
        # Each one frame after the other, whenever it is read.
        assert np.diff(ages) == pytest.approx([-1 / RATE] * 2, abs=1e-6)
        assert -0.1 < ages[0] < client.now_s - sent

        wait_until_equal(lambda: stranger.latency("melstream:left"), 0.05 * RATE)
        # The stranger hears what it has caused itself, and its own latencies add up for ever.
        assert client.playback_latency() == 0
        wait_until_equal(lambda: stranger.latency("melstream:midi", True), 0.05 * RATE)
        client.play_on(client.find_speakers())
        behind = stranger.latency("system:playback_1", playback=True)
        assert behind > 0
        wait_until_equal(client.playback_latency, behind)
        wait_until_equal(lambda: stranger.latency("melstream:midi", True), 0.05 * RATE + behind)
    finally:
        stranger.close()
        link.close()


def test_a_ring_of_midi_that_nobody_reads_overflows_and_counts(server):
    client = opened()
    client.listen("midi")
    client.activate()
    stranger = Stranger()
    try:
        stranger.connect("stranger:out", "melstream:midi")
        stranger.wait_for_ear()
        size = 4_000

        def one_more() -> int:
            # One in a cycle: JACK itself has no room for many.
            if not stranger.waiting:
                stranger.send("f0" + "01" * size + "f7")
            return client.midi_lost

        wait_until(one_more)
        told = client.messages()
        assert {len(message) for _, message, _ in told} == {size + 2}
        stranger.send("90 3c 64")
        told = []
        wait_until(lambda: told.extend(client.messages()) or told[-1:] and len(told[-1][1]) == 3)
    finally:
        stranger.close()
        client.close()


def test_a_server_that_ends_is_left_and_one_that_comes_is_joined():
    link, tone = JackLink(), Tone()
    link.add(tone)
    if not link.seek():
        assert link.missing == "no JACK server is running"
    link.start()
    try:
        with jack_server() as server:
            wait_until(lambda: len(tone.clients) == 1)
            server.stop()
            wait_until_equal(lambda: tone.reasons, ["the JACK server has ended"])
            (old,) = tone.clients
            # A closed client answers, and asks JACK nothing.
            assert old.ports(midi=False, output=False) == [] and old.playback_latency() == 0
            assert old.messages() == [] and not old.connect("left", "system:playback_1")
            server.start()
            wait_until(lambda: len(tone.clients) == 2)
            before = tone.clients[1].cycles
            wait_until(lambda: tone.clients[1].cycles > before)
    finally:
        link.close()


def test_a_server_that_freezes_is_left_and_joined_when_it_goes_on(server: JackServer):
    link, tone = JackLink(), Tone()
    link.add(tone)
    link.start()
    try:
        wait_until(lambda: len(tone.clients) == 1)
        server.signal(signal.SIGSTOP)
        wait_until_equal(lambda: tone.reasons, ["the JACK server does not run any more"])
        assert len(tone.clients) == 1
        server.signal(signal.SIGCONT)
        wait_until(lambda: len(tone.clients) == 2)
        before = tone.clients[1].cycles
        wait_until(lambda: tone.clients[1].cycles > before)
    finally:
        server.signal(signal.SIGCONT)
        link.close()


def test_a_port_too_many_is_refused(server):
    client = opened()
    try:
        for n in range(16):
            assert client.listen(f"midi_{n}") == n
        with pytest.raises(OSError, match="no room for the MIDI port seventeenth"):
            client.listen("seventeenth")
    finally:
        client.close()


def test_what_another_program_costs_the_server_counts_as_a_gap(server):
    client = opened()
    sink = JackSink(client, RATE)
    client.activate()
    stranger = Stranger()
    try:
        sink.start()
        before = sink.xruns

        def late_once_more() -> bool:
            stranger.sleep_s = stranger.sleep_s or 0.1
            return sink.xruns > before

        wait_until(late_once_more)
    finally:
        stranger.close()
        sink.close()
        client.close()
