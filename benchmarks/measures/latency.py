"""How long after a note is sent is it heard, and is that what the server says?

Real server processes play one short note after another (key 60, from silence). Paths:

    osc        loopback OSC, --audio none: from the sender's clock just before the packet is
               sent, to when the sink, which stands for a device that plays sample by sample
               out of a reserve of 10 ms, comes to the first audible one
    osc-jack   loopback OSC, into a JACK server with the dummy driver: from JACK's frame clock
               just before the packet is sent, to the sample captured on the port that plays
    midi-jack  the same with JACK MIDI, whose notes have their own sample on that clock

For JACK the card's own latency behind its port, as JACK states it, is added: the dummy driver
has no plug. First audible is the first sample within 40 dB of the note's own peak. The same
note in an aligned bounce is first audible onset_ms after its frame begins (before it, if
negative: a spectral frame's window rises early). JACK hands MIDI over at the start of a
cycle, early_ms before a note's own sample. What is then left is held against the server's
own word: difference_ms = median_ms - onset_ms + early_ms - stated_ms. What the server does not
state is the way to it: a packet's through the system, and for MIDI half a millisecond, since
inputs are looked at once in one.

With timing timetag, notes come 50-200 ms ahead in bundles, and latency counts from the time
asked for; deviation_p99_ms is from the median. Notes act on whole frames (8 ms), which alone
costs a sd of 2.3 ms and a deviation of 4 ms; beyond_frame_p99_ms is what lies outside one
frame. Underruns, late events and JACK's xruns are counted row by row.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import soundfile
from tqdm import tqdm

from benchmarks.rigs import jack_rig, notes
from benchmarks.rigs.jack_rig import RATE, JackPlayer, jack_server
from benchmarks.rigs.live import LiveServer, Told
from benchmarks.rigs.stamps import due_times
from benchmarks.rows import Row, add_bank_flags, make_vocoder
from daw_bridge.clock import SETTLE_S
from daw_bridge.midi.file import TimedMessage
from player.bounce import bounce
from synth.bank.bank import Bank, load_bank
from synth.instrument import Instrument

SUMMARY = "how long after a note is sent is it heard?"
PATHS = ("osc", "jack")
TERMS = ("block", "lookahead", "vocoder", "output")
FIRST_S = 0.5
"""Before the first note: the sender's own start must not make it late."""
SETTLED_S = 4 * SETTLE_S
"""The listener breaks the sound when it joins JACK, and the engine's clock takes its time to
sink back after a gap: notes that follow one come up to tens of ms later for some seconds."""
EARLY_FRAMES = 8
"""Frames before the note in the bounce, for sound that begins before it."""

COUNTED = ("underruns", "late", "xruns")


@dataclass(frozen=True, slots=True)
class Part:
    """One row's notes. asked (notes,): seconds; early_s: how long before its own time a note
    was handed over; told: the status afterwards, with what was `COUNTED` since the last part."""

    path: str
    timing: str
    asked: np.ndarray
    early_s: float
    told: Told


Heard = tuple[list[Part], notes.Take]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to play, over what, and how often."""
    add_bank_flags(parser)
    parser.add_argument("--patch", help="one with a sharp attack (default: the bank's first)")
    parser.add_argument("--lookahead", type=int, nargs="+", default=[0, 2, 4, 8], help="frames")
    parser.add_argument("--notes", type=int, default=100, help="for each row")
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=PATHS)
    parser.add_argument("--period", type=int, default=256, help="of JACK, samples at 48 kHz")
    parser.add_argument("--seed", type=int, default=0, help="of the notes' times")


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each lookahead, path and timing. ValueError or OSError where none can run."""
    bank = load_bank(options.bank)
    patch = options.patch or bank.names[0]
    bank.patch(patch)
    if options.notes < 2:
        raise ValueError(f"--notes {options.notes}: must be at least 2")
    if min(options.lookahead) < 0:
        raise ValueError(f"--lookahead {min(options.lookahead)}: must be 0 or more")
    paths = list(options.paths)
    if "jack" in paths and (lacking := jack_rig.missing()):
        print(f"jack is left out: this machine lacks {lacking}", file=sys.stderr)
        paths.remove("jack")
    rows = []
    for lookahead, path in tqdm([(n, p) for n in options.lookahead for p in paths], unit="server"):
        flags = ["--bank", str(options.bank.resolve()), "--patch", patch]
        flags += ["--vocoder", options.vocoder, "--lookahead", str(lookahead)]
        onset_ms = _onset_ms(bank, options.vocoder, patch, lookahead)
        frame_ms = 1000 / bank.analysis.frame_rate
        parts, take = (_without_device if path == "osc" else _on_jack)(flags, options)
        for part in parts:
            row = {"path": part.path, "timing": part.timing, "lookahead": lookahead}
            late_ms = 1000 * (notes.heard_at(take, part.asked) - part.asked)
            rows.append(row | _figures(part, late_ms, onset_ms, frame_ms))
    if not rows:
        raise ValueError("no path can be measured on this machine")
    return rows


def _without_device(flags: list[str], options: argparse.Namespace) -> Heard:
    with tempfile.TemporaryDirectory() as folder:
        take, stamps = Path(folder) / "take.wav", Path(folder) / "stamps.npz"
        script = ["-m", "benchmarks.rigs.stamps", str(stamps)]
        with LiveServer([*flags, "--record", str(take)], script=script) as server:
            parts = _osc_parts("osc", server, options, time.perf_counter, lambda: 0)
            server.stop()
        sound, rate = soundfile.read(take, dtype="float32")
        kept = np.load(stamps)
        samples = kept["samples"]
        due = due_times(kept["took"], samples, kept["underruns"], kept["reserve"], rate)
    within = np.arange(samples.sum()) - np.repeat(np.cumsum(samples) - samples, samples)
    # A block that comes after an underrun is due later, but by rounding may seem earlier.
    times = np.maximum.accumulate(np.repeat(due, samples) + within / rate)
    return parts, notes.Take(sound[: len(times), 0], times)


