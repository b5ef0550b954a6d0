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

A key may be struck between two frames. Then its age is between whole frames, and so are its moments
and its fill. In the frame of the strike it is partly there already, and so is what the key played
before.

With decay bands each key has one moment more, and in each band of an octave its tone fades all
the while, at a rate of its own that may be nothing: the moments say the rest. So a key can be
held for ever, and between late moments a tone that dies away does so evenly. Without them, as in
older banks, the last moment holds.

With levels, a spectrum is a shape of unit power times a level of its own. Between two timbres the
shapes mix in the log, which alone would lose power wherever their partials differ; the levels mix
apart from them, so a key half way is as loud as half way in dB.

Two knobs turn every timbre alike, `turns` (rows, 2) in -1..1. Attack, upwards, lets a key's
magnitude come as 1 - exp(-t / T), T up to 0.25 s; downwards, levels that are still to rise within
the first moments are there at once. Decay lets time go faster or slower after the first 0.1 s of a
key. Neither makes a key louder than it ever gets by itself.

With movement, each key has a spread in each decay band, the standard deviation of its level in
natural log, and a timbre has a memory, after which the level has forgotten where it was. The spread
grows during a key's first moments. A band's spread is the mean of its keys', weighted by their
power there. Wide bands hold so many bins that their levels stand still.

With a basis, a key's spectra are not stated for every feature apart, which would take a megabyte
each. All spectra of a key, of all features and moments, are then mixed of a few basis spectra, in
the log. What mixes them is linear in the features, so the spectra are as well.

Deep patches (deep.py) stand behind the features: what they add is linear in their amounts, too.
With them no level rises above the highest that any feature has.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

from common.window import KEYS, LOWEST_KEY
from synth.mel import FLOOR, Analysis, band_centres, band_widths, fold
from synth.mel2mel.keys import KeyTracks

if TYPE_CHECKING:
    from synth.mel2mel.deep import Deltas

MOMENTS_S = (0.0, 0.016, 0.032, 0.056, 0.096, 0.192, 0.384, 0.768, 1.536, 4.0)
"""Seconds after its onset at which a key has a spectrum of its own; the last one holds."""
LATER_S = 8.0
"""One moment more where there are decay bands. Slow beats make a single late moment a bad guess
of what comes after."""
SLOWEST_ATTACK_S = 0.25
"""Time constant of a key that has been told to take its time."""
EARLY = 7
"""Moments, the first, in which a tone builds up: 0.4 s."""
DECAY_TIMES, DECAYS_FROM_S = 3.0, 0.1
"""By how much decays can be made longer or shorter, and what comes before is not touched."""
LOWEST_DECAY_HZ = 62.5
"""Up to here reaches the lowest decay band; the others are an octave wide, but for the highest."""
FASTEST_DECAY = 1.5
"""Nepers a second, 13 dB: the moments alone say what dies sooner."""
FIRST_LEVEL = -2.0
"""Natural log of a key's level at first."""
FIRST_DECAY = -4.0
"""Of the rate's logit at first: 0.2 dB a second."""
LARGEST_SPREAD = 0.8
"""Natural log. Many voices with random phases, Rayleigh, have 0.64."""
GROWN_S = 0.4
"""Seconds after its onset from which on a key moves as far as its spread says: before, the moments
lie close enough to say how it sounds."""
FIRST_MEMORY = 3.9
"""Natural log of milliseconds: 50 ms."""
MEMORIES = (2.0, 7.0)
"""Its least and its most: 7 ms and 1.1 s."""
FILL_FRAMES = 16
"""Frames from an onset on that have a fill of their own; a window ends after four."""
RELEASES_S = (0.02, 0.06, 0.2, 0.6, 1.8)
"""Time constants that a release is mixed of."""
FIRST_RELEASES = (-2.0, 0.0, 2.0, -1.0, -3.0)
"""Their shares at first, before the softmax."""
ARRIVAL = 1.5
"""A tone that comes x of a frame after it has (1 - x)^1.5 of its first frame's power there. Windows
overlap: what they hold adds up as power where phases differ, which asks for 1, and as magnitude
where they agree, which asks for 2. Between the two, notes lie best at their times."""
INAUDIBLE = 1e-4
"""Of a released tone: -80 dB, from where on it is left out."""
FIRST_TILT = -3.0
"""Natural log: at first the hardest blow is hardly brighter."""
POWERS, EXTRA_POWERS = (0.2, 4.0), (0.1, 4.0)
"""Of the velocity, whatever the timbre."""
SOFTEST = 1e-3
"""A velocity below this has the strength of this one."""
Table = Literal["spectra", "level", "decay", "release", "power"]
"""Of `Deltas`."""


