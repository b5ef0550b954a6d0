"""Does an independent transcriber hear the notes that were played?

Spotify's basic-pitch (Bittner et al., ICASSP 2022; its model is part of the package) transcribes
our sound of the test pieces' scores, and the original. f1_ours and f1_original are the note F1
of each against the score (mir_eval: onset within 50 ms, pitch within 50 cents, note ends
ignored), counted over all pieces of an instrument; "all" is the mean over instruments, ratio is
ours / original. notes: how many the score has. A ratio above 1 does not mean better than the
original, only easier to transcribe: basic-pitch hears slow attacks late, those of strings most.

basic-pitch asks for an old tensorflow that it does not need:

    pip install -e ".[bench]" && pip install --no-deps basic-pitch==0.4.0
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from benchmarks.flags import above, add_bank_flags, add_data_flag, add_lookahead_flag, whole
from benchmarks.measures.conditions import play
from benchmarks.measures.takes import instruments, load_takes, take_paths
from benchmarks.rows import Row
from common.window import KEYS, LOWEST_KEY
from synth.bank.bank import load_bank
from synth.instrument import make_instrument
from trainer.fit.transcription import quiet_basic_pitch

SUMMARY = "does an independent transcriber hear the notes that were played?"
INSTALL = 'pip install -e ".[bench]" && pip install --no-deps basic-pitch==0.4.0'
ONSET_S, CENTS = 0.05, 50


@dataclass(frozen=True, slots=True)
class Notes:
    """Notes in any order. onset, end (notes,) seconds; key (notes,) MIDI keys."""

    onset: np.ndarray
    end: np.ndarray
    key: np.ndarray


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to play it with, and how much of it."""
    add_bank_flags(parser)
    add_lookahead_flag(parser)
    add_data_flag(parser)
    add = parser.add_argument
    add("--pieces", type=whole(1), default=3, help="test pieces of each instrument")
    add("--seconds", type=above(0), default=20.0, help="of each piece")


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each instrument and one for their mean.

    Raises ValueError without basic-pitch, for a bad flag or bank, or without test pieces.
    """
    listener, bank = Listener(), load_bank(options.bank)
    instrument, analysis = make_instrument(bank, options.vocoder, "cpu"), bank.analysis
    about = {"vocoder": options.vocoder, "lookahead": options.lookahead}
    rows: list[Row] = []
    all_notes, all_f1 = 0, []
    for patch in tqdm(instruments(bank, options.data), desc="transcription", unit="instrument"):
        scores, ours, original = [], [], []
        paths = take_paths(options.data, patch, options.pieces)
        for take in load_takes(bank, paths, patch, options.seconds):
            scores.append(score_notes(take.roll[: take.frames], analysis.frame_rate))
            sound = play(instrument, options.lookahead, take)
            ours.append(listener.hear(sound, analysis.rate))
            original.append(listener.hear(take.original, analysis.rate))
        notes = sum(len(score.key) for score in scores)
        all_notes += notes
        all_f1.append((f1(scores, ours), f1(scores, original)))
        rows.append(_row(about | {"instrument": patch, "notes": notes}, *all_f1[-1]))
    means = (float(np.mean(values)) for values in zip(*all_f1, strict=True))
    return [*rows, _row(about | {"instrument": "all", "notes": all_notes}, *means)]


def score_notes(roll: np.ndarray, frame_rate: float) -> Notes:
    """The notes of a roll (frames, 176): each from its onset until its key stops or restarts.

    A note begins somewhere within its frame: its middle is taken.
    """
    frame, key = np.nonzero(roll[:, KEYS:])
    end = [_end(roll[:, k], roll[:, KEYS + k], int(t)) for t, k in zip(frame, key, strict=True)]
    return Notes((frame + 0.5) / frame_rate, (np.array(end) + 0.5) / frame_rate, key + LOWEST_KEY)


def f1(scores: Sequence[Notes], heard: Sequence[Notes]) -> float:
    """Harmonic mean of precision and recall over all pieces; 0 when nothing was heard."""
    import mir_eval

    matched = 0
    for score, notes in zip(scores, heard, strict=True):
        if len(score.key) and len(notes.key):
            pairs = mir_eval.transcription.match_notes(
                *(_intervals(score), _hertz(score), _intervals(notes), _hertz(notes)),
                onset_tolerance=ONSET_S,
                pitch_tolerance=CENTS,
                offset_ratio=None,
            )
            matched += len(pairs)
    total = sum(len(notes.key) for notes in [*scores, *heard])
    return 2 * matched / max(total, 1)


class Listener:
    """basic-pitch with its own model and settings, on the CPU.

    Raises ValueError, which says how to install it, if something of it is missing.
    """

    def __init__(self) -> None:
        try:
            with quiet_basic_pitch():
                import onnxruntime  # noqa: F401
                from basic_pitch import FilenameSuffix, build_icassp_2022_model_path
                from basic_pitch.inference import Model, predict
        except ImportError as error:
            raise ValueError(f"basic-pitch cannot be loaded ({error}); {INSTALL}") from None
        self._predict = predict
        self._model = Model(build_icassp_2022_model_path(FilenameSuffix.onnx))

    def hear(self, audio: np.ndarray, rate: int) -> Notes:
        """The notes in audio (samples,) in -1..1."""
        with tempfile.TemporaryDirectory() as folder, quiet_basic_pitch():
            # It takes nothing but files.
            path = Path(folder) / "heard.wav"
            soundfile.write(path, audio, rate, subtype="FLOAT")
            _, _, events = self._predict(path, self._model)
        columns: list[Any] = list(zip(*events, strict=True))[:3] or [(), (), ()]
        onset, end, key = (np.array(column, float) for column in columns)
        return Notes(onset, end, key.astype(int))


def _row(about: Row, ours: float, original: float) -> Row:
    ratio = ours / max(original, 1e-9)
    return {**about, "f1_ours": ours, "f1_original": original, "ratio": ratio}


def _end(sounding: np.ndarray, onsets: np.ndarray, start: int) -> int:
    over = np.flatnonzero((sounding[start + 1 :] == 0) | (onsets[start + 1 :] > 0))
    return start + 1 + int(over[0]) if len(over) else len(sounding)


def _intervals(notes: Notes) -> np.ndarray:
    return np.stack([notes.onset, notes.end], axis=1)


def _hertz(notes: Notes) -> np.ndarray:
    return 440 * 2 ** ((notes.key - 69) / 12)
