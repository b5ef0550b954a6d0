"""How long after a note is sent is it heard, and is that what the server states?

Real server processes play one short note after another (key 60, from silence). Paths:

    osc        OSC on the same machine, --audio none: from the sender's clock just before the
               packet is sent, until the first audible sample is played by the sink. The sink
               stands for a device that plays sample by sample out of a reserve of 10 ms
    osc-jack   OSC on the same machine, into a JACK server with the dummy driver: from JACK's
               frame clock just before the packet is sent, to the sample captured on the port
               that plays
    midi-jack  the same with JACK MIDI, whose notes have their own sample on that clock

For JACK, the latency of the card behind its port, as JACK states it, is added: the dummy driver
has no plug. First audible is the first sample within 40 dB of the note's own peak. In an aligned
bounce the same note is first audible onset_ms after its frame begins (before it, if negative: a
spectral frame's window begins early). A message of JACK MIDI counts from its own sample, to which
the server keeps. What is left is compared with what the server states:
difference_ms = median_ms - onset_ms - stated_ms. The server does not state the way to
it: a packet's way through the system, and half a millisecond for MIDI, which is read once a
millisecond.

With timing timetag, notes are sent 50-200 ms ahead in bundles, and latency counts from the time
asked for. rise_ms is the median until a note's level has come to 0.7 of what it reaches first, and
rise_jitter_ms and rise_p99_ms say how far the notes' rises lie from it: how evenly they play. (The
first audible sample tells that less well: it stays near the early edge of its frame of 8 ms, or of
the next, wherever in a frame a note rises.) Underruns, late events and JACK's xruns are counted for
each row. period: of JACK, samples.
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

from benchmarks.flags import add_bank_flags, add_lookahead_flag, whole
from benchmarks.rigs import jack_rig, notes
from benchmarks.rigs.jack_rig import RATE, JackPlayer, jack_server
from benchmarks.rigs.live import LiveServer
from benchmarks.rigs.stamps import due_times
from benchmarks.rows import Row
from daw_bridge.clock import SETTLE_S
from daw_bridge.midi.file import TimedMessage
from player.bounce import bounce
from player.telemetry import LATENCY, Telemetry
from synth.bank.bank import load_bank
from synth.instrument import Instrument, make_instrument

SUMMARY = "how long after a note is sent is it heard?"
PATHS = ("osc", "jack")
FIRST_S = 0.5
"""Before the first note: the sender's own start must not make it late."""
SETTLED_S = 4 * SETTLE_S
"""The listener makes a gap in the sound when it joins JACK, and the engine's clock takes its time
to settle after one: for some seconds notes come up to tens of ms later."""
EARLY_FRAMES = 8
"""Frames before the note in the bounce, for sound that begins before it."""


@dataclass(frozen=True, slots=True)
class Clocked:
    """A server beside a clock in seconds, and a count of JACK's xruns."""

    server: LiveServer
    now: Callable[[], float]
    xruns: Callable[[], int]

    def count(self) -> Counts:
        """All that is counted, until now."""
        return Counts(self.server.status(), self.xruns())


@dataclass(frozen=True, slots=True)
class Counts:
    """What a server and JACK have counted until one moment."""

    status: Telemetry
    xruns: int

    def since(self, before: Counts) -> dict[str, int]:
        """What was counted after an earlier moment."""
        return {
            "underruns": self.status.underruns - before.status.underruns,
            "late": self.status.late - before.status.late,
            "xruns": self.xruns - before.xruns,
        }


@dataclass(frozen=True, slots=True)
class Series:
    """The notes of one row. asked (notes,): when, in seconds; before, after: counts around them."""

    path: str
    timing: str
    asked: np.ndarray
    before: Counts
    after: Counts


