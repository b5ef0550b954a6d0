"""Key templates while playing: one frame at a time, and only the keys that sound.

Spectra of the keys played last are kept, so that a held timbre is not computed again. When it
moves, only those of the drives that a key still has are: most keys that ring have but one left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from synth.exponential import exp
from synth.keys import AUDIBLE, DRIVES, KEYS, STRUCK
from synth.mel import FLOOR
from synth.templates import EXTRA_POWERS, FILL_FRAMES, POWERS, SOFTEST, KeyTemplates

f32 = np.float32


class TemplateWeights(NamedTuple):
    """What `KeyTemplates` has learnt, as arrays that lie in the order of use.

    base (88, drives, bands), by_timbre (88, drives, features, bands), tilt (88, bands),
    tilt_by_timbre (features, bands), floor (features, bands); strength (features,
    2 + FILL_FRAMES): power, extra power and fill. struck_frames: time constant of the drive
    that tells how long ago a key was struck.
    """

    base: np.ndarray
    by_timbre: np.ndarray
    tilt: np.ndarray
    tilt_by_timbre: np.ndarray
    floor: np.ndarray
    floor_bias: np.ndarray
    strength: np.ndarray
    strength_bias: np.ndarray
    struck_frames: float


@dataclass(slots=True)
class TemplateCache:
    """spectra (batch, 88, drives + 1, bands), powers, each key's tilt behind its spectra;
    made (batch, 88, drives + 1) bool: which of them stand; made_for (batch, 88, features)."""

    spectra: Tensor
    made: Tensor
    made_for: Tensor


def pack_templates(templates: KeyTemplates) -> TemplateWeights:
    """Copies of the weights as they are now, on the CPU."""
    strengths = (templates.power, templates.extra_power, templates.fill)
    arrays = (
        templates.base,
        templates.by_timbre.permute(1, 2, 0, 3),
        templates.tilt,
        templates.tilt_by_timbre,
        templates.floor.weight.T,
        templates.floor.bias,
        torch.cat([layer.weight for layer in strengths]).T,
        torch.cat([layer.bias for layer in strengths]),
    )
    copies = (a.detach().float().clone(memory_format=torch.contiguous_format) for a in arrays)
    return TemplateWeights(
        *(copy.numpy() for copy in copies), DRIVES[STRUCK][0] * templates.frame_rate
    )


def initial_cache(batch: int, weights: TemplateWeights) -> TemplateCache:
    """A cache that holds nothing yet."""
    features, bands = weights.tilt_by_timbre.shape
    return TemplateCache(
        torch.zeros(batch, KEYS, len(DRIVES) + 1, bands),
        torch.zeros(batch, KEYS, len(DRIVES) + 1, dtype=torch.bool),
        torch.zeros(batch, KEYS, features),
    )


def mix_frame(
    weights: TemplateWeights,
    velocity: np.ndarray,
    drives: np.ndarray,
    features: np.ndarray,
    cache: TemplateCache,
) -> np.ndarray:
    """`KeyTemplates.forward` for one frame: (batch, bands). Updates the cache in place.

    velocity (batch, 88), drives (batch, 88, drives), features (batch, n) of this frame, all
    float32 and contiguous.
    """
    magnitudes = np.empty((len(velocity), weights.floor_bias.size), np.float32)
    spectra, made, made_for = cache.spectra.numpy(), cache.made.numpy(), cache.made_for.numpy()
    _mix(weights, velocity, drives, features, spectra, made, made_for, magnitudes)
    return magnitudes


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _mix(w, velocity, drives, features, spectra, made, made_for, magnitudes):
    batch, keys, count = drives.shape
    bands = w.base.shape[-1]
    tone = np.empty(bands, np.float32)
    for b in range(batch):
        power, strength = magnitudes[b], w.strength_bias.copy()
        _start_noise(w, features[b], power)
        for m in range(features.shape[1]):
            for i in range(strength.size):
                strength[i] += features[b, m] * w.strength[m, i]
        for k in range(keys):
            loudest = f32(0)
            for j in range(count):
                loudest = max(loudest, drives[b, k, j])
            if velocity[b, k] <= 0 or loudest <= 0:
                continue
            plain, hard = _strengths(w, velocity[b, k], drives[b, k], strength)
            if plain * loudest == 0:
                continue
            for m in range(features.shape[1]):
                if made_for[b, k, m] != features[b, m]:
                    made[b, k], made_for[b, k] = False, features[b]
            tone[:] = 0
            for j in range(count):
                weight, row = drives[b, k, j] ** 2, spectra[b, k, j]
                if weight > 0:
                    if not made[b, k, j]:
                        made[b, k, j] = True
                        _shape(w.base[k, j], w.by_timbre[k, j], features[b], row)
                    for f in range(bands):
                        tone[f] += weight * row[f]
            row = spectra[b, k, count]
            if not made[b, k, count]:
                made[b, k, count] = True
                _shape(w.tilt[k], w.tilt_by_timbre, features[b], row)
            usual, extra = plain**2, hard**2
            for f in range(bands):
                power[f] += tone[f] * (usual + extra * row[f])
        for f in range(bands):
            power[f] = np.sqrt(power[f])


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _start_noise(w, features, power):
    """power = `KeyTemplates.noise`"""
    power[:] = w.floor_bias
    for m in range(features.size):
        for f in range(power.size):
            power[f] += features[m] * w.floor[m, f]
    for f in range(power.size):
        power[f] = exp(f32(2) * min(power[f], f32(0))) + f32(FLOOR**2)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _strengths(w, velocity, drives, strength):
    """`KeyTemplates.strengths` of one key, of its timbre's power, extra power and fill."""
    power = min(max(strength[0], f32(POWERS[0])), f32(POWERS[1]))
    extra = min(max(strength[1], f32(EXTRA_POWERS[0])), f32(EXTRA_POWERS[1]))
    level = np.log(max(velocity, f32(SOFTEST)))
    age = round(-math.log(max(drives[STRUCK], AUDIBLE)) * w.struck_frames)
    fill = strength[2 + age] if age < FILL_FRAMES else f32(0)
    plain = exp(level * power + fill)
    return plain, plain * exp(level * extra)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _shape(base, slopes, features, out):
    """out = exp(base + features . slopes), squared"""
    out[:] = base
    for m in range(features.size):
        for f in range(base.size):
            out[f] += features[m] * slopes[m, f]
    for f in range(base.size):
        out[f] = exp(f32(2) * out[f])
