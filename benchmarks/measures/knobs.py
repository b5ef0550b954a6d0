"""What does each knob of a bank move, and what else?

Every patch plays C3, C4 and C5 for 2.2 s at velocity 90 through the whole engine: as saved, and
with one knob at 0 or at 1. The columns are means over the keys, differences from the patch as
saved, but for attack_ms, which is how long a note takes to 70% of the largest RMS (10 ms) of its
first half second, less what it takes as saved:

    loudness_lu      integrated loudness (BS.1770)
    centroid_oct     octaves of the mean frequency, weighted by power, 0.1-1 s after the onset
    attack_ms        see above
    fall_db          how much more a held note falls from 0.3 to 2 s after its onset
    movement_db      standard deviation over time of mel bands, as in `play`
    body_db, air_db  level from 110 to 440 Hz, and from 5 kHz up, relative to 440 Hz to 3.5 kHz

A row for each patch, then one for all patches together, the mean of them. Levels that lie 70 dB
below a note's loudest count as that.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from benchmarks.flags import add_bank_flags, add_lookahead_flag
from benchmarks.measures.play.movement import movement
from benchmarks.measures.play.stage import LEAD_IN_S, Ours, Pair
from benchmarks.rows import Row
from common.loudness import SILENCE_DB, level_db, loudness
from synth.bank.bank import Bank, load_bank
from synth.instrument import make_instrument
from synth.mel import Analysis

SUMMARY = "what does each knob move, and what else?"
KEYS, VELOCITY = (48, 60, 72), 90
HELD_S, LISTENED_S = 2.2, 3.6
ENDS = (0.0, 1.0)
SHARE, BUILT_S, STEP_S = 0.7, 0.5, 0.01
TONE_S, FALL_S = (0.1, 1.0), (0.3, 2.0)
BODY_HZ, MIDDLE_HZ, AIR_HZ = (110.0, 440.0), (440.0, 3_500.0), (5_000.0, 1e9)
FAINT_DB = 70.0
FIGURES = (
    "loudness_lu",
    "centroid_oct",
    "attack_ms",
    "fall_db",
    "movement_db",
    "body_db",
    "air_db",
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to play it with."""
    add_bank_flags(parser)
    add_lookahead_flag(parser, full=False)


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each knob, end and patch, and for all patches. ValueError for a bank without
    knobs."""
    bank = load_bank(options.bank)
    if not bank.knobs:
        raise ValueError(f"{bank.path}: has no knobs")
    ours = Ours(make_instrument(bank, options.vocoder, "cpu"), options.lookahead)
    turns = [(knob, end) for knob in bank.knobs for end in ENDS]
    moved = np.stack(
        [_moved(ours, patch, turns) for patch in tqdm(bank.names, desc="knobs", unit="patch")], 1
    )
    rows: list[Row] = []
    for (knob, end), by_patch in zip(turns, moved, strict=True):
        named = [*zip(bank.names, by_patch, strict=True), ("all", by_patch.mean(0))]
        for patch, values in named:
            figures = dict(zip(FIGURES, map(float, values), strict=True))
            rows.append({"bank": bank.path.resolve().name, "knob": knob, "at": end, "patch": patch})
            rows[-1] = {**rows[-1], **figures}
    return rows


def _moved(ours: Ours, patch: str, turns: Sequence[tuple[str, float]]) -> np.ndarray:
    """What each turn of a knob moves in a patch: (turns, figures)."""
    points = [_point(ours.bank, patch, *turn) for turn in turns]
    saved = _point(ours.bank, patch, *turns[0][:1], 0.5)
    found = []
    for key in KEYS:
        strikes = [(0.0, HELD_S, key, VELOCITY)]
        takes = ours.play_each([saved, *points], strikes, LISTENED_S)
        takes = takes[:, round(LEAD_IN_S * ours.rate) :]
        analysis = ours.bank.analysis
        heard = np.stack([figures(take, takes[0], analysis) for take in takes])
        found.append(heard[1:] - heard[0])
    return np.mean(found, axis=0)


def _point(bank: Bank, patch: str, knob: str, value: float) -> tuple[float, ...]:
    """Where a patch plays with one knob turned, the others in the middle."""
    way = np.array(bank.knobs[knob])
    point = np.array(bank.point(patch))[: len(way)] + (value - 0.5) * way
    return tuple(point.tolist())


def figures(note: np.ndarray, saved: np.ndarray, analysis: Analysis) -> np.ndarray:
    """`FIGURES` of a note (samples,) that begins at 0 s; saved: the same as the patch has it."""
    rate = analysis.rate
    first, last = (round(s * rate) for s in TONE_S)
    hertz = np.fft.rfftfreq(last - first, 1 / rate)
    power = np.abs(np.fft.rfft(note[first:last] * np.hanning(last - first))) ** 2
    power = np.maximum(power, power.max() * 10 ** (-FAINT_DB / 10) / len(power) + 1e-20)
    centroid = np.log2((power @ hertz) / power.sum())
    levels = [
        10 * np.log10(power[(hertz >= low) & (hertz < high)].sum())
        for low, high in (BODY_HZ, MIDDLE_HZ, AIR_HZ)
    ]
    fall = [level_db(note[round((s - 0.1) * rate) : round((s + 0.1) * rate)]) for s in FALL_S]
    faintest = max(level_db(note[: round(rate)]) - FAINT_DB, SILENCE_DB)
    moves, _ = movement(Pair(note, saved, rate), analysis)
    return np.array(
        [
            loudness(note, rate),
            centroid,
            attack_ms(note, rate),
            max(fall[0], faintest) - max(fall[1], faintest),
            moves,
            levels[0] - levels[1],
            levels[2] - levels[1],
        ]
    )


def attack_ms(note: np.ndarray, rate: int) -> float:
    """Milliseconds after which a note has 70% of the largest RMS of its first half second."""
    step = round(STEP_S * rate)
    count = round(BUILT_S / STEP_S)
    rms = np.sqrt(np.square(note[: count * step].reshape(count, step)).mean(axis=1))
    return float(np.argmax(rms >= SHARE * rms.max())) * STEP_S * 1000
