"""The page's server, spoken to without a browser: who is let in, and what messages do."""

from __future__ import annotations

import io
import json
import math
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from common.patch import Patch
from daw_bridge.clock import AudioClock
from daw_bridge.commands.actions import Session
from daw_bridge.desk.desk import Desk
from daw_bridge.events import (
    PEDALS,
    SETTINGS,
    AllSoundOff,
    Event,
    Level,
    NoteOff,
    NoteOn,
    Pedal,
)
from daw_bridge.inbox import Inbox
from page.address import HttpAddress, listen
from page.app import MOST_PAGES, Application
from page.columns import Columns
from page.fits import Fits
from page.measured import MOST_POINTS, Gauge
from page.messages import MessageLog
from page.server import PageServer
from page.state import About
from page.tap import Tap
from synth.bank.bank import Bank, load_bank
from tests.waiting import PATIENCE_S, PROCESS_S, wait_until

STATUS = {"load": 0.5, "latency_samples": 480}


class Instrument:
    """A page's server, and all that it serves but sound."""

    def __init__(self, bank: Path, host: str = "127.0.0.1") -> None:
        loaded = load_bank(bank)
        analysis = loaded.analysis
        self.inbox, self.tap, self.log = Inbox(), Tap(), MessageLog()
        self.clock = AudioClock(analysis.rate)
        self.desk = Desk(loaded, self.inbox.post, self.clock.now)
        about = About("toy", analysis.rate, analysis.frame_rate, analysis.mels, 0, {}, False, "1")
        session = Session(self.desk, self.inbox, lambda: dict(STATUS), "1")
        columns = Columns(self.tap, analysis, 0.7)
        gauge = Gauge(loaded.mel2mel(), loaded.more)
        self.application = Application(
            *(about, session, self.clock, self.tap, columns, self.log, gauge),
            Fits(self.desk, loaded.path, None),
        )
        self.server = PageServer(self.application, listen(HttpAddress(host, 0, fixed=True)))
        self.port = self.server.bound.port
        self.hop = analysis.hop
        self.begun = time.perf_counter()

    def socket(self, path: str = "control", **options: Any) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.port}/{path}", open_timeout=PATIENCE_S, **options)

    def get(self, path: str = "/", **headers: str) -> tuple[int, str, dict[str, str]]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PROCESS_S)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        said = answer.read().decode()
        connection.close()
        return answer.status, said, {k.lower(): v for k, v in answer.getheaders()}

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        """The status and the answer to a request, JSON where it is."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PROCESS_S)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        return answer.status, json.loads(said) if answer.status != 403 else said.decode()

    def go_on(self, socket: ClientConnection | None = None) -> Any:
        """Let the clock go on, as the render thread would, a few milliseconds; what a page is then
        told of the song, else ""."""
        wall = time.perf_counter()
        self.clock.tick(round((wall - self.begun) * self.clock.rate), wall)
        if socket is None:
            time.sleep(0.005)
            return ""
        try:
            message = socket.recv(0.005)
        except TimeoutError:
            return ""
        return json.loads(message).get("song", "") if isinstance(message, str) else ""

    def events(self) -> list[object]:
        """Notes and the like that came since the last call, as if at time 0."""
        taken = self.inbox.take_until(1)
        return [replace(event, time=0) for event in taken if not isinstance(event, SETTINGS)]


@pytest.fixture
def instrument(toy_bank: Path) -> Iterator[Instrument]:
    made = Instrument(toy_bank)
    yield made
    made.server.close()


def told(socket: ClientConnection, name: str) -> Any:
    """The next value of that name; those of other names are passed over."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        message = socket.recv(PATIENCE_S)
        if isinstance(message, str) and name in json.loads(message):
            return json.loads(message)[name]
    raise TimeoutError(f"nothing is told of {name}")


def say(socket: ClientConnection, *words: object) -> None:
    socket.send(json.dumps(words))


