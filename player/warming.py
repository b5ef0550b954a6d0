"""Plays a short note to nobody before a player starts, so that nothing is compiled while it plays.

A first start compiles for a while. Where there is a second core, a process compiles the vocoder
meanwhile, and leaves it where compiled code is kept; it writes a line for each function:

    python -m player.warming BANK VOCODER SAMPLER SOON
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from numba.core import event

from common.threads import cores_here
from common.window import Window
from daw_bridge.events import NoteOn
from daw_bridge.windows import Windows
from synth.bank.bank import Bank, load_bank
from synth.engine import Engine
from synth.instrument import Instrument, make_instrument
from synth.predictor import Streaming
from synth.vocoders.spectral.vocoder import SpectralVocoder

COMPILING = "numba:compile"
HERE = Path(__file__).resolve().parents[1]
KEY = 60


def warm_up(
    instrument: Instrument, lookahead: int, seed: int, soon: bool, count: Callable[[], None]
) -> None:
    """Compile whatever an instrument needs to play. soon: as `make_instrument` was told; count: is
    called for each function that the other process has compiled."""
    with ExitStack() as stack:
        vocoder = instrument.vocoder
        beside = _Beside(_arguments(instrument, soon), count)
        stack.callback(beside.end)
        if cores_here() > 1 and getattr(vocoder, "sampler", "") != "triton":
            stack.enter_context(event.install_listener(COMPILING, beside))
        predictor = Streaming(instrument.mel2mel, vocoder.head, lookahead)
        (window,) = _windows(instrument.bank, vocoder.hop, 1)
        roll, embedding, late = (
            torch.from_numpy(x[None]) for x in (window.roll, window.embedding, window.lateness)
        )
        predictor.step([window.row], 0, roll, embedding, predictor.initial_state(1), late)
        beside.wait()
    _play(instrument.engine(lookahead, seed), instrument.bank)


class _Beside(event.Listener):
    """Starts the other process when the first function has to be compiled."""

    def __init__(self, arguments: list[str], count: Callable[[], None]) -> None:
        self._arguments, self._count = arguments, count
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)

    def on_start(self, event: Any) -> None:
        if self._process:
            return
        paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "player.warming", *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        self._reader.start()

    def on_end(self, event: Any) -> None:
        pass

    def _read(self) -> None:
        assert self._process and self._process.stdout
        for _ in self._process.stdout:
            self._count()

    def wait(self) -> None:
        """Until it is done. If it fails, this process compiles what is missing."""
        if self._process:
            self._reader.join()

    def end(self) -> None:
        """End it, if it still runs."""
        if self._process:
            self._process.kill()
            self._process.wait()


def _arguments(instrument: Instrument, soon: bool) -> list[str]:
    """Of the other process, for this instrument."""
    name = "spectral" if isinstance(instrument.vocoder, SpectralVocoder) else "wavenet"
    sampler = getattr(instrument.vocoder, "sampler", "auto")
    return [str(instrument.bank.path.resolve()), name, sampler, str(int(soon))]


def _windows(bank: Bank, hop: int, frames: int) -> list[Window]:
    """A note from its first frame on."""
    return Windows(hop, bank.point(bank.names[0])).frames([NoteOn(0, 1, KEY, 100)], 0, frames)


def _play(engine: Engine, bank: Bank) -> None:
    windows = Windows(engine.hop, bank.point(bank.names[0]))
    note = [NoteOn(0, 1, KEY, 100)]
    for frame in range(engine.delay + 3):
        engine.render(windows.frames(note if frame == 0 else [], frame, 1), 1)


class _Lines(event.Listener):
    """A line for each function that has been compiled."""

    def on_start(self, event: Any) -> None:
        pass

    def on_end(self, event: Any) -> None:
        print(flush=True)


def main(bank: str, vocoder: str, sampler: str, soon: str) -> None:
    """Compile a vocoder."""
    loaded = load_bank(Path(bank))
    made = make_instrument(loaded, vocoder, sampler, soon == "1").vocoder
    frames = torch.zeros(1, 1, loaded.analysis.count(made.head))
    draws = torch.full((1, 1, made.draws_per_frame), 0.5)
    with event.install_listener(COMPILING, _Lines()):
        made.step(frames, made.initial_state(1), draws)


if __name__ == "__main__":
    main(*sys.argv[1:])
