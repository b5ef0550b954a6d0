"""Key templates: the spectrum that a score asks for, before the network corrects it.

Sound is additive over keys, and partials of different keys meet in any phase: on the whole their
powers add up, not their magnitudes. Each key has for each of its drives (`keys.py`) a spectrum
that the timbre shapes, and a tilt: how much brighter it gets the harder it is struck.

    magnitude^2 = noise floor^2 + sum over keys of (fill * velocity^power)^2
                  * (1 + (tilt * velocity^extra power)^2) * sum over drives of (drive * spectrum)^2

The fill is the share of a tone that is there in the first frames after its onset: windows that
see its beginning see less of it, and a bow needs time to speak.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from synth.keys import DRIVES, KEYS, LOWEST_KEY, frames_since_onset
from synth.mel import FLOOR, Analysis, fold

FILL_FRAMES = 16
"""Frames from an onset on that have a fill of their own; a window ends after four."""
FIRST_TILT = -3.0
"""Natural log: at first the hardest blow is hardly brighter."""
POWERS, EXTRA_POWERS = (0.2, 4.0), (0.1, 4.0)
"""Of the velocity, whatever the timbre."""
SOFTEST = 1e-3
"""A velocity below this has the strength of this one."""


class KeyTemplates(nn.Module):
    """Natural logs of magnitudes: base (88, drives, bands) + features . by_timbre; of their tilt:
    tilt (88, bands) + features . tilt_by_timbre. Bands are the analysis's fine ones.

    features (rows, features): what the timbre embedding has been expanded to.
    """

    def __init__(self, analysis: Analysis, features: int) -> None:
        super().__init__()
        self.frame_rate = analysis.frame_rate
        self.base = nn.Parameter(_combs(analysis)[:, None].repeat(1, len(DRIVES), 1))
        self.by_timbre = nn.Parameter(torch.zeros(features, KEYS, len(DRIVES), analysis.bands))
        self.tilt = nn.Parameter(torch.full((KEYS, analysis.bands), FIRST_TILT))
        self.tilt_by_timbre = nn.Parameter(torch.zeros(features, analysis.bands))
        self.power = _constant(features, 1, 1.8)
        self.extra_power = _constant(features, 1, 1.5)
        self.fill = _constant(features, FILL_FRAMES, 0.0)
        self.floor = _constant(features, analysis.bands, -9.0)

    def forward(self, velocity: Tensor, drives: Tensor, features: Tensor) -> Tensor:
        """Linear magnitudes (rows, frames, bands) of rows that each keep one timbre.

        velocity (rows, frames, 88); drives (rows, frames, 88, drives); features (rows, n).
        """
        rows = len(features)
        spectra = torch.addmm(self.base.flatten()[None], features, self.by_timbre.flatten(1))
        spectra = (2 * spectra.view(rows, KEYS, len(DRIVES), -1)).exp()
        tilt = (2 * (self.tilt + (features @ self.tilt_by_timbre)[:, None])).exp()
        swell = drives.square()
        plain, hard = (
            (strength.square()[..., None] * swell).flatten(2)
            for strength in self.strengths(velocity, drives, features)
        )
        power = torch.bmm(plain, spectra.flatten(1, 2))
        power = power + torch.bmm(hard, (spectra * tilt[:, :, None]).flatten(1, 2))
        return (power + self.noise(features)[:, None]).sqrt()

    def strengths(
        self, velocity: Tensor, drives: Tensor, features: Tensor
    ) -> tuple[Tensor, Tensor]:
        """How loud the keys' spectra sound, plain and tilted: two of (rows, frames, 88).

        Arguments as in `forward`; a velocity of 0 stays 0.
        """
        power = self.power(features).float().clamp(*POWERS)[:, None]
        extra = self.extra_power(features).float().clamp(*EXTRA_POWERS)[:, None]
        level = velocity.clamp(min=SOFTEST).log()
        fill = nn.functional.pad(self.fill(features).float(), (0, 1)).exp()
        age = frames_since_onset(drives, self.frame_rate).clamp(max=FILL_FRAMES)
        filled = fill.gather(1, age.flatten(1)).view_as(velocity)
        plain = (level * power).exp() * filled * (velocity > 0)
        return plain, plain * (level * extra).exp()

    def noise(self, features: Tensor) -> Tensor:
        """Powers (rows, bands) of the noise floor, at least that of `FLOOR`: their square roots
        have slopes."""
        return (2 * self.floor(features).float().clamp(max=0)).exp() + FLOOR**2


def _constant(features: int, outputs: int, value: float) -> nn.Linear:
    """A linear layer that says the same of every timbre, until it is taught."""
    layer = nn.Linear(features, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, value)
    return layer


def _combs(analysis: Analysis) -> Tensor:
    """Log magnitudes of harmonic combs at each key's pitch, falling as 1/n: (88, bands)."""
    bins = np.arange(analysis.bins) * analysis.rate / analysis.window
    # Half the main lobe of a Hann window spans two bins.
    reach = 2 * analysis.rate / analysis.window
    combs = np.full((KEYS, analysis.bins), 1e-4)
    for key in range(KEYS):
        pitch = 440 * 2 ** ((key + LOWEST_KEY - 69) / 12)
        for number in range(1, int(analysis.rate / 2 / pitch) + 1):
            away = np.abs(bins - number * pitch) / reach
            combs[key] += 0.2 / number * np.cos(np.pi / 2 * np.minimum(away, 1)) ** 2
    return fold(torch.from_numpy(combs), analysis).log().float()
