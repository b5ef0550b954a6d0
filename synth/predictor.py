"""Windows into spectra for the engine: as they stream, or with the whole piece in sight."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from common.window import Window
from synth.mel import Head
from synth.mel2mel.network import Mel2Mel, Spectra
from synth.mel2mel.step import Mel2MelState, Mel2MelStep
from synth.rows import RowState

State = TypeVar("State", bound=RowState)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Some frames of what parts shall sound like.

    spectra (rows, n, bands): natural-log magnitudes; spread (rows, n, bands) and memory (rows, n):
    how they move, as `Movement.step` takes it, or None where they stand still.
    """

    spectra: Tensor
    spread: Tensor | None = None
    memory: Tensor | None = None


class Predictor(Protocol[State]):
    """What the engine asks for spectra. lookahead: frames that they run behind the score; moves:
    whether its predictions say how they move."""

    @property
    def lookahead(self) -> int: ...

    @property
    def moves(self) -> bool: ...

    def initial_state(self, batch: int) -> State:
        """The state of `batch` parts that have played nothing."""

    def step(
        self,
        rows: Sequence[int],
        start: int,
        roll: Tensor,
        embedding: Tensor,
        state: State,
        late: Tensor | None = None,
    ) -> Prediction:
        """The frames `lookahead` before start .. start + n.

        rows: which voice each is, as `Window.row`; roll (rows, n, 176); embedding (rows, n,
        size); late (rows, n, 88) as in `Window`. The state is moved on in place.
        """


class Streaming:
    """Mel2Mel's step: what a live player gets."""

    def __init__(self, mel2mel: Mel2Mel, head: Head, lookahead: int) -> None:
        self.lookahead = lookahead
        self.moves = _moves(mel2mel, head)
        self._mel2mel, self._head = Mel2MelStep(mel2mel, lookahead), head

    def initial_state(self, batch: int) -> Mel2MelState:
        return self._mel2mel.initial_state(batch)

    def step(
        self,
        rows: Sequence[int],
        start: int,
        roll: Tensor,
        embedding: Tensor,
        state: Mel2MelState,
        late: Tensor | None = None,
    ) -> Prediction:
        return _of_head(self._mel2mel.step(roll, embedding, state, late), self._head)


@dataclass(frozen=True, slots=True)
class NoState:
    """The state of a predictor that needs none."""


class Foreseen:
    """Mel2Mel's forward over the whole piece, as the backward LSTM was meant to read it.

    windows: of every voice, from frame 0 to the end.
    """

    lookahead = 0

    def __init__(self, mel2mel: Mel2Mel, head: Head, windows: Iterable[Window]) -> None:
        self.moves = _moves(mel2mel, head)
        self._whole = {w.row: _whole(mel2mel, head, w) for w in windows}

    def initial_state(self, batch: int) -> NoState:
        return NoState()

    def step(
        self,
        rows: Sequence[int],
        start: int,
        roll: Tensor,
        embedding: Tensor,
        state: NoState,
        late: Tensor | None = None,
    ) -> Prediction:
        span = slice(start, start + roll.shape[1])
        return _joined([self._whole[row] for row in rows], lambda xs: torch.stack(xs)[:, span])


@torch.inference_mode()
def _whole(mel2mel: Mel2Mel, head: Head, window: Window) -> Prediction:
    """All frames of a voice, without rows; each cut begins anew from silence."""
    cuts = np.flatnonzero(window.cut)
    arrays = (window.roll, window.embedding, window.lateness)
    spans = zip(*(np.split(x, cuts) for x in arrays), strict=True)
    return _joined([_uncut(mel2mel, head, *span) for span in spans if len(span[0])], torch.cat)


def _uncut(
    mel2mel: Mel2Mel, head: Head, roll: np.ndarray, embedding: np.ndarray, late: np.ndarray
) -> Prediction:
    timbre = torch.from_numpy(embedding)[None]
    if bool((timbre == timbre[:, :1]).all()):
        # One timbre throughout is many times cheaper than one for each frame.
        timbre = timbre[:, :1]
    score, lateness = (torch.from_numpy(x)[None] for x in (roll, late))
    heard = _of_head(mel2mel(score, timbre, None, late=lateness), head)
    return _joined([heard], lambda xs: xs[0][0])


def _joined(parts: Sequence[Prediction], join: Callable[[list[Tensor]], Tensor]) -> Prediction:
    """One prediction of several that all move, or all do not."""
    names = [f.name for f in fields(Prediction) if getattr(parts[0], f.name) is not None]
    return Prediction(**{name: join([getattr(part, name) for part in parts]) for name in names})


def _moves(mel2mel: Mel2Mel, head: Head) -> bool:
    """Mel bands stand still: a vocoder that takes them draws for itself."""
    return head == "fine" and bool(mel2mel.config.movement)


def _of_head(spectra: Spectra, head: Head) -> Prediction:
    """What a vocoder that takes this head's bands is given."""
    if head == "mel":
        return Prediction(spectra.mel)
    if spectra.fine is None:
        raise ValueError("this network has no fine head, which the vocoder needs")
    return Prediction(spectra.fine, spectra.spread, spectra.memory)
