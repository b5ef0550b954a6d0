"""What lies between the instruments: the network as its own teacher.

No data tells how the middle of two instruments sounds, so a network that has only seen data may
answer anything there, and has answered with noise. Here random mixtures of instruments are asked
to sound like the mixture of what the network now says of each. Loudness is the cube root of
power, about: so magnitudes are mixed as their powers of `SONE`, and a tone that has died in one
instrument still sounds in the middle; then the whole is brought to the line between the ends'
levels in dB, as far as it lies off.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synth.mel import Analysis, band_widths
from synth.mel2mel.bilstm import Lookahead
from synth.mel2mel.keys import KeyTracks
from synth.mel2mel.network import QUIET, Mel2Mel, Spectra

SEVERAL = 3
"""Instruments in a mixture, at most."""
PAIRS = 0.6
"""Share of the mixtures that are of two."""
BEYOND = 0.1
"""How far past its end a way from one instrument to another may go, as a share of the way."""
SONE = 0.6
"""The power of a magnitude that adds up to loudness."""
MOST_NEPERS = 0.5
"""By which a sequence's level is mended, 4 dB: one that begins late may hear only an end's tail."""


@dataclass(frozen=True, slots=True)
class Mixtures:
    """chosen (rows, several): instruments; shares (rows, several): of sum 1, one may be a little
    below 0."""

    chosen: Tensor
    shares: Tensor


def draw_mixtures(count: int, instruments: int, random: torch.Generator) -> Mixtures:
    """Random mixtures of two or three instruments, of which there are two at least."""
    several = min(SEVERAL, instruments)
    chosen = torch.rand(count, instruments, generator=random).argsort(1)[:, :several]
    parts = -torch.rand(count, several, generator=random).clamp(min=1e-9).log()
    way = torch.rand(count, generator=random) * (1 + 2 * BEYOND) - BEYOND
    paired = torch.rand(count, generator=random) < PAIRS
    pairs = torch.stack([way, 1 - way, *[torch.zeros(count)] * (several - 2)], 1)
    mixed = parts / parts.sum(1, keepdim=True)
    return Mixtures(chosen, torch.where(paired[:, None], pairs[:, :several], mixed))


def points_of(mixtures: Mixtures, instruments: Tensor) -> Tensor:
    """Where they lie: (rows, 1, size), of the table of embeddings (instruments, size)."""
    return (mixtures.shares[..., None] * instruments[mixtures.chosen]).sum(1, keepdim=True)


@torch.no_grad()
def wanted_between(
    network: Mel2Mel, mixtures: Mixtures, roll: Tensor, keys: KeyTracks, lookaheads: Lookahead
) -> Spectra:
    """The spectra that mixtures should have: those of their instruments, mixed.

    roll, keys, lookaheads: of each mixture, as `Mel2Mel.forward` takes them.
    """
    shares = mixtures.shares.clamp(min=0)
    shares = shares / shares.sum(1, keepdim=True)
    again, place = shares.nonzero(as_tuple=True)
    ahead = [lookaheads[int(row)] for row in again]
    ends = network.instruments(mixtures.chosen[again, place])[:, None]
    heard = network(roll[again], ends, ahead, keys.at(again))
    fine, mel = (_laid_out(x, shares) for x in (heard.fine, heard.mel))
    gain = _level_gap(fine, shares, network.config.analysis)
    return Spectra(*((mix(x, shares) + gain).clamp(min=QUIET) for x in (mel, fine)))


def _laid_out(logs: Tensor, shares: Tensor) -> Tensor:
    """Logs of the ends that count, (ends, ...), as (rows, several, ...); others are silent."""
    table = logs.new_full((*shares.shape, *logs.shape[1:]), QUIET, dtype=torch.float32)
    table[shares > 0] = logs.float()
    return table


def mix(logs: Tensor, shares: Tensor) -> Tensor:
    """Logs of magnitudes (rows, several, ...) mixed as loudness, by shares (rows, several)."""
    parts = shares.log().view(*shares.shape, *[1] * (logs.ndim - 2))
    return (SONE * logs + parts).logsumexp(1) / SONE


def _level_gap(fine: Tensor, shares: Tensor, analysis: Analysis) -> Tensor:
    """Nepers from the mixture's level up to the line between its parts': (rows, 1, 1)."""
    widths = band_widths(analysis)

    def level(logs: Tensor) -> Tensor:
        power = (2 * logs).exp() @ widths.to(logs)
        return power.mean(-1).log() / 2

    line = (shares * level(fine)).sum(1)
    gap = (line - level(mix(fine, shares))).clamp(-MOST_NEPERS, MOST_NEPERS)
    return gap[:, None, None]