def test_a_page_is_told_everything_and_then_what_changes(instrument: Instrument) -> None:
    with instrument.socket() as socket:
        first = json.loads(socket.recv(PATIENCE_S))
        hello = first["hello"]
        assert hello["knobs"] == ["brightness"] and len(hello["reach"]) == 2
        assert set(first["parts"]) == {str(part) for part in range(1, 17)}
        assert [patch["name"] for patch in first["patches"]] == ["piano", "organ", "bright-lead"]
        assert told(socket, "status") == STATUS
        say(socket, "/part/2/pan", -1)
        parts = told(socket, "parts")
        assert list(parts) == ["2"] and parts["2"]["pan"] == -1
        instrument.desk.patch(5, "organ")  # as OSC or MIDI would
        assert told(socket, "parts")["5"]["patch"] == "organ"
        say(socket, "/part/2/pan")
        assert told(socket, "reply") == ["/part/2/pan", [-1]]


def test_mistakes_are_answered_and_change_nothing(instrument: Instrument) -> None:
    with instrument.socket() as socket:
        told(socket, "hello")
        for text, address, reason in (
            ('["/part/1/pan", 2]', "/part/1/pan", "from -1 to 1"),
            ('["/part/1/pan", NaN]', "/part/1/pan", "from -1 to 1"),
            ('["/nonsense"]', "/nonsense", "no such address"),
            ('["/part/1/pan", [1]]', "", "texts and numbers"),
            ('{"address": 1}', "", "JSON array"),
            ("[" * 60_000, "", "JSON array"),
            ("[]", "", "an address first"),
            (json.dumps(["/part/1/timbre"] + [0] * 300), "", "at most 256"),
            (b"\0\1", "", "JSON array"),
        ):
            socket.send(text)
            got = told(socket, "error")
            assert got[0] == address and reason in got[1], (text[:40], got)
        assert instrument.application.refused == 9 and not instrument.events()
        say(socket, "/part/1/pan")
        assert told(socket, "reply") == ["/part/1/pan", [0]]


def test_a_message_that_is_too_long_ends_only_its_own_connection(instrument: Instrument) -> None:
    with instrument.socket() as socket, instrument.socket() as other:
        socket.send("[" * 100_000)
        with pytest.raises(ConnectionClosed):
            told(socket, "never")
        say(other, "/part/1/pan")
        assert told(other, "reply") == ["/part/1/pan", [0]]


def test_what_a_page_holds_is_released_when_it_is_gone(instrument: Instrument) -> None:
    instrument.desk.open_zone(16, 1)
    instrument.events()
    with instrument.socket() as socket:
        for words in (
            ("/part/1/note", 60, 100),
            ("/part/1/note", 62, 100),
            ("/part/1/note", 60, 0),
            ("/part/2/cc", 64, 127),
            ("/part/2/cc", 66, 127),
            ("/part/2/cc", 67, 127),
            ("/part/2/cc", 67, 0),
            ("/part/16/cc", 64, 127),
            ("/sync", 1),
        ):
            say(socket, *words)
        told(socket, "reply")
        held = instrument.events()
        assert held[0] == NoteOn(0, 1, 60, 100) and held[-1] == Pedal(0, 15, 64, True)
    released: list[object] = []
    wait_until(lambda: released.extend(instrument.events()) or len(released) >= 5)
    assert released == [
        NoteOff(0, 1, 62),
        *(Pedal(0, part, number, False) for part, number in ((2, 64), (2, 66), (16, 64), (15, 64))),
    ]


