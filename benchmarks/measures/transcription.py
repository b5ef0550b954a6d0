"""Can a listener whom nobody here trained write down what was played?

Spotify's basic-pitch (Bittner et al., ICASSP 2022; its wheel carries its model) transcribes
our playing of the test pieces' scores and the renderer's original. Figures are the note F1 of
each against the score (mir_eval: onset within 50 ms, pitch within 50 cents, ends not asked),
matches counted over all pieces of an instrument; "all" is the mean over instruments, ratio
ours over the original's. notes: how many the score has. A ratio above 1 is not better than
the original, only easier to read: basic-pitch hears slow attacks late, strings' above all.

basic-pitch asks for an old tensorflow that it does not need:

    pip install -e ".[bench]" && pip install --no-deps basic-pitch==0.4.0
"""

from __future__ import annotations

import argparse
import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from benchmarks.measures.conditions import check_lookahead, play
from benchmarks.measures.takes import instruments, load_takes, take_paths
from benchmarks.rows import Row, add_bank_flags, make_vocoder
from daw_bridge.piano_roll import KEYS, LOWEST_KEY
from synth.bank.bank import load_bank

SUMMARY = "does an independent transcriber hear the notes that were played?"
INSTALL = 'pip install -e ".[bench]" && pip install --no-deps basic-pitch==0.4.0'
ONSET_S, CENTS = 0.05, 50


@dataclass(frozen=True, slots=True)
class Notes:
    """Notes in no order. onset, end (notes,) seconds; key (notes,) MIDI keys."""

    onset: np.ndarray
    end: np.ndarray
    key: np.ndarray


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to play it with, and how much of it."""
    add_bank_flags(parser)
    parser.add_argument("--lookahead", default="0", help="frames, or full")
    parser.add_argument("--data", type=Path, default=Path("runs/data"), help="data set folder")
    parser.add_argument("--pieces", type=int, default=3, help="test pieces of each instrument")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each piece")


def measure(options: argparse.Namespace) -> list[Row]:
    """A row for each instrument and one for their mean.

    Raises ValueError without basic-pitch, for a bad flag or bank, or without test pieces.
    """
    check_lookahead(options.lookahead)
    if options.pieces < 1 or options.seconds < 1:
        raise ValueError("--pieces and --seconds must be 1 or more")
    listener, bank = Listener(), load_bank(options.bank)
    mel2mel, vocoder = bank.mel2mel(), make_vocoder(bank, options.vocoder)
    about = {"vocoder": options.vocoder, "lookahead": options.lookahead}
    rows: list[Row] = []
    analysis = bank.analysis
    for patch in tqdm(instruments(bank, options.data), desc="transcription", unit="instrument"):
        scores, ours, original = [], [], []
        paths = take_paths(options.data, patch, options.pieces)
        for take in load_takes(bank, paths, patch, options.seconds):
            scores.append(score_notes(take.roll[: take.frames], analysis.frame_rate))
            sound = play(analysis, mel2mel, vocoder, options.lookahead, take)
            ours.append(listener.hear(sound, analysis.rate))
            original.append(listener.hear(take.original, analysis.rate))
        notes = sum(len(score.key) for score in scores)
        figures = {"f1_ours": f1(scores, ours), "f1_original": f1(scores, original)}
        rows.append(_row(about | {"instrument": patch, "notes": notes}, figures))
    mean = {k: float(np.mean([row[k] for row in rows])) for k in ("f1_ours", "f1_original")}
    total = sum(row["notes"] for row in rows)
    return [*rows, _row(about | {"instrument": "all", "notes": total}, mean)]


def score_notes(roll: np.ndarray, frame_rate: float) -> Notes:
    """The notes of a roll (frames, 176): each from its onset until its key rests or restarts.

    A note begins somewhere within its frame: its middle is taken.
    """
    frame, key = np.nonzero(roll[:, KEYS:])
    end = [_end(roll[:, k], roll[:, KEYS + k], t) for t, k in zip(frame, key, strict=True)]
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

    Raises ValueError, saying how to install it, where something of it is missing.
    """

    def __init__(self) -> None:
        try:
            with _quiet():
                import onnxruntime  # noqa: F401
                from basic_pitch import FilenameSuffix, build_icassp_2022_model_path
                from basic_pitch.inference import Model, predict
        except ImportError as error:
            raise ValueError(f"basic-pitch cannot be loaded ({error}); {INSTALL}") from None
        self._predict = predict
        self._model = Model(build_icassp_2022_model_path(FilenameSuffix.onnx))

    def hear(self, audio: np.ndarray, rate: int) -> Notes:
        """The notes in audio (samples,) in -1..1."""
        with tempfile.TemporaryDirectory() as folder, _quiet():
            # It takes nothing but files.
            path = Path(folder) / "heard.wav"
            soundfile.write(path, audio, rate, subtype="FLOAT")
            _, _, events = self._predict(path, self._model)
        columns: list[Any] = list(zip(*events, strict=True))[:3] or [(), (), ()]
        onset, end, key = (np.array(column, float) for column in columns)
        return Notes(onset, end, key.astype(int))


def _row(about: Row, figures: dict[str, float]) -> Row:
    ratio = figures["f1_ours"] / max(figures["f1_original"], 1e-9)
    return {**about, **figures, "ratio": ratio}


def _end(sounding: np.ndarray, onsets: np.ndarray, start: int) -> int:
    over = np.flatnonzero((sounding[start + 1 :] == 0) | (onsets[start + 1 :] > 0))
    return start + 1 + int(over[0]) if len(over) else len(sounding)


def _intervals(notes: Notes) -> np.ndarray:
    return np.stack([notes.onset, notes.end], axis=1)


def _hertz(notes: Notes) -> np.ndarray:
    return 440 * 2 ** ((notes.key - 69) / 12)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide which of its four runtimes basic-pitch does without, and what it is doing."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
