"""What the encoder learns from: pieces of scores as a bank plays them, each at a point of its own.

They are made when a run begins, always the same ones from the same seed, so that a run that goes on
has what it had.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from synth.bank.bank import Bank
from trainer.data.dataset import DataSet
from trainer.mel2mel.between import draw_mixtures, points_of

ANYWHERE = 0.5
"""Share of the points that may lie anywhere in the span; the others lie between instruments."""
ROWS = 8
"""Played at once."""
WEIGHTS = "mel2mel.safetensors"


@dataclass(frozen=True, slots=True)
class Lessons:
    """mel (lessons, frames, mels) float16: log bands; points (lessons, size)."""

    mel: Tensor
    points: Tensor


def make_lessons(bank: Bank, data: Path, split: str, count: int, frames: int, seed: int) -> Lessons:
    """So many lessons of scores of a data set, with a progress bar; of the data, nothing but the
    scores counts. ValueError for bad data, or frames of another length than the bank's."""
    scores = DataSet(data, split, frames)
    if scores.analysis.frame_rate != bank.analysis.frame_rate:
        raise ValueError(
            f"{data}: expected {bank.analysis.frame_rate:g} frames a second, as in {bank.path}, "
            f"got {scores.analysis.frame_rate:g}"
        )
    network = bank.mel2mel().eval().requires_grad_(False)
    network.config = replace(network.config, movement=0)  # it says nothing of mean levels
    random = torch.Generator().manual_seed(seed)
    points = draw_points(bank, network.instruments.weight, count, random)
    heard = []
    with torch.inference_mode(), tqdm(total=count, desc=f"play {split}", unit="lesson") as bar:
        for some in points.split(ROWS):
            played = scores.draw(len(some), 0, random)
            inputs = pad(some, (0, bank.more))[:, None]
            heard.append(network(played.roll, inputs, None, played.keys).mel.half())
            bar.update(len(some))
    return Lessons(torch.cat(heard).clone(), points)


def draw_points(bank: Bank, instruments: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Random points (count, size) of a bank, whose network has learnt these instruments (n, size or
    more)."""
    low, high = torch.tensor(bank.span).T
    points = low + (high - low) * torch.rand(count, len(low), generator=random)
    if len(instruments) > 1:
        mixtures = draw_mixtures(count, len(instruments), random)
        between = points_of(mixtures, instruments[:, : len(low)])[:, 0].clamp(low, high)
        free = torch.rand(count, 1, generator=random) < ANYWHERE
        points = torch.where(free, points, between)
    return points


def weights_digest(bank: Bank) -> str:
    """Which network a bank has: sha256 of its file."""
    return hashlib.sha256((bank.path / WEIGHTS).read_bytes()).hexdigest()
