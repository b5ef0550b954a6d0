"""What is fuzzed: everything that reads bytes of others, each with inputs to begin with.

A target takes bytes. It may answer with the errors that its reader is allowed, a ValueError in one
line; anything else that it raises is a fault. `changed` makes new inputs of old ones, for a run
without coverage; run.py does the same with it.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import mido

from common.documents import fit, parsed_yaml
from common.window import KEYS
from daw_bridge.clock import AudioClock
from daw_bridge.commands.actions import Session
from daw_bridge.commands.console import Console
from daw_bridge.commands.table import COMMANDS
from daw_bridge.desk.desk import Desk
from daw_bridge.desk.learn import read_map
from daw_bridge.desk.snapshots import Snapshot
from daw_bridge.inbox import Inbox
from daw_bridge.midi.file import midi_messages
from daw_bridge.midi.messages import MidiTranslator
from daw_bridge.midi.stream import Hands, whole_messages
from daw_bridge.osc.addresses import Addresses
from daw_bridge.osc.packet import encode, messages
from daw_bridge.windows import Windows
from page.app import command_of
from page.measured import Gauge
from player.flags import DEFAULT_BANK
from synth.bank.bank import load_bank
from synth.bank.bank_file import check_bank_content
from synth.bank.patch_file import parsed_patch

DRAINED_EVERY = 256
"""Inputs after which what waits in the inbox is taken out, as the renderer would."""

Target = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """make: the target, given a folder for its files. seeds: inputs to begin with. share: of all
    inputs of a run; what reads quickly gets the most. longest: bytes of an input."""

    make: Callable[[Path], Target]
    seeds: Callable[[], Sequence[bytes]]
    share: float
    longest: int = 4_096


def allowed(read: Callable[[bytes], object]) -> Target:
    """A target that may raise ValueError, in one line."""

    def target(data: bytes) -> None:
        try:
            read(data)
        except ValueError as error:
            text = str(error)
            assert text and "\n" not in text and len(text) < 20_000, repr(text)[:500]

    return target


def changed(seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """A new input: a seed with a few bytes changed, cut out, repeated or taken from another."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(data))
        match rng.randint(0, 5):
            case 0:
                data[at : at + 1] = bytes([rng.randint(0, 255)])
            case 1:
                data[at:at] = rng.randbytes(rng.randint(1, 8))
            case 2:
                del data[at : at + rng.randint(1, 8)]
            case 3:
                other = rng.choice(seeds)
                start = rng.randint(0, len(other))
                data[at:at] = other[start : start + rng.randint(1, 64)]
            case 4:
                data[at : at + 4] = struct.pack(">i", rng.choice((-1, 0, 1, 2**31 - 1, -(2**31))))
            case _:
                data[at:at] = data[at : at + rng.randint(1, 16)] * rng.randint(1, 8)
    return bytes(data)


def _text(read: Callable[[str], object]) -> Target:
    return allowed(lambda data: read(data.decode(errors="surrogateescape")))


def _session(folder: Path) -> tuple[Session, AudioClock]:
    """A desk of the default bank, whose files lie in the folder."""
    bank = load_bank(DEFAULT_BANK, folder / "patches")
    inbox, clock = Inbox(hop=bank.analysis.hop), AudioClock(bank.analysis.rate)
    clock.tick(0, 0.0)
    desk = Desk(bank, inbox.post, lambda: 0, folder / "map.yaml", folder / "desks")
    return Session(desk, inbox, dict, "0"), clock