class KeyTemplates(nn.Module):
    """Natural logs of magnitudes: base (88, moments, bands) + features . by_timbre, or with a basis
    base + (features . mixes) . basis; of their tilt: tilt (88, bands) + features . tilt_by_timbre.
    Bands are the analysis's fine ones.

    features (rows, features): what the timbre embedding has been expanded to. decay_bands: how
    many there are, 0 for none; levels: whether spectra have levels of their own; moving: whether
    there are spreads and memories, which takes decay bands; basis: how many spectra those of each
    key are mixed of, 0 where each feature has its own. deep: tables of deep patches, if any;
    then the amount of each, 0..1, may stand behind the features: (rows, features + slots).
    """

    by_timbre: nn.Parameter
    """Not there with a basis."""
    mixes: nn.Parameter
    basis: nn.Parameter
    """Both are there only with a basis."""
    shares: Tensor
    falls: Tensor
    widths: Tensor

    def __init__(
        self,
        analysis: Analysis,
        features: int,
        decay_bands: int = 0,
        levels: bool = False,
        moving: bool = False,
        basis: int = 0,
    ) -> None:
        super().__init__()
        self.analysis = analysis
        self.deep: Deltas | None = None
        self.moments_s = (*MOMENTS_S, LATER_S) if decay_bands else MOMENTS_S
        moments = len(self.moments_s)
        self.base = nn.Parameter(_combs(analysis)[:, None].repeat(1, moments, 1))
        self.features = features
        self.mixed_of = basis
        if basis:
            self.mixes = nn.Parameter(torch.zeros(features, KEYS, moments, basis))
            self.basis = nn.Parameter(torch.randn(KEYS, basis, analysis.bands))
        else:
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
        self.decay = _constant(features, KEYS * decay_bands, FIRST_DECAY) if decay_bands else None
        self.level = _constant(features, KEYS * moments, FIRST_LEVEL) if levels else None
        if moving and not decay_bands:
            raise ValueError("movement: takes decay_bands, got none")
        self.spread = _constant(features, KEYS * decay_bands, 0.0) if moving else None
        self.memory = _constant(features, 1, FIRST_MEMORY) if moving else None
        self.single = analysis.single
        self.register_buffer("widths", band_widths(analysis), persistent=False)
        self.decay_edges = decay_edges(analysis, decay_bands)
        self.frame_s = 1 / analysis.frame_rate
        shares = _shares(self.moments_s, analysis.frame_rate)
        self.register_buffer("shares", shares, persistent=False)
        falls = -1 / (analysis.frame_rate * torch.tensor(RELEASES_S))
        self.register_buffer("falls", falls, persistent=False)

    def forward(self, keys: KeyTracks, features: Tensor, turns: Tensor | None = None) -> Tensor:
        """Linear magnitudes (rows, frames, bands) of rows that each keep one timbre.

        keys (rows, frames, 88); features (rows, n); turns (rows, 2) of the knobs, if any.
        """
        return self._power(keys, features, turns).sqrt()

    def spreads(self, keys: KeyTracks, features: Tensor, turns: Tensor | None = None) -> Tensor:
        """How far bands move, (rows, frames, bands), natural log; arguments as in `forward`."""
        if self.spread is None:
            raise ValueError("these templates know no movement")
        told = self.spread(self._own(features)).float().view(len(features), KEYS, -1)
        weights = told.clamp(0, LARGEST_SPREAD)
        moved = self._power(keys, features, turns, weights) / self._power(keys, features, turns)
        moved[..., self.single :] = 0
        return moved

    def memory_frames(self, features: Tensor) -> Tensor:
        """After how many frames the movement has forgotten: (...,) of features (..., n)."""
        if self.memory is None:
            raise ValueError("these templates know no movement")
        told = self.memory(self._own(features))[..., 0].float().clamp(*MEMORIES)
        return told.exp() / (1000 * self.frame_s)

    def _power(
        self,
        keys: KeyTracks,
        features: Tensor,
        turns: Tensor | None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Powers (rows, frames, bands) of keys and noise, or of keys alone, each of which counts
        in its decay bands by its weights (rows, 88, decay bands), once it has grown."""
        rows = len(features)
        own = self._own(features)
        spectra = self._deepened(self.spectra(own), features, "spectra")
        spectra = spectra.view(rows, KEYS, len(self.moments_s), -1)
        tilt = self.tilt + (own @ self.tilt_by_timbre)[:, None]
        tables = [spectra, tilt, *self._levels_and_rates(features)]
        if weights is not None:
            tables.append(weights)
        come = None if keys.late is None else arrived(keys.since)
        power = self._mixed_rows(self._tones(keys, features, turns, come), tables)
        if come is not None and (come < 1).any():
            before = self._tones(keys.before, features, turns, 1 - come)
            power = power + self._mixed_rows(before, tables)
        return power if weights is not None else power + self.noise(features)[:, None]

    def spectra(self, features: Tensor) -> Tensor:
        """Natural logs of all spectra (rows, 88 * moments * bands), before any level."""
        if not self.mixed_of:
            return torch.addmm(self.base.flatten()[None], features, self.by_timbre.flatten(1))
        mixed = (features @ self.mixes.flatten(1)).view(-1, *self.mixes.shape[1:])
        return (self.base + mixed @ self.basis).flatten(1)

    def _tones(
        self, keys: KeyTracks, features: Tensor, turns: Tensor | None, come: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Strengths, plain and tilted, and ages of keys, with the knobs turned: each (rows, frames,
        88). come: what share of their power counts, None for all."""
        plain, hard = self.strengths(keys, features)
        age = keys.age if keys.late is None else keys.since.clamp(min=0)
        if come is not None:
            plain, hard = plain * come.sqrt(), hard * come.sqrt()
        if turns is not None and turns.any():
            spoken = self._spoken(age.float(), features, turns[:, 0])
            plain, hard = plain * spoken, hard * spoken
            age = self._slowed(age.float(), turns[:, 1])
        return plain, hard, age

    def _mixed_rows(self, tracks: tuple[Tensor, Tensor, Tensor], tables: list[Tensor]) -> Tensor:
        """`_mixed`, in the way that is fastest where the tensors are."""
        if tables[0].is_cuda:
            return self._mixed(*tracks, *tables)
        return torch.stack(
            [
                self._mixed_of_heard([track[row] for track in tracks], [t[row] for t in tables])
                for row in range(len(tables[0]))
            ]
        )

    def _levels_and_rates(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Levels of all spectra (rows, 88, moments) and nepers a second that keys lose (rows, 88,
        decay bands); nothing of what these templates do not have."""
        nothing = features.new_zeros(len(features), KEYS, 0)
        levels = nothing if self.level is None else self._levels(self.level, features)
        if self.decay is None:
            return levels, nothing
        logits = self._deepened(self.decay(self._own(features)), features, "decay")
        return levels, FASTEST_DECAY * logits.float().view(len(features), KEYS, -1).sigmoid()

    def _levels(self, layer: nn.Linear, features: Tensor) -> Tensor:
        """Natural logs of the levels of all spectra (rows, 88, moments)."""
        told = layer(self._own(features))
        if features.shape[-1] > self.features:
            told = torch.minimum(self._deepened(told, features, "level"), highest(layer))
        return told.float().view(len(features), KEYS, -1)

    def _own(self, features: Tensor) -> Tensor:
        """The features of the timbre, without amounts of deep patches behind them."""
        count = self.features
        return features if features.shape[-1] == count else features[..., :count].contiguous()

    def _deepened(self, told: Tensor, features: Tensor, table: Table) -> Tensor:
        """What features say of something, and what deep patches add to it: both (rows, values)."""
        amounts = features[..., self.features :]
        if self.deep is None or not amounts.shape[-1]:
            return told
        used = (amounts != 0).any(0).nonzero()[:, 0]
        return told + amounts[:, used] @ getattr(self.deep, table)[used].flatten(1)

    def _mixed(
        self,
        plain: Tensor,
        hard: Tensor,
        age: Tensor,
        spectra: Tensor,
        tilt: Tensor,
        level: Tensor,
        rate: Tensor,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Powers (..., frames, bands) of keys together.

        plain, hard, age (..., frames, keys); spectra (..., keys, moments, bands) and tilt (...,
        keys, bands), natural logs; level (..., keys, moments) and rate (..., keys, decay bands);
        weights as in `_power`.
        """
        power = (2 * spectra).exp()
        if self.level is not None:
            power = power * ((2 * level).exp() / (power.float() @ self.widths))[..., None]
        tilted = (power * (2 * tilt).exp()[..., None, :]).flatten(-3, -2)
        power, share = power.flatten(-3, -2), self.share(age)
        widths = [high - low for low, high in pairwise(self.decay_edges)]
        mixed = []
        for band, tables in enumerate(
            zip(power.split(widths, -1), tilted.split(widths, -1), strict=True)
        ):
            kept = share
            if self.decay is not None:
                lost = rate[..., None, :, band] * age * self.frame_s
                kept = share * (-2 * lost).exp()[..., None]
            if weights is not None:
                grown = (age * (self.frame_s / GROWN_S)).clamp(max=1)
                kept = kept * (weights[..., None, :, band] * grown)[..., None]
            usual, extra = ((x.square()[..., None] * kept).flatten(-2) for x in (plain, hard))
            mixed.append(usual @ tables[0] + extra @ tables[1])
        return torch.cat(mixed, -1)

    def _mixed_of_heard(self, tracks: list[Tensor], tables: list[Tensor]) -> Tensor:
        """`_mixed` for one row, of those keys alone that are heard: some twenty of 88."""
        heard = tracks[0].detach().any(0).nonzero()[:, 0]
        return self._mixed(
            *(track.index_select(1, heard) for track in tracks),
            *(table.index_select(0, heard) for table in tables),
        )

    def share(self, age: Tensor) -> Tensor:
        """What share each moment has in the spectrum of a key: (..., 88, moments), of sum 1.

        age (..., 88), frames; between whole ones, a share is between theirs.
        """
        whole, last = age.long(), len(self.shares) - 1
        shares = self.shares[whole.clamp(max=last)]
        if not age.is_floating_point():
            return shares
        following = self.shares[(whole + 1).clamp(max=last)]
        return torch.lerp(shares, following, (age - whole)[..., None])

    def _spoken(self, age: Tensor, features: Tensor, attack: Tensor) -> Tensor:
        """By what factor keys are louder for an attack (rows,): (rows, frames, 88); age, frames."""
        late = attack.clamp(min=0)[:, None, None] * SLOWEST_ATTACK_S
        spoken = 1 - (-(age + 1) * self.frame_s / late.clamp(min=1e-6)).exp()
        if self.level is None:
            return spoken
        level = self._levels(self.level, features)
        early, late = level[..., :EARLY], level[..., EARLY:]
        risen = torch.cat([early.flip(-1).cummax(-1).values.flip(-1), late], -1)
        share = self.share(age)
        now, full = ((share * (2 * x[:, None]).exp()).sum(-1) for x in (level, risen))
        return spoken * (full / now) ** (-attack.clamp(max=0)[:, None, None] / 2)

    def _slowed(self, age: Tensor, decay: Tensor) -> Tensor:
        """How old keys seem for a decay (rows,): frames (rows, frames, 88)."""
        first = DECAYS_FROM_S / self.frame_s
        speed = DECAY_TIMES ** -decay[:, None, None]
        return age.clamp(max=first) + (age - first).clamp(min=0) * speed

    def strengths(self, keys: KeyTracks, features: Tensor) -> tuple[Tensor, Tensor]:
        """How loud the keys' spectra sound, plain and tilted: two of (rows, frames, 88).

        Arguments as in `forward`; a velocity of 0 stays 0.
        """
        own = self._own(features)
        power = self._deepened(self.power(own), features, "power").float().clamp(*POWERS)[:, None]
        extra = self.extra_power(own).float().clamp(*EXTRA_POWERS)[:, None]
        level = keys.velocity.clamp(min=SOFTEST).log()
        fill = self.fill(own).float().view(-1, KEYS, FILL_FRAMES)
        fill = nn.functional.pad(fill, (0, 1)).exp().transpose(1, 2)
        age = keys.since.clamp(0, FILL_FRAMES)
        filled = fill.gather(1, age.long())
        if age.is_floating_point():
            following = fill.gather(1, (age.long() + 1).clamp(max=FILL_FRAMES))
            filled = torch.lerp(filled, following, age - age.long())
        release = self._deepened(self.release(own), features, "release").float()
        mixture = release.view(-1, 1, KEYS, len(RELEASES_S)).softmax(-1)
        left = ((keys.rest[..., None] * self.falls).exp() * mixture).sum(-1)
        left = left * ((left > INAUDIBLE) & (keys.velocity > 0))
        plain = (level * power).exp() * filled * left
        return plain, plain * (level * extra).exp()

    def noise(self, features: Tensor) -> Tensor:
        """Powers (rows, bands) of the noise floor, at least that of `FLOOR`: their square roots
        have slopes."""
        return (2 * self.floor(self._own(features)).float().clamp(max=0)).exp() + FLOOR**2


def highest(level: nn.Linear) -> Tensor:
    """The highest of each level that a timbre can have, its features being shares: (outputs,)."""
    return level.bias + level.weight.amax(1)


def arrived(since: Tensor) -> Tensor:
    """What share of its power a tone has since its onset, frames: below 1 where it is below 0."""
    return (1 + since.clamp(-1, 0)) ** ARRIVAL


def decay_edges(analysis: Analysis, bands: int) -> list[int]:
    """The first fine band of each decay band, and the number of fine bands at last.

    Raises ValueError when a decay band would be empty.
    """
    hertz = LOWEST_DECAY_HZ * 2.0 ** np.arange(bands - 1 if bands else 0)
    inner = np.searchsorted(band_centres(analysis, "fine"), hertz).tolist()
    edges = [0, *inner, analysis.bands]
    if any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"decay_bands is {bands}, too many octaves for {analysis.rate} Hz")
    return edges


def _shares(moments_s: tuple[float, ...], frame_rate: float) -> Tensor:
    """Hats over the logarithm of time: (frames to the last moment + 1, moments) in 0..1."""
    ages = np.arange(round(moments_s[-1] * frame_rate) + 1)
    place = np.log(1 + ages)
    knots = np.log(1 + np.array(moments_s) * frame_rate)
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
    pitch = 440 * 2 ** ((np.arange(KEYS)[:, None] + LOWEST_KEY - 69) / 12)
    nearest, last = np.rint(bins / pitch), analysis.rate // (2 * pitch)
    combs = np.full((KEYS, analysis.bins), 1e-4)
    aside = int(reach / pitch.min()) + 1
    for number in (nearest + offset for offset in range(-aside, aside + 1)):
        away = np.minimum(np.abs(bins - number * pitch) / reach, 1)
        there = (number >= 1) & (number <= last)
        combs += there * 0.2 / np.maximum(number, 1) * np.cos(np.pi / 2 * away) ** 2
    return fold(torch.from_numpy(combs), analysis).log().float()
