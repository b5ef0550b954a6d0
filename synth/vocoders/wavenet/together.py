"""Several pieces drawn as one batch, each rendered in a thread of its own.

A GPU draws 64 rows in the time of one, but a piece has a row for each of its voices only. So a
thread that wants samples waits until all others want some, too. One of them then draws for all, as
many samples as the one wants that wants the fewest; whoever wants more waits for the next time.
Rows do not heed each other, and no cut changes a class (the Sampler contract), so it does not
matter who meets whom. All else, such as the guide, each thread computes by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from synth.vocoders.wavenet.samplers.contract import Draw, SamplerState


@dataclass(slots=True)
class _Wanted:
    """What a piece waits for: samples of which conditioning and draws are left; drawn: those that
    are there; fault: why there are no more."""

    conditioning: Tensor
    draws: Tensor
    state: SamplerState
    drawn: list[Tensor] = field(default_factory=list)
    fault: Exception | None = None


class Together:
    """Draws for threads that are within `piece`. draw: `Sampler.sample` of a network."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._changed = threading.Condition()
        self._pieces: dict[int, bool] = {}
        """Thread -> whether it has drawn: from then on the others wait for it."""
        self._wanted: dict[int, _Wanted] = {}

    @contextmanager
    def piece(self) -> Iterator[None]:
        """For a thread that renders a piece: from its first draw until the block ends, others wait
        for it."""
        me = threading.get_ident()
        with self._changed:
            self._pieces[me] = False
        try:
            yield
        finally:
            with self._changed:
                del self._pieces[me]
                self._wanted.pop(me, None)
                self._changed.notify_all()

    def draw(
        self, conditioning: Tensor, state: SamplerState, draws: Tensor
    ) -> tuple[Tensor, SamplerState]:
        """As `Sampler.sample`. What the sampler raises is raised in each thread that took part."""
        me, mine = threading.get_ident(), _Wanted(conditioning, draws, state)
        with self._changed:
            assert me in self._pieces, "drawn outside of a piece: all others would wait for ever"
            self._pieces[me] = True
            self._wanted[me] = mine
            while me in self._wanted:
                if len(self._wanted) < sum(self._pieces.values()):
                    self._changed.wait()
                else:
                    self._draw_for_all()
                    self._changed.notify_all()
        if mine.fault is not None:
            raise mine.fault
        return torch.cat(mine.drawn, 1), state

    def _draw_for_all(self) -> None:
        everyone = list(self._wanted.values())
        try:
            _draw_some(self._draw, everyone)
        except Exception as fault:
            for wanted in everyone:
                wanted.fault = fault
        self._wanted = {
            piece: wanted
            for piece, wanted in self._wanted.items()
            if wanted.draws.shape[1] and wanted.fault is None
        }


def _draw_some(draw: Draw, everyone: list[_Wanted]) -> None:
    """Draw as many samples for all as the one wants that wants the fewest."""
    samples = min(wanted.draws.shape[1] for wanted in everyone)
    states = [wanted.state for wanted in everyone]
    joined = SamplerState(
        torch.cat([state.history for state in states]),
        torch.cat([state.position for state in states]),
        torch.cat([state.last for state in states]),
    )
    classes, joined = draw(
        torch.cat([wanted.conditioning[:, :samples] for wanted in everyone]),
        joined,
        torch.cat([wanted.draws[:, :samples] for wanted in everyone]),
    )
    rows = [len(wanted.draws) for wanted in everyone]
    parted = (x.split(rows) for x in (classes, joined.history, joined.position, joined.last))
    for wanted, drawn, *moment in zip(everyone, *parted, strict=True):
        wanted.drawn.append(drawn)
        # A piece's share of what all have lies in one piece, and may be written to.
        wanted.state.history, wanted.state.position, wanted.state.last = moment
        wanted.conditioning = wanted.conditioning[:, samples:]
        wanted.draws = wanted.draws[:, samples:]
