"""Is every patch in tune, and does it stop? Each plays C3-C5 through the whole engine.

in_tune: the share of notes in tune. A note is in tune when 80% of the energy in its five
strongest spectral peaks lies within 50 cents of one of the first eight partials of the key's
pitch; octave errors are ignored. fall_db: how far the level is below the last note's own level,
3 s (harp 5 s) after the last key was released. peak: the largest sample.
"""

from __future__ import annotations

import argparse

import mido
import numpy as np
from tqdm import tqdm

from benchmarks.flags import add_bank_flags, add_lookahead_flag
from benchmarks.rows import Row
from daw_bridge.midi.file import TimedMessage
from player.bounce import Lookahead, bounce
from synth.bank.bank import load_bank
from synth.instrument import Instrument, make_instrument
from trainer.bank.check import in_tune

SUMMARY = "is every patch in tune, and does it stop?"
KEYS = range(48, 73)
STEP_S, HELD_S, VELOCITY = 0.5, 0.45, 90
FALL_S = 3.0
SLOW_FALL_S = {"orchestral-harp": 5.0}
LEVEL_S = 0.2
"""How long a stretch of sound a level is measured over."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to play it with."""
    add_bank_flags(parser)
    add_lookahead_flag(parser)


def measure(options: argparse.Namespace) -> list[Row]:
    """One row for each patch that a program selects."""
    bank = load_bank(options.bank)
    instrument = make_instrument(bank, options.vocoder, "cpu")
    rows: list[Row] = []
    for patch in tqdm(list(bank.programs.values()), desc="tuning", unit="patch"):
        fall_s = SLOW_FALL_S.get(patch, FALL_S)
        audio = _scale(instrument, patch, options.lookahead, fall_s)
        rate = bank.analysis.rate
        fits = [in_tune(_note(audio, i, rate), key, rate) for i, key in enumerate(KEYS)]
        rows.append(
            {
                "bank": bank.path.resolve().name,
                "vocoder": options.vocoder,
                "patch": patch,
                "lookahead": options.lookahead,
                "in_tune": sum(fits) / len(fits),
                "fall_db": _fall_db(audio, rate, fall_s),
                "peak": float(np.abs(audio).max()),
            }
        )
    return rows


def _scale(instrument: Instrument, patch: str, lookahead: Lookahead, tail_s: float) -> np.ndarray:
    """The scale as a patch plays it, mono, and tail_s seconds after it."""
    messages = []
    for i, key in enumerate(KEYS):
        on = mido.Message("note_on", note=key, velocity=VELOCITY)
        messages.append(TimedMessage(i * STEP_S, on))
        messages.append(TimedMessage(i * STEP_S + HELD_S, mido.Message("note_off", note=key)))
    seconds = (len(KEYS) - 1) * STEP_S + HELD_S + tail_s + LEVEL_S
    frames = round(seconds * instrument.bank.analysis.frame_rate)
    blocks = bounce(instrument, messages, {1: patch}, frames, lookahead)
    return np.concatenate(list(blocks)).mean(axis=1)


def _note(audio: np.ndarray, index: int, rate: int) -> np.ndarray:
    """The steady middle of a note: from 60 ms after its onset until its key is released."""
    start = index * STEP_S
    return audio[round((start + 0.06) * rate) : round((start + HELD_S) * rate)]


def _fall_db(audio: np.ndarray, rate: int, fall_s: float) -> float:
    end = (len(KEYS) - 1) * STEP_S + HELD_S
    last = audio[round((end - LEVEL_S) * rate) : round(end * rate)]
    later = audio[round((end + fall_s) * rate) : round((end + fall_s + LEVEL_S) * rate)]
    rms = [float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) for x in (last, later)]
    return 20 * float(np.log10(max(rms[0], 1e-9) / max(rms[1], 1e-9)))
