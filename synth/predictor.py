"""Windows into spectra for the engine: as they stream, or with the whole piece in sight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


class Predictor(Protocol[State]):
    """What the engine asks for spectra. lookahead: frames that they run behind the score."""

    @property
    def lookahead(self) -> int: ...

    def initial_state(self, batch: int) -> State:
        """The state of `batch` parts that have played nothing."""

    def step(
        self, parts: Sequence[int], start: int, roll: Tensor, embedding: Tensor, state: State
    ) -> Tensor:
        """Spectra (rows, n, bands) of the frames `lookahead` before start .. start + n.

        parts: the part of each row; roll (rows, n, 176); embedding (rows, n, size). The
        state is moved on in place.
        """


class Streaming:
    """Mel2Mel's step: what a live player gets."""

    def __init__(self, mel2mel: Mel2Mel, head: Head, lookahead: int) -> None:
        self.lookahead = lookahead
        self._mel2mel, self._head = Mel2MelStep(mel2mel, lookahead), head

    def initial_state(self, batch: int) -> Mel2MelState:
        return self._mel2mel.initial_state(batch)

    def step(
        self, parts: Sequence[int], start: int, roll: Tensor, embedding: Tensor, state: Mel2MelState
    ) -> Tensor:
        return _of_head(self._mel2mel.step(roll, embedding, state), self._head)


@dataclass(frozen=True, slots=True)
class NoState:
    """The state of a predictor that needs none."""


class Foreseen:
    """Mel2Mel's forward over the whole piece, as the backward LSTM was meant to read it.

    windows: of every part, from frame 0 to the end.
    """

    lookahead = 0

    def __init__(self, mel2mel: Mel2Mel, head: Head, windows: Iterable[Window]) -> None:
        self._spectra = {w.part: _whole(mel2mel, head, w) for w in windows}

    def initial_state(self, batch: int) -> NoState:
        return NoState()

    def step(
        self, parts: Sequence[int], start: int, roll: Tensor, embedding: Tensor, state: NoState
    ) -> Tensor:
        count = roll.shape[1]
        return torch.stack([self._spectra[part][start : start + count] for part in parts])


@torch.inference_mode()
def _whole(mel2mel: Mel2Mel, head: Head, window: Window) -> Tensor:
    """Spectra (frames, bands) of a part; each cut begins anew from silence."""
    cuts = np.flatnonzero(window.cut)
    rolls, embeddings = (np.split(x, cuts) for x in (window.roll, window.embedding))
    spans = zip(rolls, embeddings, strict=True)
    return torch.cat([_uncut(mel2mel, head, *span) for span in spans if len(span[0])])


def _uncut(mel2mel: Mel2Mel, head: Head, roll: np.ndarray, embedding: np.ndarray) -> Tensor:
    timbre = torch.from_numpy(embedding)[None]
    if bool((timbre == timbre[:, :1]).all()):
        # One timbre throughout is many times cheaper than one for each frame.
        timbre = timbre[:, :1]
    return _of_head(mel2mel(torch.from_numpy(roll)[None], timbre, None), head)[0]


def _of_head(spectra: Spectra, head: Head) -> Tensor:
    """What a vocoder that takes this head's bands is given."""
    heard = spectra.mel if head == "mel" else spectra.fine
    if heard is None:
        raise ValueError("this network has no fine head, which the vocoder needs")
    return heard
