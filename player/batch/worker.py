"""Renders one task after the other, in whatever process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from common.loudness import decibels
from common.threads import share_cores
from common.window import PARTS
from daw_bridge.midi.file import midi_messages
from daw_bridge.midi.sysex import DRUMS
from player.batch.settings import ROOT, Settings, bank_of, file_sha256
from player.batch.sound_files import Level, at_loudness, file_names, write_files
from player.batch.tasks import Task
from player.bounce import bounce
from player.score import frames_of, playable_score
from synth.instrument import make_instrument
from synth.limiter import Limiter
from synth.output.pairs import PartPairs
from synth.vocoders.wavenet.vocoder import AnyWaveNetVocoder


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a task.

    files: name -> SHA-256, the mix first; seconds: of sound; took_s, cpu_s: to make it, by the
    clock and of a core; at, host: when and where; notes: what was left out of the score.
    """

    files: dict[str, str]
    seconds: float
    peak_db: float
    level: Level | None
    notes: list[str]
    took_s: float
    cpu_s: float
    at: str
    host: str


@dataclass(frozen=True, slots=True)
class MakeWorker:
    """Makes the worker of a process. alone: whether nobody works beside it on the same cores;
    together: whether it is called in several threads at once, as a GPU wants it (`TOGETHER`)."""

    settings: Settings
    out: Path
    alone: bool
    together: bool = False

    def __call__(self) -> Worker:
        return Worker(self.settings, self.out, self.alone, self.together)


class Worker:
    """Holds a bank, and makes files of tasks with it. ValueError if it is not the bank that was
    asked for; OSError or ValueError for what one task lacks.

    together: it may be called in several threads at once, and a WaveNet draws for all of them.
    """

    def __init__(self, settings: Settings, out: Path, alone: bool, together: bool = False) -> None:
        torch.set_num_threads(1)
        if together or not alone:
            share_cores(1)
        self._settings, self._out = settings, out
        self._bank = bank_of(settings)
        self._instrument = make_instrument(self._bank, settings.vocoder, settings.sampler or "cpu")
        self._ended = threading.Event()
        self._piece: Callable[[], AbstractContextManager[None]] = nullcontext
        self._cpu = time.thread_time if together else time.process_time
        vocoder = self._instrument.vocoder
        if together and isinstance(vocoder, AnyWaveNetVocoder):
            self._play_once()
            self._piece = vocoder.drawing.draw_together().piece

    def _play_once(self) -> None:
        """Load and compile what threads share, before there are any."""
        vocoder, _ = self._instrument.vocoder, self._instrument.mel2mel
        frames = torch.zeros(1, 1, self._bank.analysis.count(vocoder.head))
        draws = torch.zeros(1, 1, vocoder.draws_per_frame)
        vocoder.step(frames, vocoder.initial_state(1), draws)

    def end(self) -> None:
        """Let what is under way in other threads fail soon."""
        self._ended.set()

    def __call__(self, task: Task) -> Made:
        began, cpu = time.perf_counter(), self._cpu()
        settings, analysis = self._settings, self._bank.analysis
        if not task.content:
            raise ValueError(f"{task.score}: is gone, or has changed since the batch was started")
        notes: list[str] = []
        chosen = {} if task.patch is None else {p: task.patch for p in PARTS if p != DRUMS}
        messages = midi_messages(task.content, str(task.score), notes.append)
        score = playable_score(messages, chosen, self._bank, str(task.score), notes.append)
        parts = settings.outputs == "parts"
        limiter = Limiter(settings.gain, squeezes=settings.loudness is None)
        bounced = bounce(
            self._instrument,
            score.messages,
            chosen,
            frames_of(score, self._instrument),
            settings.lookahead,
            settings.seed,
            midi_map=ROOT / settings.midi_map if settings.midi_map else None,
            limiter=limiter,
            pairs=PartPairs(settings.gain) if parts else None,
        )
        names = file_names(task.name, settings.format, score.parts if parts else ())
        paths, level = {n: self._out / name for n, name in names.items()}, None
        form, rate, lufs = settings.format, analysis.rate, settings.loudness
        with closing(self._until_ended(bounced)) as blocks:
            if lufs is None:
                samples = write_files(paths, form, rate, blocks)
            else:
                with at_loudness(blocks, rate, lufs, self._out) as (same, level):
                    samples = write_files(paths, form, rate, same)
        return Made(
            files={path.name: file_sha256(path) for path in paths.values()},
            seconds=samples / analysis.rate,
            peak_db=float(decibels(limiter.peak)),
            level=level,
            notes=notes,
            took_s=time.perf_counter() - began,
            cpu_s=self._cpu() - cpu,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            host=socket.gethostname(),
        )

    def _until_ended(self, blocks: Iterator[np.ndarray]) -> Generator[np.ndarray, None, None]:
        """The same blocks. Other threads wait for this one only until the last of them."""
        with self._piece():
            for block in blocks:
                if self._ended.is_set():
                    raise ValueError("interrupted")
                yield block