def test_notes_and_panic_do_not_wait_for_a_disk(
    instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, saved = threading.Event(), []

    def slow_save(bank: Bank, name: str, **values: Any) -> Patch:
        assert disk.wait(PATIENCE_S)
        saved.append((name, values["pan"]))
        return bank.patch("organ")

    monkeypatch.setattr(Bank, "save", slow_save)
    with instrument.socket() as socket:
        say(socket, "/part/1/note", 60, 100)
        say(socket, "/patch/save", 1, "mine")
        say(socket, "/part/1/pan", 0.5)  # not saved: it comes after
        say(socket, "/patch/save", 1, "yours")
        say(socket, "/part/77/pan", 0)
        say(socket, "/sync", 1)
        say(socket, "/part/1/note", 60, 0)
        say(socket, "/panic")
        heard: list[object] = []
        wait_until(lambda: heard.extend(instrument.events()) or AllSoundOff(0, 16) in heard)
        assert not saved and instrument.desk.settings(1).pan == 0
        with instrument.socket() as other:  # another page is not kept waiting
            say(other, "/sync", 2)
            assert told(other, "reply") == ["/synced", [2]]
        assert told(socket, "error")[0] == "/part/77/pan"
        disk.set()
        assert [told(socket, "reply")[0] for _ in range(3)] == [
            *("/patch/save.reply", "/patch/save.reply", "/synced")
        ]
        assert saved == [("mine", 0), ("yours", 0.5)]
        # And what it has had saved is saved when it is gone.
        disk.clear()
        say(socket, "/patch/save", 1, "his")
        say(socket, "/patch/save", 1, "hers")
    disk.set()
    wait_until(lambda: [name for name, _ in saved] == ["mine", "yours", "his", "hers"])


def midi_file(
    *notes: tuple[float, int], channel: int = 0, says: Sequence[mido.Message] = ()
) -> bytes:
    """A MIDI file of notes (seconds, key), each half a second long; says: comes before them."""
    track = mido.MidiTrack(says)
    events = [(s, key, 100) for s, key in notes] + [(s + 0.5, key, 0) for s, key in notes]
    before = 0.0
    for seconds, key, velocity in sorted(events):
        ticks = round((seconds - before) * 960)
        track.append(
            mido.Message("note_on", note=key, velocity=velocity, channel=channel, time=ticks)
        )
        before = seconds
    out = io.BytesIO()
    mido.MidiFile(ticks_per_beat=480, tracks=[track]).save(file=out)
    return out.getvalue()


def test_a_midi_file_is_played_in_time(instrument: Instrument) -> None:
    rate = instrument.clock.rate
    content = midi_file((0.0, 60), (0.1, 64), (0.3, 67))
    with instrument.socket() as socket:
        told(socket, "hello")
        instrument.go_on()
        assert instrument.send("POST", "/song?name=three.mid", content) == (
            200,
            {"notes": 3, "drums": 0},
        )
        song = told(socket, "song")
        assert (song["name"], song["seconds"]) == ("three.mid", pytest.approx(0.8, abs=1e-3))
        taken: list[Event] = []

        def played() -> bool:
            instrument.go_on()
            taken.extend(instrument.inbox.take_until(instrument.clock.now()))
            return len(taken) >= 6

        wait_until(played)
        first = taken[0].time
        assert [(type(e), e.key, round((e.time - first) / rate, 2)) for e in taken] == [
            (NoteOn, 60, 0.0),
            (NoteOn, 64, 0.1),
            (NoteOn, 67, 0.3),
            (NoteOff, 60, 0.5),
            (NoteOff, 64, 0.6),
            (NoteOff, 67, 0.8),
        ]
        wait_until(lambda: instrument.go_on(socket) is None)


def test_a_song_stops_when_asked_or_at_a_panic(instrument: Instrument) -> None:
    pedals = [mido.Message("control_change", control=pedal, value=127) for pedal in PEDALS]
    content = midi_file((0.0, 60), (100.0, 64), says=pedals)
    with instrument.socket() as socket:
        told(socket, "hello")
        for stop in (
            lambda: instrument.send("DELETE", "/song"),
            lambda: instrument.inbox.panic(instrument.clock.now()),  # as OSC would
        ):
            instrument.go_on()
            instrument.send("POST", "/song?name=long.mid", content)
            assert told(socket, "song")["name"] == "long.mid"
            wait_until(lambda: instrument.go_on() or instrument.inbox.take_until(2**40))
            stop()
            assert told(socket, "song") is None
            taken = instrument.inbox.take_until(2**40)
            assert not any(isinstance(event, NoteOn) for event in taken)
            if AllSoundOff not in map(type, taken):
                lifted = [e.number for e in taken if isinstance(e, Pedal) and not e.down]
                assert lifted == list(PEDALS)


def test_the_desk_stands_as_before_when_a_song_has_ended(instrument: Instrument) -> None:
    desk = instrument.desk
    desk.patch(2, "organ")
    desk.pan(1, -1)
    before = desk.parts()
    says = [
        mido.Message("program_change", program=desk.book.patch("organ").program or 0),
        mido.Message("control_change", control=10, value=127),
        mido.Message("control_change", control=7, value=20),
        mido.Message("pitchwheel", pitch=8191),
        mido.Message("control_change", channel=1, control=7, value=1),
        # An MPE zone of three members.
        *(mido.Message("control_change", control=c, value=v) for c, v in ((101, 0), (100, 6))),
        mido.Message("control_change", control=6, value=3),
    ]
    with instrument.socket() as socket:
        told(socket, "hello")
        for ends in (False, True):
            instrument.go_on()
            content = midi_file((0.0, 60), (0.2 if ends else 100.0, 64), says=says)
            instrument.send("POST", "/song?name=loud.mid", content)
            assert told(socket, "song")["name"] == "loud.mid"
            wait_until(lambda: instrument.go_on() or desk.zones.members(1))
            assert desk.parts() != before and desk.settings(1).volume == 20
            if ends:
                # As a hand on the mixer; through the zone it would reach its members, too.
                desk.turn(1, None, lambda s: replace(s, volume=99), alone=True)
            else:
                instrument.send("DELETE", "/song")

            def ended(socket: ClientConnection = socket) -> bool:
                song = instrument.go_on(socket)
                assert not song or song["name"] == "loud.mid"
                return song is None

            wait_until(ended)
            assert desk.settings(1).volume == (99 if ends else 100)
            desk.turn(1, None, lambda s: replace(s, volume=100), alone=True)
            assert desk.parts() == before and not desk.zones.members(1)


def test_a_song_that_the_servers_end_cuts_off_leaves_the_desk_as_before(
    instrument: Instrument,
) -> None:
    before = instrument.desk.settings(1)
    says = [mido.Message("control_change", control=7, value=20)]
    instrument.go_on()
    instrument.send("POST", "/song?name=long.mid", midi_file((0.0, 60), (100.0, 64), says=says))
    wait_until(lambda: instrument.go_on() or instrument.desk.settings(1).volume == 20)
    instrument.server.close()
    assert instrument.desk.settings(1) == before


def test_a_song_that_fades_out_leaves_no_part_silent(instrument: Instrument) -> None:
    track = mido.MidiTrack(
        [
            mido.Message("note_on", note=60, velocity=64),
            mido.Message("sysex", data=bytes.fromhex("7f7f04010000")),
            mido.Message("note_off", note=60, time=480),
        ]
    )
    written = io.BytesIO()
    mido.MidiFile(tracks=[track]).save(file=written)
    with instrument.socket() as socket:
        told(socket, "hello")
        instrument.go_on()
        instrument.send("POST", "/song?name=fade.mid", written.getvalue())
        told(socket, "song")
        wait_until(lambda: instrument.go_on(socket) is None)
    levels = [e for e in instrument.inbox.take_until(2**40) if isinstance(e, Level)]
    levels = [event.gain_db for event in levels if event.part == 1]
    assert levels[0] == -math.inf and levels[-1] == 0.0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"MThd nonsense", "x.mid: not a MIDI file of type 0 or 1"),
        (b"", "x.mid: not a MIDI file of type 0 or 1"),
        (midi_file((0.0, 60), channel=9), "x.mid: no note to play but drums"),
        (bytes(4 * 2**20 + 1), "expected a file of at most 4 MiB"),
    ],
)
def test_what_is_no_song_is_refused(instrument: Instrument, content: bytes, reason: str) -> None:
    status, said = instrument.send("POST", "/song?name=x.mid", content)
    assert status == 400 and said["error"].startswith(reason)


