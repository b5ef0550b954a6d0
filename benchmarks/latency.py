"""How long after a note is sent is it heard, and is that what the server says?

Real server processes play one short note after another (key 60, from silence). Paths:

    osc        loopback OSC, --audio none: from the sender's clock just before the packet is
               sent, to when the sink takes the block with the first audible sample, which is
               when a device without any buffer would begin to play it
    osc-jack   loopback OSC, into a JACK server with the dummy driver: from JACK's frame clock
               just before the packet is sent, to the sample captured on the port that plays
    midi-jack  the same with JACK MIDI, whose notes have their own sample on that clock

For JACK the card's own latency behind its port, as JACK states it, is added: the dummy driver
has no plug. First audible is the first sample within 40 dB of the note's own peak. The same
note in an aligned bounce is first audible onset_ms after its frame begins (before it, if
negative: a spectral frame's window rises early); difference_ms is median_ms - onset_ms -
stated_ms. With timing timetag, notes come 50-200 ms ahead in bundles, and latency counts
from the time asked for; deviation_p99_ms is from the median. Notes act on whole frames (8 ms),
which alone costs a sd of 2.3 ms and a deviation of 4 ms at most; beyond_frame_p99_ms is what
lies outside one frame.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import mido
import numpy as np
import soundfile
from tqdm import tqdm

from benchmarks import jack_rig, notes
from benchmarks.jack_rig import RATE, JackPlayer, jack_server
from benchmarks.live import LiveServer, Told
from benchmarks.results import Row, add_bank_flags, make_vocoder
from benchmarks.stamps import due_times
from daw_bridge.midi_file import TimedMessage
from run_server import bounce
from synth.bank import Bank, load_bank

SUMMARY = "how long after a note is sent is it heard?"
PATHS = ("osc", "jack")
TERMS = ("block", "lookahead", "vocoder", "output")
FIRST_S = 0.5
"""Before the first note: the sender's own start must not make it late."""
EARLY_FRAMES = 8
"""Frames before the note in the bounce, for sound that begins before it."""


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
        session = _without_device if path == "osc" else _on_jack
        for name, timing, late, told in session(flags, options):
            row = {"path": name, "timing": timing, "lookahead": lookahead}
            rows.append(row | _figures(1000 * late, onset_ms, frame_ms, told))
    if not rows:
        raise ValueError("no path can be measured on this machine")
    return rows


Session = Iterator[tuple[str, str, np.ndarray, Told]]
"""Path, timing, seconds from asked to heard (notes,), and the status afterwards."""


def _without_device(flags: list[str], options: argparse.Namespace) -> Session:
    with tempfile.TemporaryDirectory() as folder:
        take, stamps = Path(folder) / "take.wav", Path(folder) / "stamps.npz"
        script = ["-m", "benchmarks.stamps", str(stamps)]
        with LiveServer([*flags, "--record", str(take)], script=script) as server:
            asked = {
                timing: _send(server, options, timing, time.perf_counter)
                for timing in ("now", "timetag")
            }
            told = server.status()
            server.stop()
        sound, rate = soundfile.read(take, dtype="float32")
        kept = np.load(stamps)
        samples = kept["samples"]
        due = due_times(kept["took"], samples, kept["underruns"], rate)
    within = np.arange(samples.sum()) - np.repeat(np.cumsum(samples) - samples, samples)
    # Due again after an underrun is later, but by rounding it may seem to be earlier.
    times = np.maximum.accumulate(np.repeat(due, samples) + within / rate)
    heard = notes.Take(sound[: len(times), 0], times[: len(sound)])
    for timing, when in asked.items():
        yield "osc", timing, notes.heard_at(heard, when) - when, told


def _on_jack(flags: list[str], options: argparse.Namespace) -> Session:
    flags = [*flags, "--audio", "system", "--midi", "auto"]
    with (
        jack_server(options.period),
        LiveServer(flags, jack_rig.ENVIRONMENT) as server,
        JackPlayer("melstream") as player,
    ):
        asked = {
            ("osc-jack", timing): _send(server, options, timing, lambda: player.now / RATE)
            for timing in ("now", "timetag")
        }
        asked["midi-jack", "now"] = _send_midi(server, player, options)
        told = server.status() | {"xruns": player.xruns}
        first, sound = player.sound()
        server.stop()
        behind = jack_rig.playback_latency()
    times = (first + behind + np.arange(len(sound))) / RATE
    for (name, timing), when in asked.items():
        yield name, timing, notes.heard_at(notes.Take(sound, times), when) - when, told


def _send(server: LiveServer, options: argparse.Namespace, timing: str, now) -> np.ndarray:
    """Send all notes over OSC; when each was asked for, on the clock that `now` shows."""
    latency_s = server.status()["latency_ms"] / 1000
    wanted = notes.onsets(options.notes, now() + FIRST_S, latency_s, options.seed)
    ahead = np.random.default_rng(options.seed).uniform(*notes.AHEAD_S, options.notes)
    asked = np.array(
        list(notes.send_notes(server, wanted, now, ahead * 1 if timing == "timetag" else None))
    )
    time.sleep(FIRST_S)
    return np.sort(asked)


def _send_midi(server: LiveServer, player: JackPlayer, options: argparse.Namespace) -> np.ndarray:
    """Send all notes over JACK MIDI; the time of the frame at which each went out."""
    latency_s = server.status()["latency_ms"] / 1000
    wanted = notes.onsets(options.notes, player.now / RATE + FIRST_S, latency_s, options.seed)
    on, cut = bytes([0x90, notes.KEY, notes.VELOCITY]), bytes([0xB0, 120, 0])
    messages = []
    for onset in wanted:
        messages += [(round(onset * RATE), on), (round((onset + notes.HELD_S) * RATE), cut)]
    player.play(messages)
    player.wait_until(round((wanted[-1] + notes.HELD_S + FIRST_S) * RATE))
    return np.array([frame for frame, message in player.sent if message == on]) / RATE


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
    blocks = bounce(bank, made, messages, {1: patch}, frames, str(lookahead), seed=0)
    index = notes.first_audible(np.concatenate(list(blocks))[:, 0])
    if index is None:
        raise ValueError(f"{bank.path}: {patch} plays key {notes.KEY} in silence")
    return 1000 * (index / bank.analysis.rate - EARLY_FRAMES * frame_s)


def _figures(late_ms: np.ndarray, onset_ms: float, frame_ms: float, told: Told) -> Row:
    """The columns of one row. late_ms (notes,): asked to heard, NaN for a note not heard."""
    found = late_ms[np.isfinite(late_ms)]
    if not len(found):
        raise OSError("not one note was heard")
    median = float(np.median(found))
    p95, p99 = (float(np.percentile(found, p)) for p in (95, 99))
    stated = {f"{term}_ms": told[f"{term}_ms"] for term in TERMS}
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
        "stated_ms": told["latency_ms"],
        "difference_ms": median - onset_ms - told["latency_ms"],
        **stated,
        "underruns": told["underruns"],
        "late": told["late"],
        "xruns": told.get("xruns", 0),
    }
