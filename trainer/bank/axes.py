"""Names for the coordinates of a network's timbre space: what each of them changes most.

Two keys are played at places spread over the space (a Sobol sequence within the span of the
instruments). Four things are measured on the spectra that the network predicts, and each coordinate
is named after that with which it goes up or down most steadily (rank correlation):

    brightness   mean frequency, weighted by power, in octaves
    loudness     mean power, as BS.1770 weighs frequencies, in dB
    sustain      how little a held note falls from 0.3 to 2 s after its onset, in dB
    slowness     frames until a note has half of the greatest power of its first half second

A coordinate that goes down with it has the opposite name: darkness, softness, decay, attack.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import torch
from torch import Tensor

from common.loudness import k_gains
from common.window import KEYS, LOWEST_KEY
from synth.mel import band_centres, band_widths
from synth.mel2mel.network import Mel2Mel

NAMES = (
    ("brightness", "darkness"),
    ("loudness", "softness"),
    ("sustain", "decay"),
    ("slowness", "attack"),
)
"""Of what is measured: when it goes up, and when it goes down."""
CLEAR = 0.5
"""A coordinate whose rank correlation with everything is below this has no name."""
PLACES = 32
STRUCK, VELOCITY = (52, 67), 90
HELD_S, BUILT_S, TONE_S, FALL_S = 2.1, 0.5, 0.1, (0.3, 2.0)


def name_axes(network: Mel2Mel) -> tuple[str, ...]:
    """A name for each coordinate of a network; none at all unless each has one of its own."""
    few = network.config.embedding <= len(NAMES)
    return named(correlations(network)) if few else ()


@torch.no_grad()
def correlations(network: Mel2Mel) -> np.ndarray:
    """Rank correlations of coordinates with what is measured: (coordinates, names), -1..1; 0 for
    what is the same everywhere. The network has a fine head."""
    analysis, size = network.config.analysis, network.config.embedding
    low, high = network.instruments.weight.aminmax(dim=0)
    places = low + (high - low) * torch.quasirandom.SobolEngine(size).draw(PLACES)
    hertz = band_centres(analysis, "fine")
    heard = []
    for key in STRUCK:
        roll = torch.zeros(1, round(HELD_S * analysis.frame_rate), 2 * KEYS)
        roll[:, :, key - LOWEST_KEY] = roll[:, 0, KEYS + key - LOWEST_KEY] = VELOCITY / 127
        spectra = network(roll.expand(PLACES, -1, -1), places[:, None], 0)
        power = (2 * spectra.fine.double()).exp() * band_widths(analysis)
        heard.append(figures(power, hertz, analysis.rate, analysis.frame_rate))
    ranks = np.concatenate([_ranks(places.numpy()), _ranks(np.mean(heard, axis=0))], axis=1)
    ranks -= ranks.mean(axis=0)
    lengths = np.maximum(np.linalg.norm(ranks, axis=0), 1e-9)
    return (ranks.T @ ranks / np.outer(lengths, lengths))[:size, size:]


def figures(power: Tensor, hertz: np.ndarray, rate: int, frame_rate: float) -> np.ndarray:
    """What is measured of notes, in the order of `NAMES`: (notes, 4).

    power: (notes, frames, bands) from the onset on, of bands at hertz (bands,); rate: samples a
    second; frame_rate: frames a second.
    """
    first, built = round(TONE_S * frame_rate), round(BUILT_S * frame_rate)
    before, after = (round(s * frame_rate) for s in FALL_S)
    tone, by_frame = power[:, first:].mean(1), power.sum(2)
    octaves = (tone @ torch.from_numpy(hertz) / tone.sum(1)).log2()
    weights = torch.from_numpy(k_gains(hertz, rate) ** 2)
    level = 10 * (tone @ weights).log10()
    falls = 10 * (by_frame[:, after] / by_frame[:, before]).log10()
    onset = by_frame[:, :built]
    speaks = (onset >= onset.amax(1, keepdim=True) / 2).double().argmax(1)
    return torch.stack([octaves, level, falls, speaks.double()], 1).numpy()


def named(found: np.ndarray) -> tuple[str, ...]:
    """The names that fit best, each taken once; found as from `correlations`.

    >>> named(np.array([[0.9, 0.3, 0.1, 0.0], [0.4, 0.2, -0.8, 0.1]]))
    ('brightness', 'decay')
    >>> named(np.array([[0.9, 0.3, 0.1, 0.0], [0.4, 0.2, -0.3, 0.1]]))
    ()
    """
    count = len(found)
    ways = permutations(range(found.shape[1]), count)
    best = max(ways, key=lambda way: np.abs(found[range(count), way]).sum())
    values = found[range(count), best]
    if np.abs(values).min() < CLEAR:
        return ()
    return tuple(NAMES[i][int(value < 0)] for i, value in zip(best, values, strict=True))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks down each column of values (places, columns); equal ones share theirs."""
    below = (values[None] < values[:, None]).sum(axis=1)
    return below + ((values[None] == values[:, None]).sum(axis=1) - 1) / 2
