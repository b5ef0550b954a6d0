"""Workers of `render`: processes with a FluidSynth each, that measure levels and make excerpts.

On one machine they are plain processes: they are there at once, end with the one that started them,
and need nothing installed. Ray takes some seconds and half a gigabyte for its own processes before
the first excerpt; it is for the workers of many machines.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

import numpy as np

from common.files import write_whole
from common.tasks.on_ray import on_ray, ray_cluster
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


def in_pool(
    pool: ProcessPoolExecutor, jobs: Iterable[ExcerptJob], gains_db: Mapping[str, float], ahead: int
) -> Generator[None, None, None]:
    """Make excerpts, in order. So many at most are handed on before they are done: a list of all
    would grow with the data set."""
    waiting: deque[Future[None]] = deque()
    jobs = iter(jobs)
    while True:
        for job in islice(jobs, ahead - len(waiting)):
            waiting.append(pool.submit(render_excerpt, job, gains_db))
        if not waiting:
            return
        yield waiting.popleft().result()


@dataclass(frozen=True, slots=True)
class MakeExcerpts:
    """Makes the worker of a process on a cluster, whose files must be where the plan says.

    soundfont_sha256, fluidsynth: what the data set is made with; ValueError for a machine that has
    others, since its excerpts would be others.
    """

    plan: RenderPlan
    gains_db: Mapping[str, float]
    soundfont_sha256: str
    fluidsynth: str

    def __call__(self) -> Callable[[ExcerptJob], None]:
        global _plan
        _plan = self.plan
        found = hashlib.sha256(_plan.soundfont.read_bytes()).hexdigest()
        if found != self.soundfont_sha256:
            raise ValueError(f"{_plan.soundfont}: is not the data set's, but {found[:12]}...")
        if _synth().version != self.fluidsynth:
            raise ValueError(f"FluidSynth: expected {self.fluidsynth}, got {_synth().version}")
        return partial(render_excerpt, gains_db=self.gains_db)


def on_cluster(
    make: MakeExcerpts, jobs: Iterable[ExcerptJob], address: str
) -> Generator[None, None, None]:
    """Make excerpts on a Ray cluster, as they are done. ValueError for the first that cannot be."""
    with ray_cluster(address, 0), closing(on_ray(make, jobs)) as outcomes:
        for outcome in outcomes:
            if outcome.fault:
                raise ValueError(outcome.fault)
            if not (make.plan.out / outcome.task.file).exists():
                raise ValueError(
                    f"{make.plan.out / outcome.task.file}: was made, but is not here: do all "
                    "machines share the folder?"
                )
            yield None


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
