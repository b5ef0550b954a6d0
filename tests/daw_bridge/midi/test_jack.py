"""Where in a cycle a message of JACK lies is where it is played."""

from __future__ import annotations

import contextlib
import queue

import pytest

from common.jack.link import JackLink
from daw_bridge.midi.jack import JackMidi
from daw_bridge.midi.port import MidiInput
from tests.jack_server import ENVIRONMENT, RATE, Stranger, jack_server
from tests.waiting import PATIENCE_S

PERIOD, PLACE = 8_192, 8_000


def test_a_message_late_in_a_cycle_lies_ahead_and_an_early_one_is_due(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    heard: queue.Queue[tuple[bytes, float]] = queue.Queue()
    ahead: list[float] = []
    link, jack = JackLink(), JackMidi(hardware=False)
    link.add(jack)
    midi = MidiInput(
        [jack], (), lambda data, _: heard.put((bytes(data), ahead[-1])), lambda s: ahead.append(s)
    )
    with jack_server(PERIOD), contextlib.closing(link):
        link.start()
        with contextlib.closing(midi), contextlib.closing(Stranger("keyboard")) as stranger:
            midi.start()
            stranger.connect("keyboard:out", "melstream-midi:in")
            late, early = [], []
            # A cycle lasts 171 ms; on a busy machine reading takes as long, now and then.
            while len(late) < 3 or (max(late) < 0.05 and len(late) < 100):
                for waits, place in ((late, PLACE), (early, 0)):
                    stranger.send("90 3c 64", at=place)
                    data, ahead_s = heard.get(timeout=PATIENCE_S)
                    assert data == bytes([0x90, 60, 100])
                    waits.append(ahead_s)
    assert 0.05 < max(late) <= PLACE / RATE + 0.001
    assert early == pytest.approx([0] * len(early), abs=0.001)
