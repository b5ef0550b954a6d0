"""`--check`: is this machine ready for a show, with these flags? If not, what is to be changed.

Everything is tried for real: the bank is loaded, the device opened and played silence for half a
second, the ports bound, and chords rendered on one, four and sixteen parts.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import numpy as np

from common.checks import listed, printable
from common.jack.link import JackLink, jack_link
from common.threads import RENDERER, be_scheduled, go_before_others, scheduling
from daw_bridge.events import NoteOn
from daw_bridge.midi.inputs import midi_inputs
from daw_bridge.windows import Windows
from player.flags import LiveFlags
from player.overload import BUSY
from synth.bank.bank import Bank, load_bank
from synth.compiling import compiling_shown
from synth.instrument import Instrument, make_instrument
from synth.output.choice import JACK, open_sink, quiet_libraries

PARTS = (1, 4, 16)
LEAST_PARTS = 4
"""What a machine should play; for more, it is only told."""
FASTER = "end other programs, raise --buffer, or take --vocoder spectral"
CHORD = (48, 55, 64, 72)
BLOCKS, FIRST = 125, 25
"""Blocks that are rendered for each number of parts, and the first ones, which do not count."""
SILENCE_S = 0.5
SLOWEST = 0.02
"""The share of blocks that may take longer than they last."""
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
RTPRIO = (
    "let your user have it: a line '@audio - rtprio 95' in /etc/security/limits.d/audio.conf, your "
    "user in the group audio, then log in again (as root: usermod -aG audio NAME)"
)


def _print(line: str) -> None:
    print(line, flush=True)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried. text: what was found; change: what to do about it, "" if all is
    well."""

    name: str
    text: str
    change: str = ""

    def line(self) -> str:
        """For a terminal, in one line or two."""
        first = f"{'CHANGE' if self.change else 'ok':<7}{self.name:<9}{printable(self.text)}"
        return f"{first}\n{'':<16}{self.change}" if self.change else first


def check(flags: LiveFlags, say: Callable[[str], object] = _print) -> bool:
    """Try it all, saying each thing as it is found. Whether nothing is to be changed."""
    ready, way = True, scheduling()
    try:
        for finding in _findings(flags):
            say(finding.line())
            ready &= not finding.change
    finally:
        be_scheduled(way)
    say("ready for a show" if ready else "not ready: see the lines that begin with CHANGE")
    return ready


def _findings(flags: LiveFlags) -> Iterator[Finding]:
    bank: Bank | None = None
    try:
        bank = load_bank(flags.bank, flags.patches_path())
        if flags.patch is not None:
            bank.patch(flags.patch)
        yield Finding("bank", f"{bank.path}: {listed(bank.names)}")
    except (ValueError, OSError) as error:
        yield Finding("bank", str(error), "name another with --bank, or mend this one")
    missing = flags.without()
    if missing:
        yield Finding("files", f"nothing is kept of {', '.join(missing)}", "make it writable")
    else:
        yield Finding("files", "patches, the desk and learnt controllers can be saved")
    yield from _ports(flags)
    yield from _devices(flags, bank)
    first = go_before_others(RENDERER)
    yield Finding("priority", *(("real-time",) if first else ("that of any program", RTPRIO)))
    yield from _governor()
    if bank:
        yield from _speed(flags, bank)


def _ports(flags: LiveFlags) -> Iterator[Finding]:
    page = None if flags.http == "auto" else _address(flags)
    for name, flag, kind, asked in (
        ("osc", "--osc", socket.SOCK_DGRAM, flags.osc_address()),
        ("page", "--http", socket.SOCK_STREAM, page),
    ):
        if asked is None:
            continue
        try:
            family, *_, address = socket.getaddrinfo(*asked, type=kind)[0]
            with socket.socket(family, kind) as probe:
                probe.bind(address)
            yield Finding(name, f"{asked[0]}:{asked[1]} is free")
        except OSError as error:
            reason = f"{asked[0]}:{asked[1]}: {error.strerror or error}"
            yield Finding(name, reason, f"end what uses it, or name another with {flag}")


def _address(flags: LiveFlags) -> tuple[str, int] | None:
    address = flags.http_address()
    return (address.host, address.port) if address else None


