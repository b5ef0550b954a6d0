"""Does every patch of a bank play? One short note each, through the whole engine.

The spectral vocoder plays it, because it needs no training. A note is in tune when its strongest
partials fit the pitch that was played: of the energy in the five strongest spectral peaks, 80%
lies within 50 cents of the first eight multiples of that pitch (or of its octaves: octave
errors are forgiven).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from daw_bridge.events import Event, NoteOff, NoteOn
from daw_bridge.windows import Windows
from synth.bank.bank import load_bank
from synth.instrument import Instrument
from synth.vocoders.spectral.vocoder import SpectralVocoder

KEY, VELOCITY = 69, 90
HELD_S, SETTLED_S = 0.5, 0.06
QUIET_DB = -60.0
PEAKS, PARTIALS, CENTS, SHARE = 5, 8, 50, 0.8
PADDING = 4
"""Spectra of notes padded so many times: bins finer than the cents asked for."""


def check_bank(folder: Path) -> Iterator[str]:
    """A line for each patch, as it is played. At the end, ValueError names the patches that are
    not finite, not heard, or out of tune."""
    bank = load_bank(folder)
    instrument = Instrument(bank, SpectralVocoder(bank.analysis))
    wrong = []
    for name in bank.names:
        fault = fault_of(play(instrument, name), bank.analysis.rate)
        if fault:
            wrong.append(f"{name} {fault}")
        yield f"{name}: {fault or 'plays'}"
    if wrong:
        raise ValueError(f"{folder}: {', '.join(wrong)}")


def play(instrument: Instrument, patch: str) -> np.ndarray:
    """A note of a patch from its onset until its key is let go, mono."""
    analysis, engine = instrument.bank.analysis, instrument.engine(lookahead=0)
    windows = Windows(analysis.hop, instrument.bank.point(patch))
    held = round(HELD_S * analysis.frame_rate)
    end = held * analysis.hop
    events: list[Event] = [NoteOn(0, 1, KEY, VELOCITY), NoteOff(end, 1, KEY)]
    count = held + engine.delay + 1
    sound = engine.render(windows.frames(events, 0, count), count)
    return sound[engine.delay * analysis.hop :][:end].mean(axis=1)


def fault_of(note: np.ndarray, rate: int) -> str | None:
    """What is wrong with a note of `KEY`, in words, or None."""
    if not np.isfinite(note).all():
        return "is not finite"
    level = 10 * np.log10(np.mean(np.square(note, dtype=np.float64)) + 1e-20)
    if level < QUIET_DB:
        return f"is not heard ({level:.0f} dB)"
    settled = note[round(SETTLED_S * rate) :]
    return None if in_tune(settled, KEY, rate) else "is out of tune"


def in_tune(note: np.ndarray, key: int, rate: int) -> bool:
    """Whether the strongest partials of a steady note (samples,) fit the pitch of a MIDI key."""
    count = PADDING * len(note)
    spectrum = np.abs(np.fft.rfft(note * np.hanning(len(note)), count))
    hertz = np.fft.rfftfreq(count, 1 / rate)
    inner = spectrum[1:-1]
    tops = np.flatnonzero((inner > spectrum[:-2]) & (inner >= spectrum[2:])) + 1
    peaks: list[int] = []
    for top in sorted(tops[hertz[tops] > 30], key=lambda t: -spectrum[t]):
        # The window's own side lobes are no partials: keep peaks a main lobe apart.
        if len(peaks) < PEAKS and all(abs(top - p) > 2 * PADDING for p in peaks):
            peaks.append(top)
    energy, pitch = spectrum[peaks] ** 2, 440 * 2 ** ((key - 69) / 12)
    for base in (pitch / 2, pitch, 2 * pitch):
        partials = base * np.arange(1, PARTIALS + 1)
        cents = 1200 * np.abs(np.log2(hertz[peaks][:, None] / partials)).min(axis=1)
        if energy[cents <= CENTS].sum() >= SHARE * energy.sum():
            return True
    return False