def _osc(folder: Path) -> Target:
    """Packets, as the server takes them: each message may be refused."""
    session, clock = _session(folder)
    addresses, seen = Addresses(session, clock), 0

    def read(data: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen % DRAINED_EVERY == 0:
            session.inbox.take_until(2**62)
        for message in addresses.spread(messages(data)):
            allowed(lambda _, message=message: addresses.act(message, 0))(b"")

    return allowed(read)


def _page(folder: Path) -> Target:
    """Messages of a page's socket."""
    session, _ = _session(folder)
    console, seen = Console(session), 0

    def read(text: str) -> None:
        nonlocal seen
        seen += 1
        if seen % DRAINED_EVERY == 0:
            session.inbox.take_until(2**62)
        address, *arguments = command_of(text)
        answer = console.run(console.read(address, arguments), 0)
        json.dumps(answer)

    return _text(read)


def _midi(folder: Path) -> Target:
    """What a port delivers at once; nothing may be raised."""
    session, _ = _session(folder)
    translator, seen = MidiTranslator(session.desk, session.inbox.post, lambda line: None), 0

    def target(data: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen % DRAINED_EVERY == 0:
            session.inbox.take_until(2**62)
        for message in whole_messages(list(data)):
            translator.hear_bytes(message, 0)

    return target


def _midi_ports(folder: Path) -> Target:
    """All that a port delivers until it is unplugged, in pieces that begin with their length: no
    key may sound after that."""
    session, _ = _session(folder)
    bank = load_bank(DEFAULT_BANK, None)
    translator = MidiTranslator(session.desk, session.inbox.post, lambda line: None)
    windows, frame = Windows(bank.analysis.hop, bank.point(bank.names[0])), 0

    def target(data: bytes) -> None:
        nonlocal frame
        hands, rest = Hands(), data
        while rest:
            size = rest[0] + 1
            piece, rest = list(rest[1:size]), rest[size:]
            for message in whole_messages(piece):
                hands.note(message)
                translator.hear_bytes(message, 0)
        for message in hands.let_go():
            translator.hear_bytes(message, 0)
        windows.frames(session.inbox.take_until((frame + 1) * bank.analysis.hop), frame, 1)
        frame += 2
        for window in windows.frames([], frame - 1, 1):
            assert not window.roll[:, :KEYS].any(), f"a key of part {window.part} sounds on"

    return target


def _map(folder: Path) -> Target:
    path = folder / "map.yaml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        read_map(path)

    return allowed(read)


def _measure(folder: Path) -> Target:
    """Bodies of /measure."""
    bank = load_bank(DEFAULT_BANK, None)
    gauge = Gauge(bank.mel2mel(), bank.more)
    gauge.measure([[0.0, 0.0]])  # what is compiled now takes no input's time

    def read(data: bytes) -> None:
        try:
            points = json.loads(data)
        except RecursionError:  # which the page answers, too
            return
        gauge.measure(points)

    return allowed(read)


def _osc_seeds() -> list[bytes]:
    packets = []
    for command in COMMANDS:
        parts = ("1" if word.startswith("<") else word for word in command.address.split("/"))
        address = "/".join(parts)
        for arguments in ((), (1,), (60, 100), (0.5,), ("trumpet",), ("a", "b", 0.5), (1, "mine")):
            packets.append(encode(address, *arguments))
    for address in ("/part/*/note", "/part/[1-3]/pan", "/part/{1,2}/gain_db"):
        packets.append(encode(address, 60, 0))
    pair = packets[0], packets[-1]
    bundle = b"#bundle\0" + struct.pack(">Q", 1)
    bundle += b"".join(struct.pack(">i", len(packet)) + packet for packet in pair)
    return [*packets, bundle, b"#bundle\0" + bytes(8) + struct.pack(">i", len(bundle)) + bundle]


def _page_seeds() -> list[bytes]:
    said = []
    for command in COMMANDS:
        parts = ("1" if word.startswith("<") else word for word in command.address.split("/"))
        for arguments in ((), (1,), (60, 100), (0.5,), ("trumpet",), ("a", "b", 0.5)):
            said.append(json.dumps(["/".join(parts), *arguments]).encode())
    return said


def _midi_seeds() -> list[bytes]:
    kinds = [bytes([status | 2, 64, 100]) for status in range(0x80, 0xF0, 0x10)]
    kinds += [bytes([0xB0, number, value]) for number in range(128) for value in (0, 64, 127)]
    others = "f07e7f0901f7 f04110421240007f0041f7 f043104c00007e00f7 f00102803c00 e0 e000 f2 f8"
    kinds += [bytes.fromhex(text) for text in others.split()]
    return kinds


def _port_seeds() -> list[bytes]:
    messages = _midi_seeds()
    keys = [bytes([0x90 | n % 16, 40 + n % 48, 1 + n % 127]) for n in range(300)]
    pedals = [bytes([0xB0, number, 127]) for number in (64, 66, 67)]
    takes = (keys, [*keys[:20], *pedals, *keys[20:40]], [*keys[:30], *messages, *keys[30:60]])
    return [b"".join(bytes([len(m)]) + m for m in take) for take in takes]


def _song_seeds() -> list[bytes]:
    songs = []
    for kind, ticks in ((0, 96), (1, 480), (1, 32_767)):
        track = mido.MidiTrack(
            [
                mido.MetaMessage("set_tempo", tempo=400_000),
                mido.MetaMessage("track_name", name="one"),
                mido.Message("program_change", program=19),
                mido.Message("note_on", note=60, velocity=80, time=10),
                mido.Message("control_change", control=64, value=127),
                mido.Message("sysex", data=(0x7E, 0x7F, 9, 1)),
                mido.Message("note_off", note=60, time=300),
            ]
        )
        file = BytesIO()
        mido.MidiFile(type=kind, ticks_per_beat=ticks, tracks=[track] * (1 + kind)).save(file=file)
        songs.append(file.getvalue())
    riff = b"RIFF" + struct.pack("<I", len(songs[0]) + 12) + b"RMIDdata"
    return [*songs, riff + struct.pack("<I", len(songs[0])) + songs[0]]


def _patch_seeds() -> list[bytes]:
    files = sorted(DEFAULT_BANK.glob("*.yaml"))
    return [path.read_bytes() for path in files if path.stem != "bank"]


def _desk_seeds() -> list[bytes]:
    part = "{patch: trumpet, towards: harp, embedding: [0.5, 0.1], knobs: {brightness: 0.5}, "
    part += "gain_db: -3.0, pan: 0.0, morph: null, volume: 100, expression: 127, bend_range: 2.0, "
    part += "muted: false, soloed: true}"
    return [f"parts:\n  1: {part}\n  16: {part}\n".encode()]


TARGETS = {
    "osc packets": Fuzzed(lambda _: allowed(messages), _osc_seeds, 0.34, 512),
    "osc commands": Fuzzed(_osc, _osc_seeds, 0.15, 256),
    "midi messages": Fuzzed(_midi, _midi_seeds, 0.2, 64),
    "midi ports": Fuzzed(_midi_ports, _port_seeds, 0.05),
    "midi files": Fuzzed(
        lambda _: allowed(lambda data: midi_messages(data, "song.mid")), _song_seeds, 0.1
    ),
    "page messages": Fuzzed(_page, _page_seeds, 0.1, 512),
    "page measures": Fuzzed(
        _measure, lambda: [b"[[0.1, 0.2]]", b"[[1e3, -5], [0, 0]]", b'{"a": [1]}'], 0.01
    ),
    "patches": Fuzzed(
        lambda _: _text(lambda text: parsed_patch("mine", text, 2, ("brightness",))),
        _patch_seeds,
        0.02,
    ),
    "banks": Fuzzed(
        lambda _: _text(
            lambda text: check_bank_content("bank.yaml", parsed_yaml("bank.yaml", text))
        ),
        lambda: [(DEFAULT_BANK / "bank.yaml").read_bytes()],
        0.01,
    ),
    "desks": Fuzzed(
        lambda _: _text(lambda text: fit("desk", parsed_yaml("desk", text), Snapshot)),
        _desk_seeds,
        0.01,
    ),
    "midi maps": Fuzzed(
        _map, lambda: [b"21: brightness\n22: timbre/0\nnrpn 300: pan\n", b"{}", b"[1]"], 0.01
    ),
}
