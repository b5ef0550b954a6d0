"""How well does a recording become a patch?

Scores are test pieces of a data set, ten seconds of each from its first notes on; `trainer fit`
gets the score with the sound. Distances are those of `trainer/fit/distance.py`: mean decibels over
mel bands, gains fitted. nearest: the shipped patch that fits best. own_db: what the bank's own
sound of the patch would have.

known point  the bank itself plays, at random points of its space, with random gains and beginnings.
             error: how far the point that was found lies from the right one, as a share of the
             space's diameter; guess_error: that of the encoder's guess, which knows no notes. The
             last row of them is the median.
unheard      FluidSynth plays General MIDI programs that the bank has not learnt. closer: whether
             the patch is nearer to the sound than the nearest shipped one, by 0.05 dB or more.
             With --deep distance_db is that of the deep patch, plain_db that of its point alone;
             elsewhere_db and elsewhere_plain_db are theirs from the seconds that follow in the
             same piece, which neither was fitted to.

seconds: of processor time for a fit, files and pictures apart.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.flags import add_bank_flag, add_data_flag, whole
from benchmarks.measures.takes import paths_of
from benchmarks.measures.transcription import score_notes
from benchmarks.rows import Row
from common.window import KEYS, LOWEST_KEY
from daw_bridge.events import Event, NoteOff, NoteOn
from synth.bank.bank import Bank, load_bank
from synth.instrument import Instrument
from synth.mel import Analysis, log_mel
from synth.vocoders.spectral.vocoder import SpectralVocoder
from trainer.data.dataset import load_excerpt
from trainer.data.fluidsynth import FluidSynth
from trainer.data.manifest import read_manifest
from trainer.data.plan import SOUNDFONT
from trainer.encoder.guess import guess_of, load_encoder
from trainer.fit.fitting import Fit, distance_of, fit_recording
from trainer.fit.recording import Recording
from trainer.fit.score import Score, make_score
from trainer.fit.takes import play_score

SUMMARY = "how well does a recording become a patch?"
SECONDS = 10.0
LATEST_S = 2.0
"""A recording begins so late in its score at most."""
GAINS_DB = (-20.0, 6.0)
PROGRAMS = (5, 12, 25, 49)
"""A second electric piano, marimba, steel guitar, slow strings."""
CLOSER_DB = 0.05
SEED = 0


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What is fitted."""
    add_bank_flag(parser)
    add_data_flag(parser)
    add = parser.add_argument
    add("--points", type=whole(0), default=20, help="random points to find again")
    add("--programs", type=whole(0, 127), nargs="*", default=PROGRAMS, help="to be fitted")
    add("--deep", action="store_true", help="adapt key templates to the programs")
    add("--soundfont", type=Path, default=SOUNDFONT, help="which plays the programs")


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each fit, and medians. ValueError without test pieces, or for a bad flag."""
    bank = load_bank(options.bank)
    scores = _scores(bank, options.data)
    random = np.random.default_rng(SEED)
    rows: list[Row] = []
    if options.points:
        known = [
            _known_point(bank, scores[i % len(scores)], random, i)
            for i in tqdm(range(options.points), desc="fit, known points", unit="fit")
        ]
        rows += [*known, _medians(known)]
    if options.programs:
        synth = FluidSynth(options.soundfont)
        for i, program in enumerate(tqdm(options.programs, desc="fit, programs", unit="fit")):
            events = scores[i % len(scores)]
            rows.append(_unheard(bank, events, synth, program, options.deep))
    return rows


def _scores(bank: Bank, data: Path) -> list[list[Event]]:
    """The beginnings of the data set's test pieces. ValueError if there is none."""
    patches = list(read_manifest(data).programs)
    analysis, scores = bank.analysis, []
    for path in paths_of(data, patches[0]):
        roll = load_excerpt(path, patches).roll.astype(np.float32) / 127
        first = int(roll[:, KEYS:].any(axis=1).argmax())
        stretch = roll[first : first + round((2 * SECONDS + LATEST_S) * analysis.frame_rate)]
        if stretch[:, KEYS:].any():
            scores.append(_events(stretch, analysis))
    if not scores:
        raise ValueError(f"{data / 'test'}: no test piece of {patches[0]}")
    return scores


