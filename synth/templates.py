"""Key templates: the spectrum that a score asks for, before the network corrects it.

Sound is additive over keys. Each key has a few drives that follow from the score alone (it
sounds; it was struck so long ago), and for each drive a spectrum that the timbre shapes.
Magnitudes = sum over keys and drives of velocity^power * drive * spectrum, plus a noise floor.
Drives are causal recursions, so they stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import Tensor, nn

from synth.mel import Analysis

KEYS = 88
LOWEST_KEY = 21
DRIVES = (
    (np.inf, 0.0),
    (np.inf, 0.12),
    (2.0, 0.12),
    (0.4, 0.12),
    (0.1, 0.1),
    (0.4, 0.4),
    (2.0, 2.0),
)
"""(fall while the key sounds, fall after it), seconds: time constants of each key's drives.

Held tones without and with a release, struck tones that a damper stops, a knock, and tones
that ring on whatever the key does.
"""
AUDIBLE = 1e-6
"""A drive below this is as good as silent and is skipped."""


@dataclass(slots=True)
class KeyState:
    """velocity (batch, 88) of each key's last onset; drives (batch, 88, len(DRIVES))."""

    velocity: Tensor
    drives: Tensor


def initial_keys(batch: int) -> KeyState:
    """The state of a keyboard that nobody has touched."""
    return KeyState(torch.zeros(batch, KEYS), torch.zeros(batch, KEYS, len(DRIVES)))


def play_keys(roll: Tensor, keys: KeyState, frame_rate: float) -> tuple[Tensor, Tensor, KeyState]:
    """Velocities and drives of every frame of a roll.

    roll (batch, frames, 176). Returns velocity (batch, frames, 88) in 0..1, drives
    (batch, frames, 88, len(DRIVES)) in 0..1, and the state after it.
    """
    batch, frames, _ = roll.shape
    velocity = np.empty((batch, frames, KEYS), np.float32)
    drives = np.empty((batch, frames, KEYS, len(DRIVES)), np.float32)
    after = KeyState(keys.velocity.clone(), keys.drives.clone())
    _play(
        roll.numpy(),
        after.velocity.numpy(),
        after.drives.numpy(),
        _falls(frame_rate),
        velocity,
        drives,
    )
    return torch.from_numpy(velocity), torch.from_numpy(drives), after


class KeyTemplates(nn.Module):
    """The spectra, as natural logs: base (88, drives, bins) + features . by_timbre.

    features (rows, features): what the timbre embedding has been expanded to.
    """

    def __init__(self, analysis: Analysis, features: int) -> None:
        super().__init__()
        self.base = nn.Parameter(_combs(analysis)[:, None].repeat(1, len(DRIVES), 1))
        self.by_timbre = nn.Parameter(torch.zeros(features, KEYS, len(DRIVES), analysis.bins))
        self.power = nn.Linear(features, 1)
        self.floor = nn.Linear(features, analysis.bins)
        nn.init.zeros_(self.power.weight)
        nn.init.constant_(self.power.bias, 1.8)
        nn.init.zeros_(self.floor.weight)
        nn.init.constant_(self.floor.bias, -9.0)

    def forward(self, velocity: Tensor, drives: Tensor, features: Tensor) -> Tensor:
        """Linear magnitudes (rows, frames, bins) of rows that each keep one timbre.

        velocity (rows, frames, 88); drives (rows, frames, 88, drives); features (rows, n).
        """
        spectra = torch.addmm(self.base.flatten()[None], features, self.by_timbre.flatten(1))
        spectra = spectra.view(len(features), -1, self.base.shape[-1]).exp()
        strength = self.strength(velocity, features[:, None])
        weighted = (strength[..., None] * drives).flatten(2)
        return torch.bmm(weighted, spectra) + self.noise(features)[:, None]

    def strength(self, velocity: Tensor, features: Tensor) -> Tensor:
        """velocity ** power, with a power that the timbre sets; 0 stays 0."""
        power = self.power(features).clamp(0.2, 4)
        return (velocity.clamp(min=1e-3).log() * power).exp() * (velocity > 0)

    def noise(self, features: Tensor) -> Tensor:
        """Linear magnitudes (rows, bins) of the noise floor."""
        return self.floor(features).clamp(max=0).exp()