Heard = tuple[list[Series], notes.Recording]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to play, over what, and how often."""
    add_bank_flags(parser)
    add_lookahead_flag(parser, [0, 2, 4, 8], nargs="+", full=False)
    add = parser.add_argument
    add("--patch", help="one with a sharp attack (default: the bank's first)")
    add("--notes", type=whole(2), default=100, help="for each row")
    add("--paths", nargs="+", choices=PATHS, default=PATHS)
    add("--low-latency", action="store_true", help="servers with the flag of this name")
    add("--buffer", type=whole(1, 500), help="of the servers, ms (default: theirs)")
    add("--period", type=whole(16), default=256, help="of JACK, samples at 48 kHz")
    add("--seed", type=int, default=0, help="random seed of the notes' times")


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each lookahead, path and timing. ValueError or OSError where none can run."""
    bank = load_bank(options.bank)
    patch = options.patch or bank.names[0]
    bank.patch(patch)
    paths = list(options.paths)
    if "jack" in paths and (lacking := jack_rig.missing()):
        print(f"jack is left out: this machine lacks {lacking}", file=sys.stderr)
        paths.remove("jack")
    if not paths:
        raise ValueError("no path can be measured on this machine")
    instrument = make_instrument(bank, options.vocoder, "cpu", options.low_latency)
    rows: list[Row] = []
    for lookahead, path in tqdm([(n, p) for n in options.lookahead for p in paths], unit="server"):
        flags = ["--bank", str(options.bank.resolve()), "--patch", patch]
        flags += ["--vocoder", options.vocoder, "--lookahead", str(lookahead)]
        flags += ["--low-latency"] * options.low_latency
        flags += ["--buffer", str(options.buffer)] if options.buffer else []
        # Heard at their timetags, notes would tell nothing of the latency.
        flags += ["--timetags", "taken"]
        onset_ms = _onset_ms(instrument, patch, lookahead)
        rate = bank.analysis.rate if path == "osc" else RATE
        played, recording = (_without_device if path == "osc" else _on_jack)(flags, options)
        for series in played:
            late_ms = 1000 * (notes.heard_at(recording, series.asked) - series.asked)
            rise_ms = 1000 * (notes.rises_at(recording, series.asked, rate) - series.asked)
            about = {"path": series.path, "timing": series.timing, "lookahead": lookahead}
            about |= {"period": 0 if path == "osc" else options.period}
            about |= {"low_latency": options.low_latency}
            rows.append(about | _figures(series, late_ms, rise_ms, onset_ms))
    return rows


def _without_device(flags: list[str], options: argparse.Namespace) -> Heard:
    with tempfile.TemporaryDirectory() as folder:
        wav, stamps = Path(folder) / "played.wav", Path(folder) / "stamps.npz"
        script = ["-m", "benchmarks.rigs.stamps", str(stamps)]
        with LiveServer([*flags, "--record", str(wav)], script=script) as server:
            clocked = Clocked(server, time.perf_counter, lambda: 0)
            played = _osc_series("osc", clocked, options)
            server.stop()
        sound, rate = soundfile.read(wav, dtype="float32")
        kept = np.load(stamps)
        samples = kept["samples"]
        due = due_times(kept["took"], samples, kept["underruns"], kept["reserve"], rate)
    within = np.arange(samples.sum()) - np.repeat(np.cumsum(samples) - samples, samples)
    # A block after an underrun is due later, but by rounding may seem earlier.
    times = np.maximum.accumulate(np.repeat(due, samples) + within / rate)
    return played, notes.Recording(sound[: len(times), 0], times)


def _on_jack(flags: list[str], options: argparse.Namespace) -> Heard:
    flags = [*flags, "--audio", "jack", "--midi", "auto"]
    with (
        jack_server(options.period),
        LiveServer(flags, jack_rig.ENVIRONMENT) as server,
        JackPlayer("melstream") as player,
    ):
        time.sleep(SETTLED_S)
        clocked = Clocked(server, lambda: player.now / RATE, lambda: player.xruns)
        played = _osc_series("osc-jack", clocked, options)
        played.append(_midi_series(clocked, player, options))
        first, sound = player.sound()
        behind = jack_rig.playback_latency()
        server.stop()
    return played, notes.Recording(sound, (first + behind + np.arange(len(sound))) / RATE)


