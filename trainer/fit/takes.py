"""The notes of a recording, played by the bank through the engine that plays live."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.files import whole_file
from common.window import Window
from daw_bridge.windows import stereo_gain
from synth.instrument import Instrument
from synth.limiter import Limiter
from synth.output.wav import WavWriter
from trainer.fit.score import Score

LEAD_S = 4.0
"""Played before a stretch, so that what rings into it is there."""
BLOCK_FRAMES = 64
PAUSE_S = 0.7
"""Silence between the takes of a comparison."""
PEAK = 10 ** (-1 / 20)
"""A comparison that would clip peaks at -1 dB; the takes keep their levels beside each other."""


def play_score(
    instrument: Instrument, score: Score, start: int, count: int, point: Sequence[float]
) -> np.ndarray:
    """Frames start .. start + count of a score at 0 dB, without limiter: (samples,), float32.

    point: the network's input. No lookahead, as the server plays by default.
    """
    engine = instrument.engine(lookahead=0, limiter=Limiter(squeezes=False))
    lead = round(LEAD_S * instrument.bank.analysis.frame_rate)
    frames = lead + count + engine.delay
    roll = score.tensors(start - lead, frames)[0][0].numpy()
    window = Window(
        1,
        roll,
        np.tile(np.array(point, np.float32), (frames, 1)),
        # Hard left: the only place where one channel has all of a part.
        np.tile(stereo_gain(0.0, -1.0), (frames, 1)),
        np.zeros(frames, np.float32),
        np.zeros(frames, bool),
    )
    blocks = []
    for at in range(0, frames, BLOCK_FRAMES):
        now = min(BLOCK_FRAMES, frames - at)
        blocks.append(engine.render([window.span(at, now)], now)[:, 0])
    first = (lead + engine.delay) * engine.hop
    return np.concatenate(blocks)[first : first + count * engine.hop]


def write_comparison(path: Path, takes: Sequence[np.ndarray], rate: int) -> None:
    """Write takes (samples,) into one mono WAV, one after the other. OSError if that fails."""
    loudest = max(float(np.abs(take).max(initial=0)) for take in takes)
    factor = np.float32(min(1.0, PEAK / max(loudest, 1e-9)))
    pause = np.zeros((round(PAUSE_S * rate), 1), np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        wav = WavWriter(file, rate, 1)
        for number, take in enumerate(takes):
            if number:
                wav.write(pause)
            wav.write((take * factor)[:, None].astype(np.float32))
        wav.renew_header()