@pytest.mark.parametrize(
    ("query", "content", "reason"),
    [
        ("name=a/b&file=x.wav", b"RIFF", "patch name 'a/b'"),
        ("name=organ&file=x.wav", b"RIFF", "organ: that patch exists; take another name"),
        ("name=new&file=x.wav", b"", "'x.wav': the recording is empty"),
        ("name=new&file=x.wav&voices=all", b"RIFF", "voices: expected one or several"),
        ("name=new&file=x.wav&score=-1", b"RIFF", "score: expected a whole number"),
        ("name=new&file=x.wav&score=x", b"RIFF", "invalid literal"),
        ("name=new&file=x.wav", bytes(64 * 2**20 + 1), "expected a file of at most 64 MiB"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    instrument: Instrument, query: str, content: bytes, reason: str
) -> None:
    status, said = instrument.send("POST", f"/fit?{query}", content)
    assert status == 400 and said["error"].startswith(reason)
    assert instrument.get("/fit/comparison.wav")[0] == 404
    other = {"Origin": "http://example.org"}
    assert instrument.send("POST", "/fit?name=new", b"RIFF", **other)[0] == 403


def test_one_recording_is_fitted_at_a_time(instrument: Instrument) -> None:
    sound, answers = bytes(20_000_000), []

    def begin(name: str) -> None:
        answers.append(instrument.send("POST", f"/fit?name={name}&file=a.wav&score=4", sound))

    both = [threading.Thread(target=begin, args=(name,)) for name in ("mine", "yours")]
    for one in both:
        one.start()
    for one in both:
        one.join()
    instrument.send("DELETE", "/fit")
    (good, _), (bad, said) = sorted(answers, key=lambda answer: answer[0])
    assert (good, bad) == (200, 400) and said["error"].startswith("another recording is being")


def test_points_of_the_timbre_space_are_measured(instrument: Instrument) -> None:
    points = [[x / 4, -x / 4] for x in range(20)]
    status, told = instrument.send("POST", "/measure", json.dumps(points).encode())
    assert status == 200
    assert len(told["brightness"]) == len(told["loudness"]) == 20
    assert all(20 < hertz < instrument.clock.rate / 2 for hertz in told["brightness"])
    # One by one they are the same as together.
    again = instrument.send("POST", "/measure", json.dumps(points[-1:]).encode())[1]
    assert again["loudness"] == pytest.approx(told["loudness"][-1:], abs=1e-3)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ("[", "Expecting value"),
        ("[[0, 0], [0]]", "points: expected lists of 2 numbers"),
        ("[[0, NaN]]", "points: expected numbers that are finite"),
        ('[[0, "1"]]', "points: expected numbers that are finite"),
        ("{}", f"points: expected a list of 1 to {MOST_POINTS}"),
        ("[" * 60_000, "maximum recursion"),
    ],
)
def test_what_are_no_points_is_refused(instrument: Instrument, points: str, reason: str) -> None:
    status, told = instrument.send("POST", "/measure", points.encode())
    assert status == 400 and told["error"].startswith(reason)


