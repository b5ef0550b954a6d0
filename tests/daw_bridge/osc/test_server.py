"""The OSC server over real UDP: python-osc's and liblo's senders, noise, and replies."""

from __future__ import annotations

import random
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.udp_client import SimpleUDPClient

from common.patch import Patch
from daw_bridge.clock import AudioClock
from daw_bridge.desk.desk import Desk
from daw_bridge.events import AllSoundOff, NoteOff, NoteOn, Pedal
from daw_bridge.osc.holders import CLOSED_S, LASTING_S, Holders
from daw_bridge.osc.replies import BUNDLE_BYTES
from daw_bridge.osc.server import OscServer
from tests.alone import own_port
from tests.waiting import PATIENCE_S, wait_until

RATE = 16_000
END = 10**9


@pytest.fixture
def clock() -> AudioClock:
    clock = AudioClock(RATE)
    clock.tick(0, time.perf_counter())
    return clock


@pytest.fixture
def status() -> dict:
    return {"underruns": 3, "vocoder": "spectral"}


@pytest.fixture
def server(book, inbox, clock, status):
    desk = Desk(book, inbox.post, clock.now)
    with OscServer(desk, inbox, clock, lambda: status, "0.1", port=0) as server:
        yield server


class Client:
    """A sender that hears the replies: python-osc writes, this socket sends."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect((host, port))

    def send(self, address: str, *args) -> None:
        self.socket.send(message(address, *args).dgram)

    def reply(self) -> tuple[str, list]:
        heard = OscMessage(self.socket.recv(65_535))
        return heard.address, heard.params

    def ask(self, address: str, *args) -> tuple[str, list]:
        self.send(address, *args)
        return self.reply()

    def sync(self) -> None:
        """Return when the server has taken all that was sent to it before."""
        assert self.ask("/sync", 7) == ("/synced", [7])


@pytest.fixture
def client(server):
    client = Client(server.port)
    yield client
    client.socket.close()


def message(address: str, *args) -> OscMessage:
    builder = OscMessageBuilder(address)
    for arg in args:
        builder.add_arg(arg)
    return builder.build()


def test_python_osc_plays_notes(server, client, inbox):
    player = SimpleUDPClient("127.0.0.1", server.port)
    player.send_message("/part/1/note", [60, 100])
    player.send_message("/part/1/note", [60.0, 0.0])
    player.send_message("/part/2/cc", [64, 127])
    client.sync()
    on, off, pedal = inbox.take_until(END)
    assert on == NoteOn(on.time, 1, 60, 100)
    assert off == NoteOff(off.time, 1, 60)
    assert pedal == Pedal(pedal.time, 2, 64, True)
    assert on.time <= off.time <= pedal.time


def test_who_asked_is_told_what_was_learnt(book, inbox, clock, status, tmp_path):
    folder = tmp_path / "folder"
    desk = Desk(book, inbox.post, clock.now, folder / "map.yaml")
    with OscServer(desk, inbox, clock, lambda: status, "0.1", port=0) as server:
        surface, player = Client(server.port), Client(server.port)
        assert surface.ask("/midi/learn", "breath", "channel/next", 2) == (
            "/midi/learn.reply",
            ["breath", "channel/next"],
        )
        for value in (1, 2):
            player.send("/part/9/cc", 21, value)
        assert surface.reply() == ("/midi/learnt", ["channel/9/21", "breath"])
        # A mistake of somebody else's leaves who waits as it was.
        surface.ask("/midi/learn", "pan")
        assert player.ask("/midi/learn", "bite")[0] == "/error"
        (folder / "map.yaml").unlink()
        folder.rmdir()
        folder.write_text("in the way")
        for value in (1, 2):
            player.send("/part/9/cc", 22, value)
        address, (of, problem) = surface.reply()
        assert (address, of) == ("/error", "/midi/learn") and str(folder) in problem
        assert surface.ask("/midi/learn") == ("/midi/learn.reply", ["", ""])


@pytest.mark.skipif(not shutil.which("oscsend"), reason="oscsend (liblo-tools) is not installed")
def test_liblo_plays_notes(server, client, inbox):
    for words in ("/part/3/note if 61 90.0", "/vkb_midi/3/note/61 i 0", "/mnote ff 62 70"):
        target = ["oscsend", "127.0.0.1", str(server.port)]
        subprocess.run([*target, *words.split()], check=True, timeout=PATIENCE_S)
    client.sync()
    heard = inbox.take_until(END)
    assert [type(event) for event in heard] == [NoteOn, NoteOff, NoteOn]
    assert [(e.part, e.key) for e in heard] == [(3, 61), (3, 61), (1, 62)]


@pytest.mark.skipif(
    not shutil.which("oscsendfile"), reason="oscsendfile (liblo-tools) is not installed"
)
def test_liblo_plays_bundles(server, client, inbox, tmp_path):
    score = tmp_path / "score.osc"
    score.write_text("00000000.00000000 /part/1/note ii 60 100\n00000000.10000000 /panic\n")
    target = f"osc.udp://127.0.0.1:{server.port}"
    subprocess.run(["oscsendfile", target, str(score)], check=True, timeout=PATIENCE_S)
    client.sync()
    assert server.malformed == server.refused == 0
    assert len(inbox.take_until(END)) == 16  # the panic outlived the note


def test_questions_are_answered_to_the_sender(client):
    assert client.ask("/patch/list") == ("/patch/list.reply", ["piano", "organ", "harp"])
    assert client.ask("/version") == ("/version.reply", ["0.1"])
    expected = ["underruns", 3, "vocoder", "spectral"]
    assert client.ask("/status") == ("/status.reply", expected)
    assert client.ask("/patch/save", 1, "mine") == ("/patch/save.reply", [1, "mine"])


def test_mistakes_are_answered_and_change_nothing(server, client, inbox):
    address, (about, text) = client.ask("/part/99/note", 60, 100)
    assert (address, about) == ("/error", "/part/99/note")
    assert text == "channel: expected a whole number from 1 to 16, got 99"
    assert client.ask("/part/1/note", "c4", 100)[1][1] == (
        "key: expected a whole number from 0 to 127, got 'c4'"
    )
    assert client.ask("/no/*/such")[0] == "/error"
    assert server.refused == 3
    assert inbox.take_until(END) == []


def test_an_unknown_type_is_answered_and_the_bundle_goes_on(server, client, inbox):
    builder = OscBundleBuilder(IMMEDIATELY)
    builder.add_content(message("/part/1/note", 60, 100))
    odd = OscMessageBuilder("/part/1/note")
    odd.add_arg((1, 2, 3, 4), "m")
    builder.add_content(odd.build())
    builder.add_content(message("/part/1/note", 61, 100))
    client.socket.send(builder.build().dgram)
    address, (about, text) = client.reply()
    assert (address, about) == ("/error", "/part/1/note") and "type 'm'" in text
    client.sync()
    assert [event.key for event in inbox.take_until(END)] == [60, 61]
    assert (server.malformed, server.refused) == (0, 1)


def test_settings_and_help_are_answered_to_the_sender(client):
    client.send("/part/3/pan", 0.5)
    assert client.ask("/part/3/pan") == ("/part/3/pan", [0.5])
    assert client.ask("/part/3/morph")[0] == "/error"
    address, lines = client.ask("/help", "/part/3/pan")
    assert address == "/help.reply" and "pan: number, -1 to 1" in lines
    assert "/part/<channel>/pan" in client.ask("/help")[1]


def test_errors_are_not_answered_with_errors(server, client):
    client.send("/error", "/x", "y")
    client.send("/status.reply", "load", 1)
    client.sync()
    assert server.refused == 2


def test_a_failing_status_is_told_and_survived(client, status):
    status["load"] = 10**30  # no OSC type holds it
    assert client.ask("/status")[0] == "/error"
    del status["load"]
    assert client.ask("/status")[0] == "/status.reply"


def test_a_list_too_long_for_a_datagram_comes_in_several(book, client):
    for k in range(5000):
        book.add(Patch(f"a-rather-long-name-{k}", (0.0, 0.0), {}))
    client.send("/patch/list")
    client.send("/sync", 1)
    names = []
    while (reply := client.reply()) != ("/synced", [1]):
        assert reply[0] == "/patch/list.reply"
        names += reply[1]
    assert names == book.names and len(names) == 5003


def test_notes_and_panic_do_not_wait_for_a_disk(book, client, inbox, monkeypatch):
    disk, save = threading.Event(), book.save

    def slow_save(*args, **values):
        assert disk.wait(PATIENCE_S)
        return save(*args, **values)

    monkeypatch.setattr(book, "save", slow_save)
    client.send("/patch/save", 1, "mine")
    client.send("/part/1/knob/breath", 0.75)  # not saved: it comes after
    client.send("/patch/save", 1, "yours")
    client.send("/part/1/patch", "mine")
    client.send("/part/77/patch", "mine")
    client.send("/part/1/note", 60, 100)
    client.send("/panic")
    other = Client(client.socket.getpeername()[1])
    other.sync()  # another sender is not kept waiting
    other.socket.close()
    assert [type(e) for e in inbox.take_until(END)] == [AllSoundOff] * 16
    client.send("/sync", 2)
    disk.set()
    answers = [client.reply() for _ in range(4)]
    assert answers[:2] == [("/patch/save.reply", [1, "mine"]), ("/patch/save.reply", [1, "yours"])]
    assert answers[2][1][0] == "/part/77/patch" and answers[3] == ("/synced", [2])
    assert (book.patch("mine").knobs["breath"], book.patch("yours").knobs["breath"]) == (0.5, 0.75)


def test_notes_do_not_wait_for_a_recall(book, inbox, clock, tmp_path, monkeypatch):
    desk = Desk(book, inbox.post, clock.now, snapshots=tmp_path)
    desk.pan(1, 0.25)
    desk.snapshots.save("set", desk.parts(), overwrite=False)
    disk, read = threading.Event(), desk.snapshots.read

    def slow_read(name):
        assert disk.wait(PATIENCE_S)
        return read(name)

    monkeypatch.setattr(desk.snapshots, "read", slow_read)
    # It changes no files, so a machine that may not change any may recall, too.
    host = own_address()
    with OscServer(desk, inbox, clock, dict, "0", host, port=0) as server:
        client = Client(server.port, host)
        client.send("/part/1/pan", -1)
        client.send("/desk/recall", "set")
        client.send("/part/1/gain_db", -6)
        client.send("/part/1/note", 60, 100)
        other = Client(server.port, host)
        other.sync()
        assert NoteOn in {type(event) for event in inbox.take_until(END)}
        assert desk.settings(1).pan == -1
        disk.set()
        assert client.reply() == ("/desk/recall.reply", ["set"])
        client.sync()
        for each in (client, other):
            each.socket.close()
    assert (desk.settings(1).pan, desk.settings(1).gain_db) == (0.25, -6)


def own_address() -> str:
    """An address of this machine that is no loopback one; skips where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no network")
        return probe.getsockname()[0]


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("both", [False, True], ids=["IPv4", "both"])
def test_other_machines_change_files_only_if_they_may(book, inbox, clock, trusted, both):
    host = own_address()
    desk = Desk(book, inbox.post, clock.now)
    if both and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    peers = (host,) if trusted else ()
    listens = "::" if both else host
    with OscServer(desk, inbox, clock, dict, "0", listens, port=0, peers=peers) as server:
        client = Client(server.port, host)
        address, values = client.ask("/patch/save", 1, "mine")
        assert client.ask("/part/1/pan") == ("/part/1/pan", [0.0])
        client.socket.close()
    assert (address == "/patch/save.reply") == trusted == ("mine" in book.names)
    assert trusted or values[1].endswith(f"--osc-peers {host}")