def _on_jack(flags: list[str], options: argparse.Namespace) -> Heard:
    flags = [*flags, "--audio", "system", "--midi", "auto"]
    with (
        jack_server(options.period),
        LiveServer(flags, jack_rig.ENVIRONMENT) as server,
        JackPlayer("melstream") as player,
    ):
        time.sleep(SETTLED_S)
        parts = _osc_parts(
            "osc-jack", server, options, lambda: player.now / RATE, lambda: player.xruns
        )
        parts.append(_midi_part(server, player, options))
        first, sound = player.sound()
        behind = jack_rig.playback_latency()
        server.stop()
    return parts, notes.Take(sound, (first + behind + np.arange(len(sound))) / RATE)


def _osc_parts(
    path: str,
    server: LiveServer,
    options: argparse.Namespace,
    now: Callable[[], float],
    xruns: Callable[[], int],
) -> list[Part]:
    """All notes over OSC, to be played at once and then timetagged, by the clock `now`."""
    parts = []
    for timing in ("now", "timetag"):
        before = _told(server, xruns)
        wanted = _wanted(before, now(), options)
        ahead = np.random.default_rng(options.seed).uniform(*notes.AHEAD_S, len(wanted))
        sent = notes.send_notes(server, wanted, now, ahead if timing == "timetag" else None)
        asked = np.sort(list(sent))
        time.sleep(FIRST_S)
        parts.append(Part(path, timing, asked, 0.0, _since(before, _told(server, xruns))))
    return parts


def _midi_part(server: LiveServer, player: JackPlayer, options: argparse.Namespace) -> Part:
    """All notes over JACK MIDI, by the frames at which they went out."""
    before = _told(server, lambda: player.xruns)
    wanted = _wanted(before, player.now / RATE, options)
    on, cut = bytes([0x90, notes.KEY, notes.VELOCITY]), bytes([0xB0, 120, 0])
    messages = []
    for onset in wanted:
        messages += [(round(onset * RATE), on), (round((onset + notes.HELD_S) * RATE), cut)]
    player.play(messages)
    player.wait_until(round((wanted[-1] + notes.HELD_S + FIRST_S) * RATE))
    went = np.array([(frame, cycle) for frame, message, cycle in player.sent if message == on])
    early_s = float(np.median(went[:, 0] - went[:, 1])) / RATE
    told = _since(before, _told(server, lambda: player.xruns))
    return Part("midi-jack", "now", went[:, 0] / RATE, early_s, told)


def _wanted(told: Told, now: float, options: argparse.Namespace) -> np.ndarray:
    return notes.onsets(options.notes, now + FIRST_S, told["latency_ms"] / 1000, options.seed)


def _told(server: LiveServer, xruns: Callable[[], int]) -> Told:
    return server.status() | {"xruns": xruns()}


def _since(before: Told, after: Told) -> Told:
    return after | {name: after[name] - before[name] for name in COUNTED}


def _onset_ms(bank: Bank, vocoder: str, patch: str, lookahead: int) -> float:
    """When the note of `notes` is first audible in a bounce, after its frame's beginning."""
    frame_s = 1 / bank.analysis.frame_rate
    on = mido.Message("note_on", note=notes.KEY, velocity=notes.VELOCITY)
    cut = mido.Message("control_change", control=120, value=0)
    # Half a frame on, so that no rounding can move it to the frame before.
    score = [(EARLY_FRAMES + 0.5) * frame_s, (EARLY_FRAMES + 0.5) * frame_s + notes.HELD_S]
    messages = [TimedMessage(at, m) for at, m in zip(score, (on, cut), strict=True)]
    frames = 3 * EARLY_FRAMES + round(notes.HELD_S / frame_s)
    made = make_vocoder(bank, vocoder)
    blocks = bounce(Instrument(bank, made), messages, {1: patch}, frames, lookahead)
    index = notes.first_audible(np.concatenate(list(blocks))[:, 0])
    if index is None:
        raise ValueError(f"{bank.path}: {patch} plays key {notes.KEY} in silence")
    return 1000 * (index / bank.analysis.rate - EARLY_FRAMES * frame_s)


def _figures(part: Part, late_ms: np.ndarray, onset_ms: float, frame_ms: float) -> Row:
    """A row's columns. late_ms (notes,): from asked to heard, NaN for a note not heard."""
    found = late_ms[np.isfinite(late_ms)]
    if not len(found):
        raise OSError("not one note was heard")
    median = float(np.median(found))
    p95, p99 = (float(np.percentile(found, p)) for p in (95, 99))
    told, early_ms = part.told, 1000 * part.early_s
    return {
        "notes": len(late_ms),
        "heard": len(found),
        "median_ms": median,
        "p95_ms": p95,
        "p99_ms": p99,
        "jitter_ms": float(found.std()),
        "deviation_p99_ms": float(np.percentile(np.abs(found - median), 99)),
        "beyond_frame_p99_ms": float(np.percentile(notes.beyond_frame(found, frame_ms), 99)),
        "onset_ms": onset_ms,
        "early_ms": early_ms,
        "stated_ms": told["latency_ms"],
        "difference_ms": median - onset_ms + early_ms - told["latency_ms"],
        **{f"{term}_ms": told[f"{term}_ms"] for term in TERMS},
        **{name: told[name] for name in COUNTED},
    }
