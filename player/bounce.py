"""A score rendered offline, by the engine that plays live."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from common.window import Window
from daw_bridge.desk.desk import Desk
from daw_bridge.inbox import Inbox
from daw_bridge.midi.file import TimedMessage
from daw_bridge.midi.messages import MidiTranslator
from daw_bridge.windows import Windows
from synth.bank.bank import Bank
from synth.engine import Engine
from synth.instrument import Instrument
from synth.limiter import Limiter
from synth.output.pairs import PartPairs

Lookahead = int | Literal["full"]
"""In frames, or the whole piece."""
BLOCK_FRAMES = 16
"""Frames rendered at once. The size of a block cannot change the sound."""


def bounce(
    instrument: Instrument,
    messages: Sequence[TimedMessage],
    patches: Mapping[int, str],
    frames: int,
    lookahead: Lookahead = 0,
    seed: int = 0,
    block: int = BLOCK_FRAMES,
    midi_map: Path | None = None,
    limiter: Limiter | None = None,
    pairs: PartPairs | None = None,
) -> Iterator[np.ndarray]:
    """Blocks (samples, 2), float32, of a score's first frames, aligned with the score.

    A note's tone is half a frame behind the engine's: what the network learnt from has notes
    anywhere in their frames. That half frame is cut off, too.

    messages: in order of time; patches: part -> patch name; lookahead: in frames, or "full" for
    the whole piece; midi_map: the file of learnt controllers, if any are to be heard; limiter: what
    the mix goes through; pairs: what puts each part beside the mix, in blocks (samples, 34) of one
    frame. Raises ValueError before the first block.
    """
    score = _Score(instrument.bank, messages, patches, midi_map)
    return _blocks(
        instrument, score, frames, lookahead, seed, 1 if pairs else block, limiter, pairs
    )


class _Score:
    """Messages turned into windows, as a live server does it."""

    def __init__(
        self,
        bank: Bank,
        messages: Sequence[TimedMessage],
        patches: Mapping[int, str],
        midi_map: Path | None,
    ) -> None:
        self._rate, self._hop = bank.analysis.rate, bank.analysis.hop
        # The whole piece may be posted at once.
        self._inbox = Inbox(limit=sys.maxsize)
        desk = Desk(bank, self._inbox.post, lambda: 0, midi_map)
        desk.announce(0)
        for part, name in patches.items():
            desk.patch(part, name, 0)
        self._translator = MidiTranslator(desk, self._inbox.post)
        self._windows = Windows(self._hop, bank.point(bank.names[0]))
        self._waiting = deque(messages)

    def frames(self, start: int, count: int) -> list[Window]:
        """Every part's window of frames start .. start + count; asked for in order."""
        end = (start + count) * self._hop
        while self._waiting and round(self._waiting[0].seconds * self._rate) < end:
            timed = self._waiting.popleft()
            self._translator.hear(timed.message, round(timed.seconds * self._rate))
        return self._windows.frames(self._inbox.take_until(end), start, count)


def _blocks(
    instrument: Instrument,
    score: _Score,
    frames: int,
    lookahead: Lookahead,
    seed: int,
    block: int,
    limiter: Limiter | None,
    pairs: PartPairs | None,
) -> Iterator[np.ndarray]:
    whole: list[Window] = []
    if lookahead == "full":
        whole = score.frames(0, frames + instrument.vocoder.lookahead + 1)
        engine: Engine = instrument.foreseeing_engine(whole, seed, limiter)
    else:
        engine = instrument.engine(lookahead, seed, limiter)
    # The first sound out belongs to the time before the piece.
    early = engine.delay * engine.hop + engine.hop // 2
    missing, last = frames * engine.hop, frames + engine.delay + 1
    for start in range(0, last, block):
        count = min(block, last - start)
        now = [w.span(start, count) for w in whole] if whole else score.frames(start, count)
        sound = engine.render(now, count)
        if pairs:
            sound = pairs.block(sound, engine.stems)
        skip = min(early, len(sound))
        early -= skip
        heard = sound[skip : skip + missing]
        missing -= len(heard)
        yield heard