def test_a_bundle_from_elsewhere_is_answered_within_bounds(book, inbox, clock, status):
    host, desk = own_address(), Desk(book, inbox.post, clock.now)
    with OscServer(desk, inbox, clock, lambda: status, "0", host, port=0) as server:
        client = Client(server.port, host)
        builder = OscBundleBuilder(IMMEDIATELY)
        for _ in range(1000):
            builder.add_content(message("/status"))
        client.socket.send(builder.build().dgram)
        client.send("/version")
        size = 0
        while True:
            packet = client.socket.recv(65_535)
            if packet.startswith(b"/version"):
                break
            size += len(packet)
        client.socket.close()
        assert 0 < size <= BUNDLE_BYTES and server.withheld > 800


def test_a_future_bundle_waits_in_the_inbox_not_in_the_listener(client, inbox, clock):
    before = clock.samples_at(time.perf_counter() + 30)
    builder = OscBundleBuilder(time.time() + 30)
    builder.add_content(message("/part/1/note", 60, 100))
    builder.add_content(message("/part/1/note", 64, 100))
    client.socket.send(builder.build().dgram)
    client.send("/part/1/note", 72, 100)
    client.sync()  # answered although the bundle lies half a minute ahead
    after = clock.samples_at(time.perf_counter() + 30)
    prompt, low, high = inbox.take_until(END)
    assert [e.key for e in (prompt, low, high)] == [72, 60, 64]
    assert before - 1 <= low.time == high.time <= after + 1


