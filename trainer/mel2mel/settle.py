"""A beginning for training: key templates that say what was measured of single keys.

Instruments are placed by what is heard of them (placement.py). Then everything that templates make
of the timbre is solved for, so that each instrument has what was measured, and mixtures nearly the
mixture.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from synth.mel2mel.network import Mel2Mel
from synth.mel2mel.templates import FASTEST_DECAY
from trainer.mel2mel.basis import fitted_basis
from trainer.mel2mel.between import draw_mixtures
from trainer.mel2mel.grow import place_functions
from trainer.mel2mel.keys_alone import KeySounds
from trainer.mel2mel.placement import placed, spread_of

SILENT_FLOOR = -14.0
"""Natural log of the noise floor to begin with, that of silence."""
MIXTURES, MIXTURE_WEIGHT = 400, 0.01
"""Timbres between two or three instruments that count as well, and how much each."""
RIDGE = 1e-4
"""Of least squares, so that no function of the timbre counts more than it must."""
LAYERS = ("power", "extra_power", "release")
"""Of the templates, that are kept."""


def settle(
    network: Mel2Mel, sounds: KeySounds, corrected: bool = False, releases: Tensor | None = None
) -> str:
    """Place the instruments, and let templates begin as the keys sound.

    What a network already knows of velocities is kept, and of releases too, unless they are given
    (instruments, 88, constants), logits. corrected: so are its
    corrections, because they were learnt on templates like these; otherwise they begin again at
    nothing. Returns a line that says how well the templates tell the instruments apart.
    """
    with torch.no_grad():
        wanted = _known(network)
        if releases is not None:
            wanted["release"] = releases.flatten(1)
        modulations = _modulations(network)
        network.instruments.weight.copy_(placed(sounds, network))
    points = network.instruments.weight.detach()
    places, shares = instruments_and_mixtures(points)
    if network.config.blend:
        place_functions(network.timbre, places, spread_of(points))
    with torch.no_grad():
        told, solution = shares_in_functions(network, places, shares)
        _fill(network, sounds, wanted, solution)
        there = torch.linalg.pinv(_with_one(points))
        for layer, values in zip(_modulators(network), modulations, strict=True):
            set_linear(layer, there @ values)
        for head in () if corrected else (network.fine, network.mel):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        away = (told @ solution - shares).abs()
        own = len(points)
    return (
        f"templates of {own} instruments measured from single keys; told apart to "
        f"{float(away[:own].max()):.3f}, mixtures to {float(away[own:].mean()):.3f}"
    )


def instruments_and_mixtures(points: Tensor) -> tuple[Tensor, Tensor]:
    """Places of the instruments, points (instruments, size), and of mixtures of them: (n, size),
    and the share of each instrument in each (n, instruments)."""
    drawn = draw_mixtures(MIXTURES, len(points), torch.Generator().manual_seed(0))
    shares = torch.zeros(MIXTURES, len(points)).scatter_(1, drawn.chosen, drawn.shares)
    shares = torch.cat([torch.eye(len(points)), shares])
    return shares @ points, shares


def shares_in_functions(network: Mel2Mel, places: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """What the network's functions of the timbre say at places, a 1 before them, told (n,
    functions + 1), and what makes shares of them: told @ solution is nearly the shares."""
    told = _with_one(network.timbre(places))
    return told, _solve(told.double(), shares.double()).float()


def _known(network: Mel2Mel) -> dict[str, Tensor]:
    """Powers, releases and tilts of each instrument, as the network has them."""
    templates, features = network.templates, network.timbre(network.instruments.weight)
    known = {name: getattr(templates, name)(features) for name in LAYERS}
    return known | {"tilt": templates.tilt + (features @ templates.tilt_by_timbre)[:, None]}


def _fill(network: Mel2Mel, sounds: KeySounds, wanted: dict[str, Tensor], solution: Tensor) -> None:
    """Everything that the templates make of the timbre. solution: (functions + 1, instruments)."""
    templates = network.templates
    level = float(np.log(sounds.velocity))
    plain = (level * wanted["power"])[..., None, None]
    harder = (2 * (wanted["tilt"] + level * wanted["extra_power"][..., None])).exp().log1p() / 2
    base = sounds.spectra - plain - harder[:, :, None]
    decay = (sounds.decay / (FASTEST_DECAY - sounds.decay)).log()
    linear = {name: wanted[name] for name in LAYERS}
    linear |= {"decay": decay.flatten(1), "fill": sounds.fill.flatten(1)}
    if templates.level is not None:
        power = (2 * base).exp() @ templates.widths
        linear["level"] = (power.log() / 2).flatten(1)
    for name, values in linear.items():
        set_linear(getattr(templates, name), solution @ values)
    _fill_spectra(network, base, solution)
    # A tilt is the same for all keys but for what every instrument has.
    usual = wanted["tilt"].mean(0)
    moved = solution @ (wanted["tilt"] - usual).mean(1)
    templates.tilt.copy_(usual + moved[0])
    templates.tilt_by_timbre.copy_(moved[1:])
    nn.init.zeros_(templates.floor.weight)
    nn.init.constant_(templates.floor.bias, SILENT_FLOOR)


def _fill_spectra(network: Mel2Mel, base: Tensor, solution: Tensor) -> None:
    """The spectra at velocity 1, base (instruments, 88, moments, bands)."""
    templates = network.templates
    if not templates.mixed_of:
        moved = torch.tensordot(solution, base, 1)
        templates.base.copy_(moved[0])
        templates.by_timbre.copy_(moved[1:])
        return
    mean, mixes, basis = fitted_basis(base, network.config.basis)
    templates.base.copy_(mean)
    templates.basis.copy_(basis)
    moved = torch.tensordot(solution, mixes, 1)
    # Functions that are shares add up to 1, so what is the same for all can be said by each.
    templates.mixes.copy_(moved[1:] + moved[0])


def _modulators(network: Mel2Mel) -> list[nn.Linear]:
    films = (network.film_in, network.film_out)
    return [layer for film in films for layer in (film.gamma, film.beta)]


def _modulations(network: Mel2Mel) -> list[Tensor]:
    """What the FiLM layers say of each instrument."""
    return [layer(network.instruments.weight) for layer in _modulators(network)]


def set_linear(layer: nn.Linear, moved: Tensor) -> None:
    """moved: (1 + inputs, outputs), the bias first."""
    layer.bias.copy_(moved[0])
    layer.weight.copy_(moved[1:].T)


def _solve(told: Tensor, shares: Tensor) -> Tensor:
    """What x makes told @ x the shares, at the instruments above all, and is as small as can be."""
    counts = torch.full((len(told), 1), MIXTURE_WEIGHT).to(told)
    counts[: shares.shape[1]] = 1
    a, b = told * counts, shares * counts
    return torch.linalg.solve(a.T @ a + RIDGE * torch.eye(a.shape[1]).to(a), a.T @ b)


def _with_one(told: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(told[:, :1]), told], 1)
