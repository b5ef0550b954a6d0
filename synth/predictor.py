"""Windows into spectra for the engine: as they stream, or with the whole piece in sight."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from synth.mel2mel.network import Mel2Mel, Spectra
from synth.mel2mel.step import Mel2MelStep


class Predictor(Protocol):
    """What the engine asks for spectra. lookahead: frames that they run behind the score."""

    lookahead: int

    def initial_state(self, batch: int) -> Any: ...

    def step(
        self, parts: list[int], start: int, roll: Tensor, embedding: Tensor, state: Any
    ) -> Tensor:
        """Spectra (rows, n, bands) of the frames `lookahead` before start .. start + n.

        parts: the part of each row; roll (rows, n, 176); embedding (rows, n, size). The
        state is moved on in place.
        """


class Streaming:
    """Mel2Mel's step: what a live player gets."""

    def __init__(self, mel2mel: Mel2Mel, head: str, lookahead: int) -> None:
        self.lookahead = lookahead
        self._mel2mel, self._head = Mel2MelStep(mel2mel, lookahead), head

    def initial_state(self, batch: int) -> Any:
        return self._mel2mel.initial_state(batch)

    def step(
        self, parts: list[int], start: int, roll: Tensor, embedding: Tensor, state: Any
    ) -> Tensor:
        return getattr(self._mel2mel.step(roll, embedding, state), self._head)


class Score(Protocol):
    """What one part plays: roll (frames, 176), embedding (frames, size) and cut (frames,),
    true where it begins anew from silence."""

    part: int
    roll: np.ndarray
    embedding: np.ndarray
    cut: np.ndarray


@dataclass(frozen=True, slots=True)
class NoState:
    """The state of a predictor that needs none."""


class Foreseen:
    """Mel2Mel's forward over the whole piece, as the backward LSTM was meant to read it.

    windows: of every part, from frame 0 to the end.
    """

    lookahead = 0

    def __init__(self, mel2mel: Mel2Mel, head: str, windows: Iterable[Score]) -> None:
        self._spectra = {w.part: _whole(mel2mel, head, w) for w in windows}

    def initial_state(self, batch: int) -> NoState:
        return NoState()

    def step(
        self, parts: Iterable[int], start: int, roll: Tensor, embedding: Tensor, state: Any
    ) -> Tensor:
        count = roll.shape[1]
        return torch.stack([self._spectra[part][start : start + count] for part in parts])


@torch.inference_mode()
def _whole(mel2mel: Mel2Mel, head: str, score: Score) -> Tensor:
    cuts = np.flatnonzero(score.cut)
    rolls, embeddings = (np.split(x, cuts) for x in (score.roll, score.embedding))
    parts = zip(rolls, embeddings, strict=True)
    return torch.cat([_uncut(mel2mel, head, *part) for part in parts if len(part[0])])


def _uncut(mel2mel: Mel2Mel, head: str, roll: np.ndarray, embedding: np.ndarray) -> Tensor:
    timbre = torch.from_numpy(embedding)[None]
    if bool((timbre == timbre[:, :1]).all()):
        # One timbre throughout is many times cheaper than one for each frame.
        timbre = timbre[:, :1]
    spectra: Spectra = mel2mel(torch.from_numpy(roll)[None], timbre, None)
    return getattr(spectra, head)[0]
