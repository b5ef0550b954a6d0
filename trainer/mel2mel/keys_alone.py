"""Key templates read off the sound of single keys, as a beginning for training.

A data set may hold every key of every instrument alone, held for many seconds (`render` makes
them). What a template says of a key can be measured there: its spectrum at each moment, how fast
each octave of it decays, and how it fills the first frames. Training then has only to mend it.

Instruments are placed by what is heard of them: brighter ones to the right, fuller ones higher
up, evenly spread. So a line between two of them leads from one brightness and loudness to the
other without a detour, and both axes have a meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from synth.mel import FLOOR, Analysis, band_centres, fold
from synth.mel2mel.keys import KEYS
from synth.mel2mel.network import Mel2Mel
from synth.mel2mel.templates import FASTEST_DECAY, FILL_FRAMES, KeyTemplates
from trainer.data.dataset import audio_around, framed_magnitudes, load_excerpt
from trainer.data.plan import KEYS_ALONE
from trainer.mel2mel.between import draw_mixtures
from trainer.mel2mel.grow import place_functions

DECAY_FROM_S = 2.0
"""Seconds after the onset from where on a decay is measured, if the tone lasts so long."""
STEADY_DB = 3.0
"""A tone that loses less than that is one that sustains."""
DEAD = 3e-5
"""Magnitude below which a band is silent: 10 dB above the floor."""
SLOWEST_DECAY, QUICKEST_DECAY = 1e-3, 0.97 * FASTEST_DECAY
"""Nepers a second: what a logit can say well."""
FILLS = (-4.0, 2.0)
"""Natural log of the least and the most that a fill is taken for."""
SILENT_FLOOR = -14.0
"""Natural log of the noise floor to begin with, that of silence."""
MIXTURES, MIXTURE_WEIGHT = 400, 0.03
"""Timbres between two or three instruments that count as well, and how much each."""
RIDGE = 1e-4
"""Of least squares, so that no function of the timbre counts more than it must."""


@dataclass(frozen=True, slots=True)
class KeySounds:
    """Of each instrument and key. spectra (instruments, 88, moments, bands): log magnitudes as
    struck at `velocity` (0..1), decays taken out; decay (instruments, 88, decay bands): nepers a
    second; fill (instruments, 88, FILL_FRAMES): natural log; centroid, level (instruments,):
    mean of the middle keys, octaves and dB."""

    velocity: float
    spectra: Tensor
    decay: Tensor
    fill: Tensor
    centroid: Tensor
    level: Tensor


def has_keys(folder: Path) -> bool:
    """Whether a data set holds single keys."""
    return any((folder / KEYS_ALONE).glob("*.npz"))


def measure_keys(folder: Path, patches: list[str], network: Mel2Mel) -> KeySounds:
    """All single keys of a data set; a key that an instrument lacks takes after the next one.

    Raises ValueError when an instrument has none.
    """
    templates, analysis = network.templates, network.config.analysis
    moments, bands = len(templates.moments_s), analysis.bands
    decay_bands = len(templates.decay_edges) - 1
    count = len(patches)
    spectra = torch.zeros(count, KEYS, moments, bands)
    decay = torch.zeros(count, KEYS, decay_bands)
    fill = torch.zeros(count, KEYS, FILL_FRAMES)
    known = torch.zeros(count, KEYS, dtype=torch.bool)
    heard: list[list[tuple[float, float]]] = [[] for _ in patches]
    velocity = 0.0
    for path in tqdm(sorted((folder / KEYS_ALONE).glob("*.npz")), "keys", unit="key"):
        excerpt = load_excerpt(path, patches)
        onset, channel = np.argwhere(excerpt.roll[:, KEYS:])[0]
        held = int(np.flatnonzero(excerpt.roll[:, channel])[-1]) + 1
        velocity = float(excerpt.roll[onset, channel]) / 127
        frames, half = held - onset, analysis.window // 2
        audio = audio_around(excerpt.audio, onset * analysis.hop, frames * analysis.hop, half)
        linear = fold(framed_magnitudes(audio[None], analysis)[0], analysis)
        at = (excerpt.instrument, int(channel))
        spectra[at], decay[at], fill[at] = _measure(linear, templates)
        known[at] = True
        if 27 <= channel <= 63:
            heard[excerpt.instrument].append(_impression(linear, analysis))
    for i, patch in enumerate(patches):
        there = known[i].nonzero()[:, 0]
        if not len(there):
            raise ValueError(f"{folder / KEYS_ALONE}: no key of {patch}; let `render` finish")
        nearest = there[(torch.arange(KEYS)[:, None] - there).abs().argmin(1)]
        for table in (spectra, decay, fill):
            table[i] = table[i, nearest]
    impressions = np.array([np.mean(each, 0) for each in heard], np.float32)
    centroid, level = torch.from_numpy(impressions).T
    return KeySounds(velocity, spectra, decay, fill, centroid, level)


def _measure(linear: Tensor, templates: KeyTemplates) -> tuple[Tensor, Tensor, Tensor]:
    """Of one held key, frames from its onset on (frames, bands): spectra (moments, bands), decay
    (decay bands,) and fill (FILL_FRAMES,)."""
    edges = templates.decay_edges
    seconds = torch.arange(len(linear)) * templates.frame_s
    decay = torch.stack(
        [_decay_of(linear[:, low:high], templates.frame_s) for low, high in pairwise(edges)]
    )
    widths = torch.tensor(np.diff(edges))
    kept = (-seconds[:, None] * decay).exp().repeat_interleave(widths, 1)
    hats = templates.share(torch.arange(len(linear)))
    weights = hats.square() / hats.square().sum(0).clamp(min=1e-9)[None]
    log = linear.clamp(min=FLOOR).log()
    spectra = weights.T @ (log - kept.log())
    quiet = weights.T @ log < np.log(DEAD)
    for moment in range(1, len(spectra)):
        # What is silent must not grow again by the decay that is taken out of it, and a moment
        # after the key's release is as the one before.
        before = spectra[moment - 1]
        now = spectra[moment] if hats[:, moment].any() else before
        spectra[moment] = torch.where(quiet[moment], torch.minimum(now, before), now)
    made = (hats[:FILL_FRAMES] @ (2 * spectra).exp()) * kept[:FILL_FRAMES].square()
    true = linear[:FILL_FRAMES].square().sum(1)
    fill = (true.clamp(min=FLOOR**2) / made.sum(1).clamp(min=FLOOR**2)).log() / 2
    return spectra, decay, fill.clamp(*FILLS)


def _decay_of(linear: Tensor, frame_s: float) -> Tensor:
    """Nepers a second that a held tone's bands (frames, bands) lose together, 0 if it stays."""
    power = linear.square().mean(1)
    level = power.unfold(0, 25, 5).mean(1).clamp(min=1e-12).log() / 2
    seconds = (torch.arange(len(level)) * 5 + 12) * frame_s
    alive = level > np.log(DEAD)
    last = int(alive.nonzero()[-1]) + 1 if alive.any() else 0
    first = min(int(DECAY_FROM_S / frame_s / 5), last // 2)
    if last - first < 5:
        return torch.tensor(QUICKEST_DECAY if last < len(level) else SLOWEST_DECAY)
    time, level = seconds[first:last], level[first:last]
    time, mean = time - time.mean(), level.mean()
    rate = -(time @ (level - mean)) / (time @ time)
    lost_db = float(rate) * float(time[-1] - time[0]) * 20 / np.log(10)
    steady = torch.tensor(SLOWEST_DECAY)
    return rate.clamp(SLOWEST_DECAY, QUICKEST_DECAY) if lost_db > STEADY_DB else steady


def _impression(linear: Tensor, analysis: Analysis) -> tuple[float, float]:
    """Octaves of the centroid and dB of the first second of a tone."""
    hertz = torch.from_numpy(band_centres(analysis, "fine")).float()
    first = linear[: round(analysis.frame_rate)]
    mean = first.mean(0)
    centroid = float((mean @ hertz) / mean.sum())
    return float(np.log2(centroid)), 10 * float(first.square().sum(1).mean().log10())


def place(network: Mel2Mel, sounds: KeySounds) -> None:
    """Put the instruments where they are heard: x by brightness, y by level, evenly from -1 to 1.

    Only in two dimensions.
    """
    ranks = [values.argsort().argsort() for values in (sounds.centroid, sounds.level)]
    places = torch.stack(ranks, 1) * 2 / max(len(sounds.level) - 1, 1) - 1
    with torch.no_grad():
        network.instruments.weight.copy_(places)


def settle(network: Mel2Mel, sounds: KeySounds) -> str:
    """Begin with what was measured: instruments in their places, templates as the keys sound.

    What a network already knows of velocities and releases is kept; the heads' corrections begin
    again at nothing. Returns a line that says how well the templates tell the instruments apart.
    """
    templates, points = network.templates, network.instruments.weight
    with torch.no_grad():
        features = network.timbre(points)
        layers = ("power", "extra_power", "release")
        kept = {name: getattr(templates, name)(features) for name in layers}
        tilt = templates.tilt + (features @ templates.tilt_by_timbre)[:, None]
        films = (network.film_in, network.film_out)
        modulations = [layer(points) for film in films for layer in (film.gamma, film.beta)]
        if points.shape[1] == 2:
            place(network, sounds)
    mixtures, shares = _mixtures(points.detach())
    if network.config.blend:
        place_functions(network.timbre, mixtures)
    with torch.no_grad():
        told = _with_one(network.timbre(mixtures))
        counts = _counts(len(mixtures), len(points))
        solution = _solve(told.double(), shares.double(), counts).float()
        linear = [layer for film in films for layer in (film.gamma, film.beta)]
        there = torch.linalg.pinv(_with_one(points))
        for layer, values in zip(linear, modulations, strict=True):
            moved = there @ values
            layer.bias.copy_(moved[0])
            layer.weight.copy_(moved[1:].T)
        level = np.log(sounds.velocity)
        plain = level * kept["power"][..., None, None]
        harder = (2 * (tilt + level * kept["extra_power"][..., None])).exp().log1p() / 2
        base = sounds.spectra - plain - harder[:, :, None]
        logits = (sounds.decay / (FASTEST_DECAY - sounds.decay)).log()
        for layer, values in (
            *((getattr(templates, name), value) for name, value in kept.items()),
            (templates.decay, logits.flatten(1)),
            (templates.fill, sounds.fill.flatten(1)),
        ):
            moved = solution @ values
            layer.bias.copy_(moved[0])
            layer.weight.copy_(moved[1:].T)
        if templates.level is not None:
            power = (2 * base).exp() @ templates.widths
            moved = solution @ (power.log() / 2).flatten(1)
            templates.level.bias.copy_(moved[0])
            templates.level.weight.copy_(moved[1:].T)
        moved = torch.tensordot(solution, base, 1)
        templates.base.copy_(moved[0])
        templates.by_timbre.copy_(moved[1:])
        # A tilt is the same for all keys but for what every instrument has.
        usual = tilt.mean(0)
        moved = solution @ (tilt - usual).mean(1)
        templates.tilt.copy_(usual + moved[0])
        templates.tilt_by_timbre.copy_(moved[1:])
        nn.init.zeros_(templates.floor.weight)
        nn.init.constant_(templates.floor.bias, SILENT_FLOOR)
        for head in (network.fine, network.mel):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        away = (told @ solution - shares).abs()
        own = len(points)
    return (
        f"templates of {int(sounds.spectra.shape[0])} instruments measured from single keys; "
        f"told apart to {float(away[:own].max()):.3f}, mixtures to {float(away[own:].mean()):.3f}"
    )


def _mixtures(points: Tensor) -> tuple[Tensor, Tensor]:
    """The instruments' points and some between two or three: (n, size), and the shares of each
    instrument in them (n, instruments)."""
    drawn = draw_mixtures(MIXTURES, len(points), torch.Generator().manual_seed(0))
    shares = torch.zeros(MIXTURES, len(points)).scatter_(1, drawn.chosen, drawn.shares)
    shares = torch.cat([torch.eye(len(points)), shares])
    return shares @ points, shares


def _solve(told: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    """The x of least squares, counts * (told @ x - wanted), and the smaller the better."""
    a, b = told * counts, wanted * counts
    return torch.linalg.solve(a.T @ a + RIDGE * torch.eye(a.shape[1]).to(a), a.T @ b)


def _counts(points: int, instruments: int) -> Tensor:
    counts = torch.full((points, 1), MIXTURE_WEIGHT, dtype=torch.float64)
    counts[:instruments] = 1
    return counts


def _with_one(told: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(told[:, :1]), told], 1)
