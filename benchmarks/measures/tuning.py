"""Is it in tune, and does it stop? Each patch plays C3-C5 through the whole engine.

A note is in tune when 80% of the energy in its five strongest spectral peaks lies within
50 cents of the first eight partials of the key's pitch, octave errors forgiven. The fall is how
far the level has dropped 3 s (harp 5 s) after the last key was let go, against the last note's
own level.
"""

from __future__ import annotations

import argparse

import mido
import numpy as np
from tqdm import tqdm

from benchmarks.rows import Row, add_bank_flags, make_vocoder
from daw_bridge.midi.file import TimedMessage
from player.bounce import Lookahead, bounce
from synth.bank.bank import Bank, load_bank
from synth.instrument import Instrument
from synth.vocoders.contract import Vocoder
from trainer.bank.check import in_tune

SUMMARY = "is every patch in tune, and does it stop?"
KEYS = range(48, 73)
STEP_S, HELD_S, VELOCITY = 0.5, 0.45, 90
SLOW = {"orchestral-harp": 5.0}
FALL_S = 3.0
LEVEL_S = 0.2


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to play it with."""
    add_bank_flags(parser)
    parser.add_argument("--lookahead", default="0", help="frames, or full")


def measure(options: argparse.Namespace) -> list[Row]:
    """One row for each patch that a program selects."""
    bank, lookahead = load_bank(options.bank), options.lookahead
    name, vocoder = options.vocoder, make_vocoder(bank, options.vocoder)
    rows = []
    for patch in tqdm(list(bank.programs.values()), desc=f"tuning, {name}", unit="patch"):
        fall_s = SLOW.get(patch, FALL_S)
        audio = _scale(bank, vocoder, patch, lookahead, fall_s)
        rate = bank.analysis.rate
        fits = [in_tune(_note(audio, i, rate), key, rate) for i, key in enumerate(KEYS)]
        rows.append(
            {
                "vocoder": name,
                "patch": patch,
                "lookahead": lookahead,
                "in_tune": sum(fits) / len(fits),
                "fall_db": _fall_db(audio, rate, fall_s),
                "peak": float(np.abs(audio).max()),
            }
        )
    return rows


def _scale(bank: Bank, vocoder: Vocoder, patch: str, lookahead: str, tail_s: float) -> np.ndarray:
    """The scale as a patch plays it, mono, and tail_s seconds after it."""
    messages = []
    for i, key in enumerate(KEYS):
        on = mido.Message("note_on", note=key, velocity=VELOCITY)
        messages.append(TimedMessage(i * STEP_S, on))
        messages.append(TimedMessage(i * STEP_S + HELD_S, mido.Message("note_off", note=key)))
    seconds = (len(KEYS) - 1) * STEP_S + HELD_S + tail_s + LEVEL_S
    frames = round(seconds * bank.analysis.frame_rate)
    ahead: Lookahead = "full" if lookahead == "full" else int(lookahead)
    blocks = bounce(Instrument(bank, vocoder), messages, {1: patch}, frames, ahead)
    return np.concatenate(list(blocks)).mean(axis=1)


def _note(audio: np.ndarray, index: int, rate: int) -> np.ndarray:
    """The steady middle of a note: from 60 ms after its onset until its key is let go."""
    start = index * STEP_S
    return audio[round((start + 0.06) * rate) : round((start + HELD_S) * rate)]


def _fall_db(audio: np.ndarray, rate: int, fall_s: float) -> float:
    end = (len(KEYS) - 1) * STEP_S + HELD_S
    last = audio[round((end - LEVEL_S) * rate) : round(end * rate)]
    later = audio[round((end + fall_s) * rate) : round((end + fall_s + LEVEL_S) * rate)]
    rms = [float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) for x in (last, later)]
    return 20 * float(np.log10(max(rms[0], 1e-9) / max(rms[1], 1e-9)))
