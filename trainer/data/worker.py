"""Workers of `render`: processes with a FluidSynth each, that measure levels and make excerpts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np

from common.files import write_whole
from common.threads import end_with_parent
from daw_bridge.events import Event
from daw_bridge.midi.file import read_midi_file
from daw_bridge.piano_roll import PianoRoll
from trainer.data.fluidsynth import FluidSynth
from trainer.data.jobs import ExcerptJob
from trainer.data.plan import RenderPlan
from trainer.data.score import etude, excerpt, key_alone, score_events, within
from trainer.data.storage import excerpt_bytes

CALIBRATION_S = 30.0
"""Of each calibration piece; from its second half minute where it is long enough."""
PIECES_KEPT = 256
"""Parsed pieces that a worker keeps: 200 MB, and few of a large corpus are parsed twice."""


@contextmanager
def worker_pool(plan: RenderPlan, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes that end when this one ends. Excerpts that were begun are finished."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process
    pool = ProcessPoolExecutor(workers, initializer=_start, initargs=(plan,))
    try:
        pool.submit(os.getpid).result()
        signal.signal(signal.SIGINT, previous)
        yield pool
    except BrokenProcessPool:
        raise ValueError(
            f"{plan.out}: a worker was ended from outside (out of memory?); run it again, with "
            "fewer --workers"
        ) from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave halves
        pool.shutdown(cancel_futures=True)
        signal.signal(signal.SIGINT, previous)


def loudest_sample(program: int, pieces: list[tuple[str, float]]) -> float:
    """The loudest sample of a program, before any gain, in the second half minute of pieces,
    each (path, seconds)."""
    loudest = 0.0
    for path, length in pieces:
        played = min(CALIBRATION_S, length)
        start = min(CALIBRATION_S, length - played)
        events = _piece_events(path, program, start, start + played)
        audio = _synth().render(events, program, _plan.rate, played)
        loudest = max(loudest, float(np.abs(audio).max()))
    return loudest


def render_excerpt(job: ExcerptJob, gains_db: Mapping[str, float]) -> None:
    """Make one file of the data set. Raises ValueError for a piece that is no MIDI file."""
    plan = _plan
    if job.key is not None:
        events = key_alone(plan.rate, job.played_s, job.key)
    elif job.piece is None:
        random, keys = np.random.default_rng(job.seed), plan.keys_of(job.program)
        events = etude(random, plan.rate, job.played_s, keys)
    else:
        events = _piece_events(job.piece, job.program, job.start, job.start + job.played_s)
    seconds = job.played_s + plan.release_of(job.program)
    audio = _synth().render(events, job.program, plan.rate, seconds)
    audio = audio * 10 ** (gains_db[job.patch] / 20)
    frames = -(-len(audio) // plan.hop)
    roll = PianoRoll(plan.hop).frames(events, 0, frames)
    content = excerpt_bytes(
        np.rint(np.clip(audio, -1, 1) * 32767).astype(np.int16),
        np.rint(roll * 127).astype(np.uint8),
        plan.rate,
        job.patch,
    )
    write_whole(plan.out / job.file, content)


_plan: RenderPlan
"""What this worker process renders."""


def _start(plan: RenderPlan) -> None:
    global _plan
    _plan = plan
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


@lru_cache(1)
def _synth() -> FluidSynth:
    return FluidSynth(_plan.soundfont, _plan.render_rate)


def _piece_events(path: str, program: int, start: float, stop: float) -> list[Event]:
    rate = _plan.rate
    whole = _whole_piece(_plan.midi / path, rate)
    return within(excerpt(whole, round(start * rate), round(stop * rate)), _plan.keys_of(program))


@lru_cache(PIECES_KEPT)
def _whole_piece(path: Path, rate: int) -> list[Event]:
    return score_events(read_midi_file(path), rate)
