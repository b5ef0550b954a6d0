"""Live MIDI through a real JACK server: ports that come and go; plain words where there are none.

rtmidi, which reads the machine's own MIDI, is tried on JACK's ports, too: there it needs no sound
hardware.
"""

from __future__ import annotations

import contextlib
import queue
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

import mido
import pytest

from common.jack.link import JackLink
from daw_bridge.clock import AudioClock
from daw_bridge.events import NoteOff, NoteOn
from daw_bridge.midi.inputs import midi_inputs
from daw_bridge.midi.jack import JackMidi
from daw_bridge.midi.messages import MidiTranslator
from daw_bridge.midi.port import LEFT, QUEUE, Hear, MidiInput
from daw_bridge.midi.system import SystemMidi, SystemPort
from tests.jack_server import ENVIRONMENT, JackServer, Stranger, jack_server
from tests.waiting import PATIENCE_S, wait_until, wait_until_equal

SYSTEMS = ["jack", "rtmidi"]


@pytest.fixture(scope="module")
def server() -> Iterator[JackServer]:
    """A JACK server for this module's tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        with jack_server() as server:
            yield server


@pytest.fixture
def heard() -> queue.Queue:
    return queue.Queue()


@contextlib.contextmanager
def listening(
    system: str,
    hear: Hear,
    *wanted: str,
    hardware: bool = True,
    stamp: Callable[[float], int] = lambda ahead: 0,
) -> Iterator[MidiInput]:
    """Inputs by one of the two systems."""
    if system == "rtmidi":
        found = wait_until(rtmidi_on_jack)
        with contextlib.closing(MidiInput([found], wanted, hear, stamp)) as midi:
            midi.start()
            yield midi
        return
    link, jack = JackLink(), JackMidi(hardware)
    link.add(jack)
    with contextlib.closing(link):
        link.start()
        # A server that is busy may refuse a client at first.
        wait_until(lambda: not link.missing)
        with contextlib.closing(MidiInput([jack], wanted, hear, stamp)) as midi:
            midi.start()
            yield midi


def rtmidi_on_jack() -> SystemMidi | None:
    """None while the server refuses it, as a busy one may."""
    with contextlib.suppress(OSError):
        return SystemMidi("UNIX_JACK")
    return None


def put_into(heard: queue.Queue) -> Hear:
    return lambda data, time: heard.put(mido.Message.from_bytes(data))


def wait_for(heard: queue.Queue, count: int) -> list:
    return [heard.get(timeout=PATIENCE_S) for _ in range(count)]


def own_port(stranger: Stranger) -> str:
    """The port that others connect to, whichever system opened it."""
    return wait_until(lambda: stranger.ports("^melstream.*:(in|melstream)$"))[0]


@pytest.fixture
def stranger(server) -> Iterator[Stranger]:
    with contextlib.closing(Stranger("keyboard")) as stranger:
        yield stranger


def test_none_opens_nothing(heard):
    midi = midi_inputs(["none"], put_into(heard), int, None)
    midi.start()
    assert midi.summary == "off" and midi.names == []
    midi.close()


@pytest.mark.parametrize("system", SYSTEMS)
def test_there_is_a_port_that_a_player_can_connect_to(system, stranger, desk, posted):
    clock, done = AudioClock(48_000), queue.Queue()
    translator = MidiTranslator(desk, posted.append)

    def hear(data, time):
        translator.hear_bytes(data, time)
        done.put(data)

    with listening(system, hear, stamp=clock.ahead) as midi:
        stranger.connect("keyboard:out", own_port(stranger))
        told = {"jack": "melstream-midi:in (JACK)", "rtmidi": "'melstream'"}[system]
        assert midi.summary == f"virtual port {told}"
        stranger.send("90 3c 64", "90 3c 00", "e0 00 40")
        wait_for(done, 3)
    # JACK says when within its cycle they came.
    assert [replace(event, time=0) for event in posted] == [
        NoteOn(0, 1, 60, 100),
        NoteOff(0, 1, 60),
    ]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_keyboard_that_goes_lets_its_keys_go_and_is_taken_again(system, server, heard):
    with listening(system, put_into(heard), "keyb", "pads") as midi:
        assert midi.waiting == ["keyb", "pads"] and "waiting for 'keyb'" in midi.summary
        for _ in range(2):
            with contextlib.closing(Stranger("keyboard")) as stranger:
                wait_until_equal(lambda: midi.names, ["keyboard:out"])
                assert midi.waiting == ["pads"]
                # rtmidi connects a moment after it says so.
                stranger.wait_for_ear()
                stranger.send("90 3c 64", "b0 40 7f", "91 40 64", "81 40 00")
                struck = wait_for(heard, 4)
                assert [message.type for message in struck[::3]] == ["note_on", "note_off"]
            released = wait_for(heard, 2)
            assert [m.bytes() for m in released] == [[0x80, 60, 0], [0xB0, 64, 0]]
            wait_until_equal(lambda: midi.names, [])
        assert midi.faults == midi.lost == 0
    assert heard.empty()


def test_a_player_that_leaves_our_port_lets_its_keys_go(server, heard):
    with listening("jack", put_into(heard)):
        with contextlib.closing(Stranger("daw")) as daw:
            daw.connect("daw:out", "melstream-midi:in")
            daw.send("90 3c 64")
            wait_for(heard, 1)
        ((released),) = wait_for(heard, 1)
        assert released.bytes() == [0x80, 60, 0]


def test_a_player_that_leaves_before_anybody_has_looked_lets_its_keys_go(server):
    """Whoever reads may be late by seconds, on a busy machine."""
    link, jack = JackLink(), JackMidi(hardware=False)
    link.add(jack)
    with contextlib.closing(link):
        link.start()
        port = jack.open_virtual()
        for key in (60, 61):
            with contextlib.closing(Stranger("daw")) as daw:
                daw.connect("daw:out", "melstream-midi:in")
                daw.send(f"90 {key:02x} 64")
                wait_until(lambda daw=daw: not daw.waiting)
                daw.settle()
        told: list[bytes] = []
        wait_until(lambda: told.extend(m for m, _ in iter(port.read, None)) or len(told) >= 5)
    assert told == [LEFT, b"\x90\x3c\x64", LEFT, b"\x90\x3d\x64", LEFT]


def test_a_server_that_is_restarted_lets_all_keys_go_and_gives_its_ports_back(server, heard):
    with listening("jack", put_into(heard), "keyboard") as midi:
        with contextlib.closing(Stranger("keyboard")) as stranger:
            stranger.wait_for_ear()
            stranger.send("90 3c 64")
            wait_for(heard, 1)
            server.stop()
            assert [m.bytes() for m in wait_for(heard, 1)] == [[0x80, 60, 0]]
            awaited = "waiting for 'keyboard', virtual port of JACK as soon as it runs"
            wait_until_equal(lambda: midi.summary, awaited)
        # Only now: libjack keeps things in common for all clients of a process.
        server.start()
        with contextlib.closing(Stranger("keyboard")) as stranger:
            stranger.wait_for_ear()
            stranger.send("90 3d 64")
            assert wait_for(heard, 1)[0].note == 61


@pytest.mark.parametrize("system", SYSTEMS)
def test_two_ports_are_taken_by_name_and_one_that_fits_several_is_refused(system, server, heard):
    with (
        contextlib.closing(Stranger("left-hand")) as left,
        contextlib.closing(Stranger("right-hand")) as right,
    ):
        with listening(system, put_into(heard), "left", "RIGHT") as midi:
            assert midi.names == ["left-hand:out", "right-hand:out"] and not midi.waiting
            for stranger, key in ((left, "32"), (right, "33")):
                stranger.wait_for_ear()
                stranger.send(f"90 {key} 64")
                assert wait_for(heard, 1)[0].note == int(key, 16)
        with (
            pytest.raises(ValueError, match="'hand' fits several inputs: left-hand:out, right-"),
            listening(system, put_into(heard), "hand"),
        ):
            pass


def test_software_is_not_taken_for_hardware(stranger, heard):
    with listening("jack", put_into(heard), "auto") as midi:
        assert midi.names == []
        assert not stranger.connected()


def test_a_message_that_fails_does_not_end_the_input(stranger, caplog):
    heard = queue.Queue()

    def hear(data, time):
        if data[1] == 60:
            raise RuntimeError("a mistake")
        heard.put(list(data))

    with listening("jack", hear) as midi:
        stranger.connect("keyboard:out", "melstream-midi:in")
        stranger.send("90 3c 64", "90 3d 64")
        assert wait_for(heard, 1) == [[0x90, 61, 100]]
        assert midi.faults == 1
    assert "a MIDI message was dropped: 90 3c 64" in caplog.text


@pytest.mark.parametrize("system", SYSTEMS)
def test_malformed_messages_end_nothing(system, stranger, desk, posted):
    translator, done = MidiTranslator(desk, posted.append), queue.Queue()

    def hear(data, time):
        translator.hear_bytes(data, time)
        done.put(data)

    with listening(system, hear) as midi:
        stranger.connect("keyboard:out", own_port(stranger))
        stranger.send("90 3c 64", "e0", "e0 00", "f2", "80 3c 00")
        wait_for(done, 5)
        assert midi.faults == 0
    assert posted == [NoteOn(0, 1, 60, 100), NoteOff(0, 1, 60)]
    assert translator.malformed == 3


def test_what_an_unfinished_sysex_has_swallowed_is_heard(stranger, heard):
    with listening("rtmidi", put_into(heard)):
        stranger.connect("keyboard:out", own_port(stranger))
        stranger.send("90 3c 64", "f0 7e 01", "80 3c 00", "90 40 64", "f0 7e f7", "90 41 64")
        messages = wait_for(heard, 5)
    assert [(m.type, getattr(m, "note", None)) for m in messages] == [
        ("note_on", 60),
        ("note_off", 60),
        ("note_on", 64),
        ("sysex", None),
        ("note_on", 65),
    ]


class MemoryPort:
    """A port of rtmidi without a device: what waits in it, at most as much as rtmidi keeps."""

    def __init__(self, messages: Iterable[Sequence[int]]) -> None:
        self._waiting = deque((message, 0.0) for message in islice(messages, QUEUE - 1))

    def get_message(self):
        return self._waiting.popleft() if self._waiting else None

    def close_port(self) -> None:
        self._waiting.clear()

    def delete(self) -> None:
        self._waiting.clear()


class MemorySystem:
    """A system with one port, which is open from the start."""

    label = "memory"

    def __init__(self, port: MemoryPort) -> None:
        self._port = port

    def names(self) -> list[str]:
        return []

    def open_virtual(self) -> SystemPort:
        return SystemPort(self._port)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("count", "lost"), [(5_000, 0), (QUEUE + 1_000, 1)])
def test_a_flood_is_heard_or_all_keys_are_let_go(count, lost):
    presses = ([0x90, n % 96, 100] for n in range(count))
    heard: queue.Queue = queue.Queue()
    port = MemoryPort(chain(presses, [[0x80, 95, 0]]))  # the release may find no room
    midi = MidiInput([MemorySystem(port)], (), lambda data, _: heard.put(data), int)
    with contextlib.closing(midi):
        midi.start()
        found = wait_for(heard, min(count, QUEUE - 1) + (96 if lost else 1))
        assert midi.lost == lost
    released = [data[1] for data in found if data[0] == 0x80]
    assert released == (list(range(96)) if lost else [95])
    assert heard.empty()


def test_a_sequencer_of_jacks_own_is_heard(server, heard):
    with listening("jack", put_into(heard), "sequencer"):
        # Every 4,800 samples key 64, held for 2,400.
        words = ["jack_midiseq", "sequencer", "4800", "0", "64", "2400"]
        player = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            notes = wait_for(heard, 6)
        finally:
            player.terminate()
            player.wait()
    assert {message.note for message in notes} == {64}
    assert {message.type for message in notes} == {"note_on", "note_off"}


@pytest.mark.parametrize("system", SYSTEMS)
def test_closes_while_notes_arrive(system, server, heard):
    words = ["jack_midiseq", "hasty", "480", "0", "64", "240"]  # 200 messages a second
    player = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        for _ in range(10):
            with listening(system, put_into(heard), "hasty"):
                wait_for(heard, 1)
            before = heard.qsize()
            time.sleep(0.05)  # time for several more
            assert heard.qsize() == before
    finally:
        player.terminate()
        player.wait()


def test_a_machine_without_midi_is_told_so_and_plays_on(monkeypatch, heard):
    rtmidi = pytest.importorskip("rtmidi")
    # As where python-rtmidi has no API that works.
    monkeypatch.setattr(rtmidi, "API_UNSPECIFIED", rtmidi.API_UNIX_JACK)
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "no-such-server")
    midi = midi_inputs(["auto"], put_into(heard), int, None)
    midi.start()
    assert midi.summary.startswith("none on this machine (") and "\n" not in midi.summary
    midi.close()
    with pytest.raises(OSError, match="^--midi Keystation: none on this machine") as refused:
        midi_inputs(["Keystation"], put_into(heard), int, None)
    assert "\n" not in str(refused.value)
