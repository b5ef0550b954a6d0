"""A few spectra of each key that all of its spectra can be mixed of.

A hundred instruments have a thousand spectra of every key, which are much alike: partials stand at
the same places. So they are a mean and a mixture of a few, in the log. What is heard counts most: a
band counts by its loudness, about the power 0.3 of its power.

The mixtures are a low rank approximation with weights (Srebro and Jaakkola, "Weighted low-rank
approximations", ICML 2003): what does not count is filled in with what is approximated, again and
again.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

ROUNDS = 40
LOUDNESS = 0.6
"""The power of a magnitude that is its loudness."""
LEAST = 0.005
"""How much counts what nobody hears."""
EVENNESS = 0.5
"""How far instruments of few loud bands count as much as those of many: 0 not at all, 1 wholly."""


def fitted_basis(spectra: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """mean (88, moments, bands), mixes (instruments, 88, moments, count) and basis (88, count,
    bands): mean + mixes @ basis is near spectra (instruments, 88, moments, bands), natural logs.
    """
    mean = spectra.mean(0)
    parts = [
        _of_key(spectra[:, key] - mean[key], audibility(spectra[:, key]), count)
        for key in range(len(mean))
    ]
    return mean, torch.stack([mixes for mixes, _ in parts], 1), torch.stack([b for _, b in parts])


def audibility(spectra: Tensor) -> Tensor:
    """How much bands count, `LEAST`..1, of spectra (instruments, moments, bands) of one key."""
    heard = (LOUDNESS * (spectra - spectra.amax((1, 2), keepdim=True))).exp()
    total = heard.sum((1, 2), keepdim=True)
    return (heard * (total.median() / total) ** EVENNESS).clamp(LEAST, 1.0)


def _of_key(away: Tensor, weight: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """mixes (instruments, moments, count) and basis (count, bands) for what is away from the mean,
    (instruments, moments, bands), and its weights."""
    shape = away.shape[:2]
    away, weight = away.flatten(0, 1), weight.flatten(0, 1)
    filled = away
    for _ in range(ROUNDS):
        _, vectors = torch.linalg.eigh(filled.T @ filled)
        basis = vectors[:, -count:].T
        made = filled @ basis.T @ basis
        filled = weight * away + (1 - weight) * made
    # A unit of a mixture is a neper in the mean of the bands.
    scale = math.sqrt(away.shape[1])
    return (filled @ basis.T).unflatten(0, shape) / scale, basis * scale