def test_panic_clears_the_future(client, inbox):
    builder = OscBundleBuilder(time.time() + 30)
    builder.add_content(message("/part/1/note", 60, 100))
    client.socket.send(builder.build().dgram)
    client.send("/panic")
    client.sync()
    assert len(heard := inbox.take_until(END)) == 16
    assert not any(isinstance(event, NoteOn) for event in heard)


def test_a_burst_arrives_whole(client, inbox):
    for k in range(112):  # as many as a DAW sends when it loads a session
        client.send("/part/1/note", 60, 1 + k)
    client.sync()
    assert [event.velocity for event in inbox.take_until(END)] == list(range(1, 113))


def test_a_packet_of_60_kilobytes_is_taken(client, inbox):
    builder = OscBundleBuilder(IMMEDIATELY)
    for k in range(1900):
        builder.add_content(message("/part/1/note", 21 + k % 88, 100))
    packet = builder.build().dgram
    assert len(packet) > 60_000
    client.socket.send(packet)
    client.sync()
    assert len(inbox.take_until(END)) == 1900


GOOD = message("/part/1/note", 60, 100).dgram
NEGATIVE = b"#bundle\0" + struct.pack(">Qi", 1, -4)


@pytest.mark.parametrize(
    "packet", [b"\0", b"hello", NEGATIVE, GOOD[:-4], GOOD[:13], b"\xff" * 60_000, bytes(60_000)]
)
def test_malformed_packets_are_dropped_and_counted(server, client, inbox, packet):
    client.socket.send(packet)
    client.sync()
    assert server.malformed == 1
    assert inbox.take_until(END) == []