def test_another_site_cannot_play_a_song(instrument: Instrument) -> None:
    other = {"Origin": "http://example.org"}
    assert instrument.send("POST", "/song", midi_file((0.0, 60)), **other)[0] == 403


def test_panic_goes_through(instrument: Instrument) -> None:
    with instrument.socket() as socket:
        say(socket, "/panic")
        say(socket, "/sync", 1)
        told(socket, "reply")
    assert sum(isinstance(event, AllSoundOff) for event in instrument.events()) == 16


def test_sound_comes_block_by_block_and_silence_costs_nothing(instrument: Instrument) -> None:
    hop = instrument.hop
    with instrument.socket("sound") as socket:
        wait_until(lambda: instrument.tap.watchers)
        sound = np.full((hop, 2), [0.5, -0.25], np.float32)
        for start, block in enumerate([sound * 0, sound * 0, sound, sound, sound * 0, sound * 0]):
            instrument.tap.put(start * hop, block, [], {})
        got = [socket.recv(PATIENCE_S) for _ in range(3)]
    starts = [np.frombuffer(message[:8], "<f8")[0] for message in got]
    assert starts == [2 * hop, 3 * hop, 4 * hop] and len(got[2]) == 8
    samples = np.frombuffer(got[0][8:], "<i2").reshape(-1, 2) / 32768
    assert samples.shape == (hop, 2)
    np.testing.assert_allclose(samples[0], [0.5, -0.25], atol=1e-4)


