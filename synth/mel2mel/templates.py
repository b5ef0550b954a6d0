"""Key templates: the spectrum that a score asks for, before the network corrects it.

Sound is additive over keys, and partials of different keys meet in any phase: on the whole their
powers add up, not their magnitudes. Each key has a spectrum for some moments after its onset,
which the timbre shapes; between the moments powers are interpolated, over the logarithm of time.
It has a tilt, too: how much brighter it gets the harder it is struck.

    magnitude^2 = noise floor^2 + sum over keys of (fill * release * velocity^power)^2
                  * (1 + (tilt * velocity^extra power)^2) * sum over moments of share * spectrum^2

The fill is the share of a tone that is there in the first frames after its onset: windows that
see its beginning see less of it, and a bow needs time to speak. The release is what is left of a
tone that has been let go.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from common.window import KEYS, LOWEST_KEY
from synth.mel import FLOOR, Analysis, fold
from synth.mel2mel.keys import KeyTracks

MOMENTS_S = (0.0, 0.016, 0.032, 0.056, 0.096, 0.192, 0.384, 0.768, 1.536, 4.0)
"""Seconds after its onset at which a key has a spectrum of its own; the last one holds."""
FILL_FRAMES = 16
"""Frames from an onset on that have a fill of their own; a window ends after four."""
RELEASES_S = (0.02, 0.06, 0.2, 0.6, 1.8)
"""Time constants that a release is mixed of."""
FIRST_RELEASES = (-2.0, 0.0, 2.0, -1.0, -3.0)
"""Their shares at first, before the softmax."""
INAUDIBLE = 1e-4
"""Of a released tone: -80 dB, from where on it is left out."""
FIRST_TILT = -3.0
"""Natural log: at first the hardest blow is hardly brighter."""
POWERS, EXTRA_POWERS = (0.2, 4.0), (0.1, 4.0)
"""Of the velocity, whatever the timbre."""
SOFTEST = 1e-3
"""A velocity below this has the strength of this one."""


class KeyTemplates(nn.Module):
    """Natural logs of magnitudes: base (88, moments, bands) + features . by_timbre; of their
    tilt: tilt (88, bands) + features . tilt_by_timbre. Bands are the analysis's fine ones.

    features (rows, features): what the timbre embedding has been expanded to.
    """

    shares: Tensor
    falls: Tensor

    def __init__(self, analysis: Analysis, features: int) -> None:
        super().__init__()
        moments = len(MOMENTS_S)
        self.base = nn.Parameter(_combs(analysis)[:, None].repeat(1, moments, 1))
        self.by_timbre = nn.Parameter(torch.zeros(features, KEYS, moments, analysis.bands))
        self.tilt = nn.Parameter(torch.full((KEYS, analysis.bands), FIRST_TILT))
        self.tilt_by_timbre = nn.Parameter(torch.zeros(features, analysis.bands))
        self.power = _constant(features, 1, 1.8)
        self.extra_power = _constant(features, 1, 1.5)
        self.fill = _constant(features, KEYS * FILL_FRAMES, 0.0)
        self.release = _constant(features, KEYS * len(RELEASES_S), 0.0)
        with torch.no_grad():
            self.release.bias.view(KEYS, -1).copy_(torch.tensor(FIRST_RELEASES))
        self.floor = _constant(features, analysis.bands, -9.0)
        self.register_buffer("shares", _shares(analysis.frame_rate), persistent=False)
        falls = -1 / (analysis.frame_rate * torch.tensor(RELEASES_S))
        self.register_buffer("falls", falls, persistent=False)

    def forward(self, keys: KeyTracks, features: Tensor) -> Tensor:
        """Linear magnitudes (rows, frames, bands) of rows that each keep one timbre.

        keys (rows, frames, 88); features (rows, n).
        """
        rows = len(features)
        spectra = torch.addmm(self.base.flatten()[None], features, self.by_timbre.flatten(1))
        spectra = spectra.view(rows, KEYS, len(MOMENTS_S), -1)
        tilt = self.tilt + (features @ self.tilt_by_timbre)[:, None]
        plain, hard = self.strengths(keys, features)
        share = self.share(keys.age)
        parts = (plain, hard, share, spectra, tilt)
        if spectra.is_cuda:
            power = _mixed(*parts)
        else:
            power = torch.stack([_mixed_of_heard(*row) for row in zip(*parts, strict=True)])
        return (power + self.noise(features)[:, None]).sqrt()

    def share(self, age: Tensor) -> Tensor:
        """What share each moment has in the spectrum of a key: (..., 88, moments), of sum 1.

        age (..., 88), frames.
        """
        return self.shares[age.long().clamp(max=len(self.shares) - 1)]

    def strengths(self, keys: KeyTracks, features: Tensor) -> tuple[Tensor, Tensor]:
        """How loud the keys' spectra sound, plain and tilted: two of (rows, frames, 88).

        Arguments as in `forward`; a velocity of 0 stays 0.
        """
        power = self.power(features).float().clamp(*POWERS)[:, None]
        extra = self.extra_power(features).float().clamp(*EXTRA_POWERS)[:, None]
        level = keys.velocity.clamp(min=SOFTEST).log()
        fill = self.fill(features).float().view(-1, KEYS, FILL_FRAMES)
        fill = nn.functional.pad(fill, (0, 1)).exp().transpose(1, 2)
        filled = fill.gather(1, keys.age.long().clamp(max=FILL_FRAMES))
        mixture = self.release(features).float().view(-1, 1, KEYS, len(RELEASES_S)).softmax(-1)
        left = ((keys.rest[..., None] * self.falls).exp() * mixture).sum(-1)
        left = left * ((left > INAUDIBLE) & (keys.velocity > 0))
        plain = (level * power).exp() * filled * left
        return plain, plain * (level * extra).exp()

    def noise(self, features: Tensor) -> Tensor:
        """Powers (rows, bands) of the noise floor, at least that of `FLOOR`: their square roots
        have slopes."""
        return (2 * self.floor(features).float().clamp(max=0)).exp() + FLOOR**2


def _mixed(plain: Tensor, hard: Tensor, share: Tensor, spectra: Tensor, tilt: Tensor) -> Tensor:
    """Powers (..., frames, bands) of keys together.

    plain, hard (..., frames, keys), share (..., frames, keys, moments), and the logs spectra
    (..., keys, moments, bands) and tilt (..., keys, bands).
    """
    spectra, tilt = (2 * spectra).exp(), (2 * tilt).exp()
    plain, hard = ((level.square()[..., None] * share).flatten(-2) for level in (plain, hard))
    tilted = spectra * tilt[..., None, :]
    return plain @ spectra.flatten(-3, -2) + hard @ tilted.flatten(-3, -2)


def _mixed_of_heard(
    plain: Tensor, hard: Tensor, share: Tensor, spectra: Tensor, tilt: Tensor
) -> Tensor:
    """`_mixed` for one row, of those keys alone that are heard: some twenty of 88."""
    heard = plain.detach().any(0).nonzero()[:, 0]
    tracks = (track.index_select(1, heard) for track in (plain, hard, share))
    tables = (table.index_select(0, heard) for table in (spectra, tilt))
    return _mixed(*tracks, *tables)


def _shares(frame_rate: float) -> Tensor:
    """Hats over the logarithm of time: (frames to the last moment + 1, moments) in 0..1."""
    ages = np.arange(round(MOMENTS_S[-1] * frame_rate) + 1)
    place = np.log(1 + ages)
    knots = np.log(1 + np.array(MOMENTS_S) * frame_rate)
    columns = [np.interp(place, knots, hat) for hat in np.eye(len(knots))]
    return torch.from_numpy(np.stack(columns, 1)).float()


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
