"""A bank ready to play: its network, a vocoder, and engines made of the two.

The only place where an engine is assembled: live playing, bouncing, benchmarks and the trainer's
check all come here.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from common.window import Window
from synth.bank.bank import Bank
from synth.bank.choice import choose_vocoder
from synth.engine import Engine
from synth.limiter import Limiter
from synth.mel import band_centres
from synth.mel2mel.network import Mel2Mel
from synth.predictor import Foreseen, Predictor, Streaming
from synth.vocoders.contract import Vocoder


class Instrument:
    """A bank and the vocoder that plays it.

    reason: one line that says which vocoder it is and why.
    """

    def __init__(self, bank: Bank, vocoder: Vocoder, reason: str = "") -> None:
        self.bank, self.vocoder, self.reason = bank, vocoder, reason

    @cached_property
    def mel2mel(self) -> Mel2Mel:
        """The bank's network. Raises ValueError when its weights do not fit."""
        return self.bank.mel2mel()

    @property
    def ring_out_frames(self) -> int:
        """Frames after a part's last key within which it has died away."""
        return round(self.bank.ring_out_s * self.bank.analysis.frame_rate)

    def engine(self, lookahead: int, seed: int = 0, limiter: Limiter | None = None) -> Engine:
        """An engine that hears the score as it comes, lookahead frames ahead of the sound."""
        predictor = Streaming(self.mel2mel, self.vocoder.head, lookahead)
        return self._assemble(predictor, seed, limiter)

    def foreseeing_engine(
        self, windows: Iterable[Window], seed: int = 0, limiter: Limiter | None = None
    ) -> Engine:
        """An engine for a score that is known as a whole.

        windows: of every part, from frame 0 to the end.
        """
        predictor = Foreseen(self.mel2mel, self.vocoder.head, windows)
        return self._assemble(predictor, seed, limiter)

    def _assemble(self, predictor: Predictor, seed: int, limiter: Limiter | None) -> Engine:
        centres = band_centres(self.bank.analysis, self.vocoder.head)
        return Engine(predictor, self.vocoder, self.ring_out_frames, seed, centres, limiter)


def make_instrument(
    bank: Bank, vocoder: str = "auto", sampler: str = "auto", soon: bool = False
) -> Instrument:
    """A bank and the vocoder asked for, or the better one that plays in real time here.

    vocoder: "auto", "spectral" or "wavenet"; sampler: of the WaveNet, "auto" for the fastest; soon:
    the vocoder that answers first.
    Raises ValueError if the bank or the machine lacks what it needs.
    """
    return Instrument(bank, *choose_vocoder(bank, vocoder, sampler, soon))