def test_a_page_that_reads_nothing_misses_sound_and_delays_nobody(instrument: Instrument) -> None:
    hop, noise = instrument.hop, np.random.default_rng(1).uniform(-1, 1, (instrument.hop, 2))
    block = noise.astype(np.float32)
    with socket.create_connection(("127.0.0.1", instrument.port)) as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.sendall(
            f"GET /sound HTTP/1.1\r\nHost: 127.0.0.1:{instrument.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        with instrument.socket() as other:
            wait_until(lambda: instrument.tap.watchers >= 2)
            start = 0
            while not instrument.application.dropped:
                for _ in range(64):
                    instrument.tap.put(start, block, [], {})
                    start += hop
                say(other, "/sync", start)
                assert told(other, "reply") == ["/synced", [start]]
                assert start < 200_000 * hop, "nothing was dropped"


def test_there_are_not_more_pages_than_can_be_served(instrument: Instrument) -> None:
    with ExitStack() as stack:
        for _ in range(MOST_PAGES):
            stack.enter_context(instrument.socket())
        with pytest.raises(InvalidStatus):
            instrument.socket()


@pytest.mark.parametrize(
    "headers, problem",
    [
        ({"Host": "evil.example"}, "host"),
        ({"Host": "127.0.0.1.evil.example"}, "host"),
        ({"Origin": "http://evil.example"}, "origin"),
        ({"Origin": "null"}, "origin"),
    ],
)
def test_other_sites_are_refused(instrument: Instrument, headers: dict, problem: str) -> None:
    status, said, _ = instrument.get(**headers)
    assert status == 403 and said.startswith(problem)
    if "Origin" in headers:
        with pytest.raises(InvalidStatus):
            instrument.socket(origin=headers["Origin"])


def test_its_own_page_is_served_and_nothing_beside_it(instrument: Instrument) -> None:
    status, said, headers = instrument.get(Host=f"localhost:{instrument.port}")
    assert status == 200 and "<title>melstream</title>" in said
    assert "default-src 'self'" in headers["content-security-policy"]
    assert instrument.get(Host=f"127.0.1.1:{instrument.port}")[0] == 200
    assert instrument.get("/../app.py")[0] == 404 and instrument.get("/%2e%2e/app.py")[0] == 404


def test_a_wider_address_needs_its_token(toy_bank: Path) -> None:
    instrument = Instrument(toy_bank, "0.0.0.0")
    try:
        token = instrument.server.bound.token
        assert instrument.get()[0] == 403 and instrument.get("/?token=wrong")[0] == 403
        with pytest.raises(InvalidStatus):
            instrument.socket()
        status, _, headers = instrument.get(f"/?token={token}")
        assert (status, headers["location"]) == (303, "/")
        cookie = headers["set-cookie"].partition(";")[0]
        assert all(word in headers["set-cookie"] for word in ("HttpOnly", "SameSite=strict"))
        assert instrument.get(Cookie=cookie, Host="studio.local:8000")[0] == 200
        assert instrument.get(Cookie="melstream=wrong")[0] == 403
        # Cookies go to every port of a host: others may be of any form.
        assert instrument.get(Cookie=f'others={{"a": 1}}; {cookie}')[0] == 200
        with instrument.socket(additional_headers={"Cookie": cookie}) as socket_:
            told(socket_, "hello")
    finally:
        instrument.server.close()


def test_programs_read_the_counters(instrument: Instrument) -> None:
    status, said, headers = instrument.get("/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "melstream_load 0.5" in said.splitlines()
    assert "melstream_latency_samples 480" in said.splitlines()  # a gauge
    assert instrument.get("/metrics", Host="example.org")[0] == 403


def test_programs_keep_their_token_in_the_address(toy_bank: Path) -> None:
    instrument = Instrument(toy_bank, "0.0.0.0")
    try:
        token = instrument.server.bound.token
        assert instrument.get("/metrics")[0] == 403
        assert "melstream_load" in instrument.get(f"/metrics?token={token}")[1]
    finally:
        instrument.server.close()
