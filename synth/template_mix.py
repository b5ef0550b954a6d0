"""Key templates while playing: one frame at a time, and only the keys that sound.

Spectra of the keys played last are kept, so that a held timbre is not computed again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import Tensor

from synth.keys import DRIVES, KEYS
from synth.templates import KeyTemplates


@dataclass(slots=True)
class TemplateCache:
    """spectra (batch, 88, drives + 1, bins), powers, each key's tilt behind its spectra;
    made_for (batch, 88, features), NaN at first."""

    spectra: Tensor
    made_for: Tensor


def initial_cache(batch: int, templates: KeyTemplates) -> TemplateCache:
    """A cache that holds nothing yet."""
    features, bins = templates.tilt_by_timbre.shape
    return TemplateCache(
        torch.zeros(batch, KEYS, len(DRIVES) + 1, bins),
        torch.full((batch, KEYS, features), float("nan")),
    )


def mix_frame(
    templates: KeyTemplates,
    velocity: Tensor,
    drives: Tensor,
    features: Tensor,
    cache: TemplateCache,
) -> Tensor:
    """`KeyTemplates.forward` for one frame: (batch, bins). Updates the cache in place.

    velocity (batch, 88), drives (batch, 88, drives), features (batch, n) of this frame.
    """
    strengths = templates.strengths(velocity[:, None], drives[:, None], features)
    power = np.zeros((len(velocity), templates.tilt.shape[-1]), np.float32)
    weights = (templates.base, templates.by_timbre, templates.tilt, templates.tilt_by_timbre)
    _mix(
        *(weight.detach().numpy() for weight in weights),
        *(strength[:, 0].contiguous().numpy() for strength in strengths),
        drives.contiguous().numpy(),
        features.numpy(),
        cache.spectra.numpy(),
        cache.made_for.numpy(),
        power,
    )
    return (torch.from_numpy(power) + templates.noise(features)).sqrt()


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _mix(
    base, by_timbre, tilt, tilt_by_timbre, plain, hard, drives, features, spectra, made_for, power
):
    batch, keys = plain.shape
    bins = base.shape[-1]
    tone = np.empty(bins, np.float32)
    for b in range(batch):
        for k in range(keys):
            loudest = np.float32(0)
            for j in range(drives.shape[-1]):
                loudest = max(loudest, plain[b, k] * drives[b, k, j])
            if loudest == 0:
                continue
            fresh = True
            for m in range(features.shape[1]):
                fresh &= made_for[b, k, m] == features[b, m]
            if not fresh:
                made_for[b, k] = features[b]
                for j in range(drives.shape[-1]):
                    _shape(base[k, j], by_timbre[:, k, j], features[b], spectra[b, k, j])
                _shape(tilt[k], tilt_by_timbre, features[b], spectra[b, k, -1])
            tone[:] = 0
            for j in range(drives.shape[-1]):
                weight, row = drives[b, k, j] ** 2, spectra[b, k, j]
                if weight > 0:
                    for f in range(bins):
                        tone[f] += weight * row[f]
            usual, extra, row = plain[b, k] ** 2, hard[b, k] ** 2, spectra[b, k, -1]
            for f in range(bins):
                power[b, f] += tone[f] * (usual + extra * row[f])


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _shape(base, slopes, features, out):
    """out = exp(base + features . slopes), squared"""
    out[:] = base
    for m in range(features.size):
        weight, slope = features[m], slopes[m]
        for f in range(base.size):
            out[f] += weight * slope[f]
    for f in range(base.size):
        out[f] = np.exp(2 * out[f])