@dataclass(slots=True)
class TemplateCache:
    """Spectra of the keys played last, so that a held timbre is not computed again.

    spectra (batch, 88, drives, bins), linear; made_for (batch, 88, features), NaN at first.
    """

    spectra: Tensor
    made_for: Tensor


def initial_cache(batch: int, templates: KeyTemplates) -> TemplateCache:
    """A cache that holds nothing yet."""
    features = len(templates.by_timbre)
    return TemplateCache(
        torch.zeros(batch, *templates.base.shape),
        torch.full((batch, KEYS, features), float("nan")),
    )


def mix_frame(
    templates: KeyTemplates,
    strength: Tensor,
    drives: Tensor,
    features: Tensor,
    cache: TemplateCache,
) -> Tensor:
    """`KeyTemplates.forward` for one frame, without the floor: (batch, bins).

    strength (batch, 88), drives (batch, 88, drives), features (batch, n) of this frame. Only
    keys that sound cost anything. Updates the cache in place.
    """
    mixed = np.zeros((len(strength), templates.base.shape[-1]), np.float32)
    _mix(
        templates.base.detach().numpy(),
        templates.by_timbre.detach().numpy(),
        strength.numpy(),
        drives.numpy(),
        features.numpy(),
        cache.spectra.numpy(),
        cache.made_for.numpy(),
        mixed,
    )
    return torch.from_numpy(mixed)


def _falls(frame_rate: float) -> np.ndarray:
    """Factor for each frame of each drive, while a key sounds and after: (drives, 2)."""
    seconds = np.array(DRIVES)
    with np.errstate(divide="ignore"):
        return np.exp(-1 / (frame_rate * seconds)).astype(np.float32)


def _combs(analysis: Analysis) -> Tensor:
    """Log magnitudes of harmonic combs at each key's pitch, falling as 1/n: (88, bins)."""
    bins = np.arange(analysis.bins) * analysis.rate / analysis.window
    # Half the main lobe of a Hann window spans two bins.
    reach = 2 * analysis.rate / analysis.window
    combs = np.full((KEYS, analysis.bins), 1e-4)
    for key in range(KEYS):
        pitch = 440 * 2 ** ((key + LOWEST_KEY - 69) / 12)
        for number in range(1, int(analysis.rate / 2 / pitch) + 1):
            away = np.abs(bins - number * pitch) / reach
            combs[key] += 0.2 / number * np.cos(np.pi / 2 * np.minimum(away, 1)) ** 2
    return torch.from_numpy(np.log(combs)).float()


@numba.njit(cache=True, nogil=True)
def _play(roll, last, drives_now, falls, velocity, drives):
    batch, frames, _ = roll.shape
    for b in range(batch):
        for t in range(frames):
            for k in range(88):
                onset = roll[b, t, 88 + k]
                sounding = roll[b, t, k] > 0
                if onset > 0:
                    last[b, k] = onset
                for j in range(falls.shape[0]):
                    if onset > 0:
                        drives_now[b, k, j] = 1
                    else:
                        drives_now[b, k, j] *= falls[j, 0] if sounding else falls[j, 1]
                    if drives_now[b, k, j] < AUDIBLE:
                        drives_now[b, k, j] = 0
                    drives[b, t, k, j] = drives_now[b, k, j]
                velocity[b, t, k] = last[b, k]


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _mix(base, by_timbre, strength, drives, features, spectra, made_for, mixed):
    batch, keys = strength.shape
    bins = base.shape[-1]
    for b in range(batch):
        for k in range(keys):
            loudest = np.float32(0)
            for j in range(drives.shape[-1]):
                loudest = max(loudest, strength[b, k] * drives[b, k, j])
            if loudest == 0:
                continue
            fresh = True
            for m in range(features.shape[1]):
                fresh &= made_for[b, k, m] == features[b, m]
            if not fresh:
                made_for[b, k] = features[b]
                for j in range(drives.shape[-1]):
                    row = spectra[b, k, j]
                    row[:] = base[k, j]
                    for m in range(features.shape[1]):
                        weight, slope = features[b, m], by_timbre[m, k, j]
                        for f in range(bins):
                            row[f] += weight * slope[f]
                    for f in range(bins):
                        row[f] = np.exp(row[f])
            for j in range(drives.shape[-1]):
                weight, row = strength[b, k] * drives[b, k, j], spectra[b, k, j]
                if weight > 0:
                    for f in range(bins):
                        mixed[b, f] += weight * row[f]
