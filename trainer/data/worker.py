"""Workers of `render`: processes with a FluidSynth each, that measure levels and make excerpts."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing import parent_process
from pathlib import Path

import numpy as np

from daw_bridge.events import Event
from daw_bridge.midi.file import read_midi_file
from daw_bridge.piano_roll import PianoRoll
from trainer.data.fluidsynth import FluidSynth
from trainer.data.plan import Excerpt, Recipe
from trainer.data.score import etude, excerpt, key_alone, score_events, within
from trainer.data.storage import excerpt_bytes, write_whole

CALIBRATION_S = 30.0
"""Of each calibration piece; from its second half minute where it is long enough."""
PIECES_KEPT = 256
"""Parsed pieces that a worker keeps: 200 MB, and few of a large corpus are parsed twice."""


@contextmanager
def worker_pool(recipe: Recipe, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes that end with this one, whatever ends it; what is begun is finished."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process
    pool = ProcessPoolExecutor(workers, initializer=_start, initargs=(recipe,))
    try:
        pool.submit(os.getpid).result()
        signal.signal(signal.SIGINT, previous)
        yield pool
    except BrokenProcessPool:
        raise ValueError(
            f"{recipe.out}: a worker was ended from outside (out of memory?); run it again, with "
            "fewer --workers"
        ) from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an impatient second one would leave halves
        pool.shutdown(cancel_futures=True)
        signal.signal(signal.SIGINT, previous)


def loudest_sample(program: int, pieces: list[tuple[str, float]]) -> float:
    """Of a program, at its own level, in the second half minute of (path, seconds) each."""
    loudest = 0.0
    for path, length in pieces:
        played = min(CALIBRATION_S, length)
        start = min(CALIBRATION_S, length - played)
        events = _piece_events(path, program, start, start + played)
        audio = _synth().render(events, program, _recipe.rate, played)
        loudest = max(loudest, float(np.abs(audio).max()))
    return loudest


def render_excerpt(job: Excerpt, gains_db: Mapping[str, float]) -> None:
    """Make one file of the data set. Raises ValueError for a piece that is no MIDI file."""
    recipe = _recipe
    if job.key is not None:
        events = key_alone(recipe.rate, job.played_s, job.key)
    elif job.piece is None:
        random, keys = np.random.default_rng(job.seed), recipe.keys_of(job.program)
        events = etude(random, recipe.rate, job.played_s, keys)
    else:
        events = _piece_events(job.piece, job.program, job.start, job.start + job.played_s)
    seconds = job.played_s + recipe.release_of(job.program)
    audio = _synth().render(events, job.program, recipe.rate, seconds)
    audio = audio * 10 ** (gains_db[job.patch] / 20)
    frames = -(-len(audio) // recipe.hop)
    roll = PianoRoll(recipe.hop).frames(events, 0, frames)
    content = excerpt_bytes(
        np.rint(np.clip(audio, -1, 1) * 32767).astype(np.int16),
        np.rint(roll * 127).astype(np.uint8),
        recipe.rate,
        job.patch,
    )
    write_whole(recipe.path_of(job), content)


_recipe: Recipe
"""Of the worker that this process is."""


def _start(recipe: Recipe) -> None:
    global _recipe
    _recipe = recipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def end_with_parent() -> None:
    """End this worker when the process that started it is gone: one that was killed would
    leave workers that wait for ever."""

    def wait() -> None:
        parent_process().join()
        os._exit(1)

    if parent_process():
        threading.Thread(target=wait, daemon=True).start()


@lru_cache(1)
def _synth() -> FluidSynth:
    return FluidSynth(_recipe.soundfont, _recipe.render_rate)


def _piece_events(path: str, program: int, start: float, stop: float) -> list[Event]:
    rate = _recipe.rate
    whole = _whole_piece(_recipe.midi / path, rate)
    return within(excerpt(whole, round(start * rate), round(stop * rate)), _recipe.keys_of(program))


@lru_cache(PIECES_KEPT)
def _whole_piece(path: Path, rate: int) -> list[Event]:
    return score_events(read_midi_file(path), rate)
