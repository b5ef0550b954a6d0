"""Live MIDI through a real JACK server; and plain words where there is no MIDI."""

from __future__ import annotations

import contextlib
import queue
import shutil
import subprocess
from collections.abc import Sequence

import mido
import pytest

from daw_bridge.clock import AudioClock
from daw_bridge.events import NoteOff, NoteOn
from daw_bridge.midi.messages import MidiTranslator
from daw_bridge.midi.port import open_input

SERVER = "melmidi"
JACK = ("UNIX_JACK",)
WAIT_S = 20.0
TOOLS = ("jackd", "jack_wait", "jack_midiseq", "jack_connect", "jack_lsp")


@pytest.fixture(scope="module")
def jack():
    """A JACK server without sound hardware, for this module's tests alone."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        pytest.skip(f"not installed (jackd2): {', '.join(missing)}")
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setenv("JACK_DEFAULT_SERVER", SERVER)
        patch.setenv("JACK_NO_AUDIO_RESERVATION", "1")
        words = f"jackd --realtime --sync -n {SERVER} -d dummy -r 48000 -p 256".split()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        server = subprocess.Popen(words, stdin=subprocess.DEVNULL, **quiet)
        stack.callback(server.wait)
        stack.callback(server.terminate)
        ready = subprocess.run(["jack_wait", "-w", "-t", "10", "-s", SERVER], **quiet)
        if ready.returncode or server.poll() is not None:
            pytest.skip("jackd does not start on this machine")
        yield SERVER


@pytest.fixture
def heard() -> queue.Queue:
    return queue.Queue()


def listen(name: str, heard: queue.Queue, now=lambda: 0):
    def hear(data: Sequence[int], time: int) -> None:
        heard.put((mido.Message.from_bytes(data), time))

    opened = open_input(name, hear, now, JACK)
    return contextlib.closing(opened)


def wait_for(heard: queue.Queue, count: int) -> list:
    return [heard.get(timeout=WAIT_S) for _ in range(count)]


@contextlib.contextmanager
def sender(port: str):
    """An rtmidi output connected to a JACK port whose name contains port."""
    rtmidi = pytest.importorskip("rtmidi")
    out = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name="player")
    (number,) = [i for i, name in enumerate(out.get_ports()) if port in name]
    out.open_port(number)
    try:
        yield out
    finally:
        out.close_port()
        out.delete()


def test_none_opens_nothing(heard):
    with listen("none", heard) as opened:
        assert opened.ports == ()
        assert opened.summary == "MIDI: off"


def test_auto_offers_a_port_that_a_player_can_connect_to(jack, heard, desk, posted):
    clock = AudioClock(48_000)
    translator = MidiTranslator(desk, posted.append)

    def hear(data, time):
        translator.hear_bytes(data, time)
        heard.put(data)

    with contextlib.closing(open_input("auto", hear, clock.now, JACK)) as opened:
        assert "virtual port 'melstream'" in opened.summary
        with sender("melstream") as out:
            for data in ([0x90, 60, 100], [0xF8], [0x90, 60, 0], [0xE0, 0, 64]):
                out.send_message(data)
            wait_for(heard, 3)
    assert posted == [NoteOn(0, 1, 60, 100), NoteOff(0, 1, 60)]


def test_a_message_that_fails_does_not_end_the_input(jack, heard, caplog):
    def hear(data, time):
        if data[1] == 60:
            raise RuntimeError("a mistake")
        heard.put(data)

    with contextlib.closing(open_input("auto", hear, int, JACK)), sender("melstream") as out:
        for key in (60, 61):
            out.send_message([0x90, key, 100])
        assert wait_for(heard, 1) == [[0x90, 61, 100]]
    assert "a MIDI message was dropped: 90 3c 64" in caplog.text


def test_a_sequencer_of_jacks_own_is_heard(jack, heard):
    stamps = iter(range(10**6))
    with listen("auto", heard, stamps.__next__):
        # Every 4,800 samples key 64, held for 2,400.
        words = ["jack_midiseq", "sequencer", "4800", "0", "64", "2400"]
        player = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            ports = wait_for_port("sequencer:out")
            (target,) = [name for name in ports if name.startswith("melstream")]
            subprocess.run(["jack_connect", "sequencer:out", target], check=True, timeout=WAIT_S)
            found = wait_for(heard, 6)
        finally:
            player.terminate()
            player.wait()
    notes = [message for message, _ in found]
    assert {message.note for message in notes} == {64}
    assert {message.type for message in notes} == {"note_on", "note_off"}
    assert [time for _, time in found] == list(range(6))


def test_closes_while_notes_arrive(jack, heard):
    words = ["jack_midiseq", "hasty", "480", "0", "64", "240"]  # 200 messages a second
    player = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for_port("hasty:out")
        for _ in range(20):
            with listen("hasty", heard):
                wait_for(heard, 1)
            before = heard.qsize()
            wait_for_port("hasty:out")  # time for several more
            assert heard.qsize() == before
    finally:
        player.terminate()
        player.wait()


def wait_for_port(name: str) -> list[str]:
    """All JACK ports, as soon as name is one of them; a call takes some milliseconds."""
    for _ in range(1000):
        listed = subprocess.run(["jack_lsp"], capture_output=True, text=True, timeout=WAIT_S)
        if name in listed.stdout.split():
            return listed.stdout.split()
    raise AssertionError(f"no port {name}: {listed.stdout}")


def test_a_port_is_opened_by_part_of_its_name(jack, heard):
    backend = mido.Backend("mido.backends.rtmidi/UNIX_JACK")
    for client in ("left-hand", "right-hand"):
        port = backend.open_output("out", virtual=True, client_name=client)
        if client == "left-hand":
            left = port
    try:
        with listen("left", heard) as opened:
            assert opened.summary == "MIDI: left-hand:out"
            left.send(mido.Message("note_on", note=50))
            ((message, _),) = wait_for(heard, 1)
            assert message.note == 50
        with pytest.raises(ValueError, match="'hand' fits several inputs: 'left-hand:out', 'r"):
            open_input("hand", print, int, JACK)
        with pytest.raises(
            ValueError, match="'Keystation' is not an input; there are: 'left-hand:out'"
        ):
            open_input("Keystation", print, int, JACK)
    finally:
        left.close()
        port.close()


def test_a_machine_without_midi_is_told_so_and_plays_on(monkeypatch, heard):
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "no-such-server")
    with listen("auto", heard) as opened:
        assert opened.ports == ()
        assert opened.summary.startswith("MIDI: none on this machine")
        assert "\n" not in opened.summary
    with pytest.raises(OSError, match="^--midi Keystation: MIDI: none on this machine") as refused:
        open_input("Keystation", print, int, JACK)
    assert "\n" not in str(refused.value)