def _events(roll: np.ndarray, analysis: Analysis) -> list[Event]:
    """The notes of a roll (frames, 176) as events, each in the middle of its frame."""
    notes = score_notes(roll, analysis.frame_rate)
    events: list[Event] = []
    for onset, end, key in zip(notes.onset, notes.end, notes.key, strict=True):
        struck = roll[int(onset * analysis.frame_rate), KEYS + key - LOWEST_KEY]
        events.append(NoteOn(round(onset * analysis.rate), 1, int(key), round(127 * float(struck))))
        events.append(NoteOff(round(end * analysis.rate), 1, int(key)))
    return sorted(events, key=lambda e: (e.time, isinstance(e, NoteOn)))


def _known_point(bank: Bank, events: list[Event], random: np.random.Generator, number: int) -> Row:
    analysis, ends = bank.analysis, np.array(bank.span)
    place = random.uniform(ends[:, 0], ends[:, 1])
    point = [*place.tolist(), *[0.0] * bank.more]
    score = make_score(events, analysis)
    start = int(random.integers(0, round(LATEST_S * analysis.frame_rate)))
    gain = np.float32(10 ** (random.uniform(*GAINS_DB) / 20))
    instrument = Instrument(bank, SpectralVocoder(analysis))
    sound = play_score(instrument, score, start, round(SECONDS * analysis.frame_rate), point)
    found, seconds = _fitted(bank, sound * gain, score)
    diameter = float(np.linalg.norm(ends[:, 1] - ends[:, 0]))
    errors = {"error": float(np.linalg.norm(np.array(found.embedding) - place)) / diameter}
    encoder = load_encoder(bank)
    if encoder is not None:
        guess = guess_of(encoder, log_mel(torch.from_numpy(sound), analysis)).numpy()
        errors["guess_error"] = float(np.linalg.norm(guess - place)) / diameter
    return _row("known point", str(number), bank, found, seconds) | errors


def _unheard(bank: Bank, events: list[Event], synth: FluidSynth, program: int, deep: bool) -> Row:
    rate, score = bank.analysis.rate, make_score(events, bank.analysis)
    sound = synth.render(events, program, rate, 2 * SECONDS)
    count = round(SECONDS * rate)
    found, seconds = _fitted(bank, sound[:count], score, deep)
    row = _row("unheard", f"program {program}", bank, found, seconds)
    if not found.deep:
        return row
    rest = Recording(sound[count:].astype(np.float32), rate, rate / 2, "", "", 0.0)
    lag = found.place.lag + round(SECONDS * bank.analysis.frame_rate)
    plain, adapted = (distance_of(bank, rest, score, lag, found, one) for one in (False, True))
    return row | {"elsewhere_plain_db": plain, "elsewhere_db": adapted}


def _fitted(bank: Bank, sound: np.ndarray, score: Score, deep: bool = False) -> tuple[Fit, float]:
    rate = bank.analysis.rate
    recording = Recording(sound.astype(np.float32), rate, rate / 2, "", "", 0.0)
    begun = time.process_time()
    found = fit_recording(bank, recording, score, False, deep)
    return found, time.process_time() - begun


def _row(task: str, sound: str, bank: Bank, found: Fit, seconds: float) -> dict:
    return {
        "task": task,
        "bank": bank.path.resolve().name,
        "sound": sound,
        "error": None,
        "guess_error": None,
        "distance_db": found.distance,
        "plain_db": found.plain_distance,
        "elsewhere_db": None,
        "elsewhere_plain_db": None,
        "nearest": found.nearest,
        "nearest_db": found.nearest_distance,
        "own_db": found.own_distance,
        "closer": found.distance < found.nearest_distance - CLOSER_DB,
        "outside": found.outside,
        "seconds": seconds,
    }


def _medians(rows: list[Row]) -> Row:
    """The median of each column of numbers; of yes and no, nothing."""
    first = {"task": rows[0]["task"], "bank": rows[0]["bank"], "sound": "median"}
    numbers: tuple[str, ...] = (
        "error",
        "distance_db",
        "plain_db",
        "nearest_db",
        "own_db",
        "seconds",
    )
    if rows[0]["guess_error"] is not None:
        numbers += ("guess_error",)
    told = {name: float(np.median([row[name] for row in rows])) for name in numbers}
    return {name: None for name in rows[0]} | first | told
