"""Live MIDI through a real JACK server; and plain words where there is no MIDI."""

from __future__ import annotations

import contextlib
import queue
import shutil
import subprocess
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain, islice

import mido
import pytest

from daw_bridge.clock import AudioClock
from daw_bridge.events import NoteOff, NoteOn
from daw_bridge.midi.messages import MidiTranslator
from daw_bridge.midi.port import QUEUE, MidiInput, open_input

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

    with (
        contextlib.closing(open_input("auto", hear, int, JACK)) as opened,
        sender("melstream") as out,
    ):
        for key in (60, 61):
            out.send_message([0x90, key, 100])
        assert wait_for(heard, 1) == [[0x90, 61, 100]]
        assert opened.faults == 1
    assert "a MIDI message was dropped: 90 3c 64" in caplog.text


class Raw:
    """Sends any bytes over JACK, also those that are no message."""

    def __init__(self, client) -> None:
        self._out = client.midi_outports.register("out")
        self._waiting: deque[bytes] = deque()
        client.set_process_callback(self._process)

    def __call__(self, text: str) -> None:
        self._waiting.append(bytes.fromhex(text))

    def _process(self, frames: int) -> None:
        self._out.clear_buffer()
        for n in range(min(len(self._waiting), frames)):
            self._out.write_midi_event(n, self._waiting.popleft())


@contextlib.contextmanager
def raw_sender():
    client = pytest.importorskip("jack").Client("raw", no_start_server=True, servername=SERVER)
    send = Raw(client)
    with client:
        (target,) = [port for port in client.get_ports(is_midi=True) if "melstream" in port.name]
        client.connect("raw:out", target)
        yield send


def test_malformed_messages_end_nothing(jack, desk, posted):
    translator, done = MidiTranslator(desk, posted.append), queue.Queue()

    def hear(data, time):
        translator.hear_bytes(data, time)
        done.put(data)

    with contextlib.closing(open_input("auto", hear, int, JACK)) as opened, raw_sender() as send:
        for text in ("90 3c 64", "e0", "e0 00", "f2", "80 3c 00"):
            send(text)
        wait_for(done, 5)
        assert opened.faults == 0
    assert posted == [NoteOn(0, 1, 60, 100), NoteOff(0, 1, 60)]
    assert translator.malformed == 3


def test_what_an_unfinished_sysex_has_swallowed_is_heard(jack, heard):
    with listen("auto", heard), raw_sender() as send:
        for text in ("90 3c 64", "f0 7e 01", "80 3c 00", "90 40 64", "f0 7e f7", "90 41 64"):
            send(text)
        messages = [message for message, _ in wait_for(heard, 5)]
    assert [(m.type, getattr(m, "note", None)) for m in messages] == [
        ("note_on", 60),
        ("note_off", 60),
        ("note_on", 64),
        ("sysex", None),
        ("note_on", 65),
    ]


class MemoryPort:
    """A port without a device: what waits in it, at most as much as rtmidi keeps."""

    def __init__(self, messages: Iterable[Sequence[int]]) -> None:
        self._waiting = deque((message, 0.0) for message in islice(messages, QUEUE - 1))

    def get_message(self):
        return self._waiting.popleft() if self._waiting else None

    def close_port(self) -> None:
        self._waiting.clear()

    def delete(self) -> None:
        self._waiting.clear()


@pytest.mark.parametrize(("count", "lost"), [(5_000, 0), (QUEUE + 1_000, 1)])
def test_a_flood_is_heard_or_all_keys_are_let_go(count, lost):
    presses = ([0x90, n % 96, 100] for n in range(count))
    heard: queue.Queue = queue.Queue()
    port = MemoryPort(chain(presses, [[0x80, 95, 0]]))  # the release may find no room
    with contextlib.closing(MidiInput([port], "", lambda data, _: heard.put(data), int)) as opened:
        found = wait_for(heard, min(count, QUEUE - 1) + (96 if lost else 1))
        assert opened.lost == lost
    released = [data[1] for data in found if data[0] == 0x80]
    assert released == (list(range(96)) if lost else [95])
    assert heard.empty()


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