def _osc_series(path: str, clocked: Clocked, options: argparse.Namespace) -> list[Series]:
    """All notes over OSC, first to be played at once and then with timetags."""
    played = []
    for timing in ("now", "timetag"):
        before = clocked.count()
        wanted = _wanted(before, clocked.now(), options)
        ahead = np.random.default_rng(options.seed).uniform(*notes.AHEAD_S, len(wanted))
        sent = notes.send_notes(
            clocked.server, wanted, clocked.now, ahead if timing == "timetag" else None
        )
        asked = np.sort(list(sent))
        time.sleep(FIRST_S)
        played.append(Series(path, timing, asked, before, clocked.count()))
    return played


def _midi_series(clocked: Clocked, player: JackPlayer, options: argparse.Namespace) -> Series:
    """All notes over JACK MIDI, by the frames at which they went out."""
    before = clocked.count()
    wanted = _wanted(before, clocked.now(), options)
    on, cut = bytes([0x90, notes.KEY, notes.VELOCITY]), bytes([0xB0, 120, 0])
    messages = []
    for onset in wanted:
        messages += [(round(onset * RATE), on), (round((onset + notes.HELD_S) * RATE), cut)]
    player.play(messages)
    player.wait_until(round((wanted[-1] + notes.HELD_S + FIRST_S) * RATE))
    went = np.array([frame for frame, message in player.sent if message == on])
    return Series("midi-jack", "now", went / RATE, before, clocked.count())


def _wanted(before: Counts, now: float, options: argparse.Namespace) -> np.ndarray:
    latency_s = before.status.latency_ms / 1000
    return notes.onsets(options.notes, now + FIRST_S, latency_s, options.seed)


def _onset_ms(instrument: Instrument, patch: str, lookahead: int) -> float:
    """When the note of `notes` is first audible in a bounce, after its frame's beginning."""
    bank = instrument.bank
    frame_s = 1 / bank.analysis.frame_rate
    on = mido.Message("note_on", note=notes.KEY, velocity=notes.VELOCITY)
    cut = mido.Message("control_change", control=120, value=0)
    # A hundredth of a frame on, so that no rounding can move it to the frame before.
    score = [(EARLY_FRAMES + 0.01) * frame_s, (EARLY_FRAMES + 0.01) * frame_s + notes.HELD_S]
    messages = [TimedMessage(at, m) for at, m in zip(score, (on, cut), strict=True)]
    frames = 3 * EARLY_FRAMES + round(notes.HELD_S / frame_s)
    blocks = bounce(instrument, messages, {1: patch}, frames, lookahead)
    index = notes.first_audible(np.concatenate(list(blocks))[:, 0])
    if index is None:
        raise ValueError(f"{bank.path}: patch {patch} plays key {notes.KEY} as silence")
    return 1000 * (index / bank.analysis.rate - EARLY_FRAMES * frame_s)


def _figures(
    series: Series, late_ms: np.ndarray, rise_ms: np.ndarray, onset_ms: float
) -> dict[str, int | float]:
    """A row's columns. late_ms, rise_ms (notes,): from asked to heard, and to the rise of the
    level; NaN for a note not heard."""
    found = late_ms[np.isfinite(late_ms)]
    if not len(found):
        raise OSError("not one note was heard")
    median = float(np.median(found))
    risen = rise_ms[np.isfinite(rise_ms)]
    off = np.abs(risen - np.median(risen))
    p95, p99 = (float(np.percentile(found, p)) for p in (95, 99))
    status = series.after.status
    return {
        "notes": len(late_ms),
        "heard": len(found),
        "median_ms": median,
        "p95_ms": p95,
        "p99_ms": p99,
        "rise_ms": float(np.median(risen)),
        "rise_jitter_ms": float(risen.std()),
        "rise_p99_ms": float(np.percentile(off, 99)),
        "onset_ms": onset_ms,
        "stated_ms": status.latency_ms,
        "difference_ms": median - onset_ms - status.latency_ms,
        **{term: getattr(status, term) for term in LATENCY},
        **series.after.since(series.before),
    }