def _devices(flags: LiveFlags, bank: Bank | None) -> Iterator[Finding]:
    """MIDI, and the sound if there is a bank; both may be members of JACK."""
    ports = flags.midi_ports()
    link = jack_link() if flags.audio in ("auto", JACK) or ports != ("none",) else None
    with ExitStack() as stack:
        if link:
            stack.callback(link.close)
        try:
            with quiet_libraries():
                midi = midi_inputs(ports, lambda data, time: None, lambda ahead: 0, link)
                stack.callback(midi.close)
                if link:
                    link.start()
                midi.start()
            text = midi.summary
            lacking = ports != ("none",) and (midi.waiting or not midi.names)
            change = "connect a keyboard, or say --midi none" if lacking else ""
            yield Finding("midi", text, change)
        except (ValueError, OSError) as error:
            yield Finding("midi", str(error), "plug it in, or name another with --midi")
        if bank:
            yield _sound(flags, bank, link)


def _sound(flags: LiveFlags, bank: Bank, link: JackLink | None) -> Finding:
    rate, hop = bank.analysis.rate, bank.analysis.hop
    silent = np.zeros((hop, 2), np.float32)
    try:
        sink, found = open_sink(flags.audio, rate, flags.buffer_ms, None, link)
        with sink:
            text = f"{found}{sink.describe()}"
            for _ in range(round(SILENCE_S * rate / hop)):
                if not sink.write(silent):
                    break
            fault, gaps, device = sink.fault, sink.underruns, sink.is_device
    except (ValueError, OSError) as error:
        return Finding("sound", str(error), "see --list-devices, and name another with --audio")
    if fault:
        return Finding("sound", f"{text}; {fault}", "name another device with --audio")
    if not device and flags.audio != "none":
        return Finding("sound", text, "connect a device; without one only the page is heard")
    if gaps > 1:  # the first may come from opening it
        return Finding("sound", f"{text}; {gaps} gaps in silence", "raise --buffer")
    return Finding("sound", text)


def _governor() -> Iterator[Finding]:
    with suppress(OSError):
        governor = GOVERNOR.read_text().strip()
        change = "cpupower frequency-set -g performance" if governor == "powersave" else ""
        yield Finding("clock", f"the processor's governor is {governor}", change)


def _speed(flags: LiveFlags, bank: Bank) -> Iterator[Finding]:
    try:
        with compiling_shown():
            instrument = make_instrument(bank, flags.vocoder, flags.sampler, flags.low_latency)
            _loads(instrument, flags.lookahead, 6)
    except ValueError as error:
        yield Finding("vocoder", str(error), "choose another with --vocoder")
        return
    yield Finding("vocoder", instrument.reason)
    for parts in PARTS:
        loads = _loads(instrument, flags.lookahead, parts)
        usual, slow = median(loads), sum(load > 1 for load in loads) / len(loads)
        text = f"{parts} parts: {usual:.0%} of the time (1 block in 50: {_worst(loads):.0%})"
        too_slow = usual > BUSY or slow > SLOWEST
        if too_slow and parts > LEAST_PARTS:
            text += "; of so many, those that are heard least will fall silent"
        yield Finding("speed", text, FASTER if too_slow and parts <= LEAST_PARTS else "")
        if too_slow:
            return


def _worst(loads: list[float]) -> float:
    return quantiles(loads, n=50)[-1]


def _loads(instrument: Instrument, lookahead: int, parts: int) -> list[float]:
    """How long blocks of one frame take, over how long they last, with a chord on each part."""
    bank = instrument.bank
    engine = instrument.engine(lookahead)
    windows = Windows(engine.hop, bank.point(bank.names[0]))
    block_s, loads = engine.hop / bank.analysis.rate, []
    for block in range(BLOCKS):
        start = block * engine.hop
        struck = range(1, parts + 1) if block % 50 == 0 else ()
        notes = [NoteOn(start, part, key + part, 90) for part in struck for key in CHORD]
        began = time.perf_counter()
        engine.render(windows.frames(notes, block, 1), 1)
        took = time.perf_counter() - began
        loads.append(took / block_s)
        # As live: others have their turn, and no core is kept at a real-time priority.
        time.sleep(max(block_s - took, 0.001))
    return loads[FIRST:]
