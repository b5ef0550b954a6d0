"""One gain for each patch of a bank: all as loud as each other, with room above.

Loudness is that of a phrase, as ITU-R BS.1770 hears it. A patch has room when chords of ten notes
at the highest velocity stay below `PEAK_DB`, where the limiter begins. The patch whose chords rise
farthest above its loudness, most often a plucked one, may stay a little below the others;
otherwise it would make all of them too quiet. Of a hundred patches a few rise so far that they may
stay farther below: beside kettledrums every piano would be too quiet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from common.loudness import decibels, loudness
from daw_bridge.events import Event, Level, NoteOff, NoteOn
from daw_bridge.windows import Windows, stereo_gain
from synth.bank.bank import load_bank
from synth.bank.patch_file import save_patch
from synth.instrument import Instrument
from synth.vocoders.spectral.vocoder import SpectralVocoder

PEAK_DB = -3.5
"""Half a decibel below the limiter's knee: a bank's movement is another one with every seed."""
BELOW_LU = 3.0
"""How much quieter than the others a patch may stay for lack of room."""
FEW = 20
"""One patch of so many may stay quieter still."""
QUIET_LUFS = -60.0
"""A patch below this is left as it is."""
TURNED_DOWN_DB = -40.0
"""While it is measured, so that the limiter hides no peak."""
CHORD = (0, 4, 7, 12, 16, 19, 24, 28, 31, 36)
ROOTS, CHORD_S = (38, 45, 52), 1.2
"""Lowest keys of the chords, and how long they are held."""
STEP_S = 0.4
BASS = (41, 46, 43, 48)
"""Of the phrase: one for every bar of four steps, below a broken chord of it and a tune."""
TUNE = (72, 77, 81, 79, 77, 74, 70, 74, 79, 83, 82, 79, 76, 79, 84, 77)

Note = tuple[float, float, int, int]
"""Onset and release in seconds, key, velocity."""


def level_patches(folder: Path) -> dict[str, float]:
    """Give every patch of a bank its gain, in its file; returns them, dB."""
    bank = load_bank(folder)
    instrument = Instrument(bank, SpectralVocoder(bank.analysis))
    loud, most = {}, {}
    for name in bank.names:
        lufs = phrase_loudness(instrument, bank.point(name))
        if lufs >= QUIET_LUFS:
            loud[name], most[name] = lufs, most_gain_db(instrument, bank.point(name))
    rooms = sorted(most[name] + lufs for name, lufs in loud.items()) or [0.0]
    wanted = rooms[len(rooms) // FEW] + BELOW_LU
    gains = {name: round(min(wanted - lufs, most[name]), 2) for name, lufs in loud.items()}
    for name, gain_db in gains.items():
        save_patch(folder, replace(bank.patch(name), gain_db=gain_db), overwrite=True)
    return gains


def phrase_loudness(instrument: Instrument, point: tuple[float, ...]) -> float:
    """How loud a timbre plays a phrase of middling velocities without gain, LUFS."""
    return loudness(play_notes(instrument, point, _phrase()), instrument.bank.analysis.rate)


def most_gain_db(instrument: Instrument, point: tuple[float, ...]) -> float:
    """The gain with which a timbre's loudest chords just have room."""
    centred = decibels(float(stereo_gain(0.0, 0.0).max()))
    chords = [play_notes(instrument, point, _chord(root)) for root in ROOTS]
    peak = max(float(np.abs(chord).max()) for chord in chords)
    return PEAK_DB - float(decibels(peak) + centred)


def even_gain_db(instrument: Instrument, point: tuple[float, ...], beside: str) -> float:
    """The gain with which a timbre is as loud as a patch of the bank, as far as it has room."""
    bank = instrument.bank
    wanted = phrase_loudness(instrument, bank.point(beside)) + bank.patch(beside).gain_db
    lufs = phrase_loudness(instrument, point)
    if lufs < QUIET_LUFS:
        return 0.0
    return round(min(wanted - lufs, most_gain_db(instrument, point)), 2)


def _chord(root: int) -> list[Note]:
    """Ten notes as loud as can be."""
    return [(0.0, CHORD_S, root + step, 127) for step in CHORD]


def _phrase() -> list[Note]:
    """Music of middling velocities."""
    notes: list[Note] = []
    for bar, bass in enumerate(BASS):
        at = 4 * bar * STEP_S
        notes.append((at, at + 3.8 * STEP_S, bass, 84))
        notes += [(at + i * STEP_S, at + (i + 1) * STEP_S, bass + 12 + 5 * i, 68) for i in range(4)]
    notes += [(i * STEP_S, (i + 0.8) * STEP_S, k, 76 + i % 4 * 8) for i, k in enumerate(TUNE)]
    return notes


def play_notes(
    instrument: Instrument, point: tuple[float, ...], notes: Sequence[Note]
) -> np.ndarray:
    """Notes of a timbre without gain, mono, until half a second after the last.

    point: the network's input, as from `Bank.point`.
    """
    analysis, engine = instrument.bank.analysis, instrument.engine(lookahead=0)
    windows = Windows(analysis.hop, point)
    # What is turned hard left is all in one channel.
    events: list[Event] = [Level(0, 1, TURNED_DOWN_DB, -1.0)]
    for onset, release, key, velocity in notes:
        events.append(NoteOn(round(onset * analysis.rate), 1, key, velocity))
        events.append(NoteOff(round(release * analysis.rate), 1, key))
    # A key that is struck again as it is let go is let go first.
    events.sort(key=lambda e: (e.time, isinstance(e, NoteOn)))
    seconds = max(release for _, release, *_ in notes) + 0.5
    frames = round(seconds * analysis.frame_rate) + engine.delay
    sound = engine.render(windows.frames(events, 0, frames), frames)[:, 0]
    return sound * np.float32(10 ** (-TURNED_DOWN_DB / 20))
