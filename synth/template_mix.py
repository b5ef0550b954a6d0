"""Key templates while playing: one frame at a time, and only the keys that sound.

Spectra of the keys played last are kept, so that a held timbre is not computed again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import Tensor

from synth.keys import KEYS, KeyTracks
from synth.templates import MOMENTS_S, KeyTemplates


@dataclass(slots=True)
class TemplateCache:
    """spectra (batch, 88, moments + 1, bins), powers, each key's tilt behind its spectra;
    made_for (batch, 88, moments + 1, features), NaN at first."""

    spectra: Tensor
    made_for: Tensor


def initial_cache(batch: int, templates: KeyTemplates) -> TemplateCache:
    """A cache that holds nothing yet."""
    features, bins = templates.tilt_by_timbre.shape
    slots = (batch, KEYS, len(MOMENTS_S) + 1)
    return TemplateCache(torch.zeros(*slots, bins), torch.full((*slots, features), float("nan")))


def mix_frame(
    templates: KeyTemplates, keys: KeyTracks, features: Tensor, cache: TemplateCache
) -> Tensor:
    """`KeyTemplates.forward` for one frame: (batch, bins). Updates the cache in place.

    keys (batch, 88), features (batch, n) of this frame.
    """
    strengths = templates.strengths(keys.at((slice(None), None)), features)
    power = np.zeros((len(features), templates.tilt.shape[-1]), np.float32)
    weights = (templates.base, templates.by_timbre, templates.tilt, templates.tilt_by_timbre)
    _mix(
        *(weight.detach().numpy() for weight in weights),
        *(strength[:, 0].contiguous().numpy() for strength in strengths),
        templates.share(keys.age).numpy(),
        features.numpy(),
        cache.spectra.numpy(),
        cache.made_for.numpy(),
        power,
    )
    return (torch.from_numpy(power) + templates.noise(features)).sqrt()


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _mix(
    base, by_timbre, tilt, tilt_by_timbre, plain, hard, shares, features, spectra, made_for, power
):
    batch, keys = plain.shape
    bins, moments = base.shape[-1], shares.shape[-1]
    tone = np.empty(bins, np.float32)
    for b in range(batch):
        for k in range(keys):
            if plain[b, k] == 0:
                continue
            tone[:] = 0
            for j in range(moments):
                share, row = shares[b, k, j], spectra[b, k, j]
                if share > 0:
                    if _stale(made_for[b, k, j], features[b]):
                        _shape(base[k, j], by_timbre[:, k, j], features[b], row)
                    for f in range(bins):
                        tone[f] += share * row[f]
            usual, extra, row = plain[b, k] ** 2, hard[b, k] ** 2, spectra[b, k, moments]
            if _stale(made_for[b, k, moments], features[b]):
                _shape(tilt[k], tilt_by_timbre, features[b], row)
            for f in range(bins):
                power[b, f] += tone[f] * (usual + extra * row[f])


@numba.njit(cache=True, nogil=True)
def _stale(made_for, features):
    """Whether a spectrum is that of other features; it is said to be of these from now on."""
    stale = False
    for m in range(features.size):
        if made_for[m] != features[m]:
            made_for[m] = features[m]
            stale = True
    return stale


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