def test_noise_does_not_stop_the_music(server, client, inbox):
    draw = random.Random(5)
    for k in range(600):
        packet = bytearray(GOOD if k % 2 else NEGATIVE + struct.pack(">i", len(GOOD)) + GOOD)
        for _ in range(draw.randint(1, 3)):
            packet[draw.randrange(len(packet))] = draw.randrange(256)
        client.socket.send(packet)
        if k % 20 == 19:
            client.send("/sync", k)
            while client.reply() != ("/synced", [k]):  # /errors may come before it
                pass
    inbox.take_until(END)
    assert server.malformed > 100
    listener = Client(server.port)
    listener.send("/part/1/note", 60, 100)
    listener.sync()
    listener.socket.close()
    assert len(inbox.take_until(2 * END)) == 1


def test_a_sender_that_has_gone_does_no_harm(server, client):
    gone = Client(server.port)
    gone.send("/version")
    gone.socket.close()
    client.sync()
    # The reply that found nobody comes back as an error on the server's socket, if at all by now.
    client.send("/version")
    assert client.reply()[0] == "/version.reply"


def test_a_port_in_use_is_said_in_one_line(server, book, inbox, clock):
    desk = Desk(book, inbox.post, clock.now)
    with pytest.raises(OSError, match=rf"^OSC cannot listen on 127.0.0.1:{server.port}: .*in use"):
        OscServer(desk, inbox, clock, dict, "0", port=server.port)


@pytest.mark.parametrize(
    ("host", "port"), [("no.such.host.invalid", 9000), ("127.0.0.1", 70_000), ("127.0.0.1", -1)]
)
def test_a_bad_address_is_said_in_one_line(desk, inbox, clock, host, port):
    with pytest.raises(OSError, match=rf"^OSC cannot listen on {host}:{port}: .") as refused:
        OscServer(desk, inbox, clock, dict, "0", host, port)
    assert "\n" not in str(refused.value)


def test_a_closed_server_frees_its_port(desk, inbox, clock):
    port = own_port()
    for _ in range(2):
        with OscServer(desk, inbox, clock, dict, "0", port=port) as server:
            assert server.port == port


def test_keys_of_a_program_that_has_ended_are_released(book, inbox, clock, status):
    desk, now = Desk(book, inbox.post, clock.now), [0.0]
    holders = Holders(clock=lambda: now[0])
    with OscServer(desk, inbox, clock, lambda: status, "0.1", port=0, holders=holders) as server:
        player, other = Client(server.port), Client(server.port)
        player.send("/part/1/note", 60, 100)
        player.send("/vkb_midi/2/note/61", 100)
        player.send("/part/3/cc", 64, 127)
        player.sync()
        now[0] += LASTING_S + 1
        player.sync()
        player.socket.close()
        other.sync()
        assert len(inbox.take_until(END)) == 3 and not server.let_go
        now[0] += CLOSED_S + 1
        wait_until(lambda: other.sync() or server.let_go == 3)
        released = inbox.take_until(END + 1)
        other.socket.close()
    assert [type(event) for event in released] == [NoteOff, NoteOff, Pedal]
    assert [event.part for event in released] == [1, 2, 3]
