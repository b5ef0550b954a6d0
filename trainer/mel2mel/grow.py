"""Another network's weights as a beginning, at the same rate, a higher or a lower one.

Frames are as long and bins as wide in a 16 kHz network as in a 48 kHz one, so what was learnt of
the bins below 8 kHz holds in both. Towards the higher rate, the bands above begin like the highest
bins. Towards the lower rate they are left out, and the network sounds at once as it did before.
Fewer or other functions of the timbre than before say the same of the instruments as nearly as they
can.

A network of other instruments lends what is not about its instruments: the layers that hear the
score, and how they correct templates. They are modulated as on the mean of its instruments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from synth.mel2mel.network import Mel2Mel, Mel2MelConfig, TimbreFeatures, config_of
from trainer.run.weights import load_weights, read_config

HEARD = 0.9
"""Share of the old bins that hold: a resampler took the rest away."""
MIXTURES, MIXTURE_WEIGHT = 200, 0.05
"""Timbres between the instruments that count as well, and how much each."""
BAND_AXES = {"fine.weight": 0, "fine.bias": 0, "templates.base": 2, "templates.by_timbre": 3}
BAND_AXES |= {"templates.tilt": 1, "templates.tilt_by_timbre": 1}
BAND_AXES |= {"templates.floor.weight": 0, "templates.floor.bias": 0}
"""Weights with a row for each fine band, and where."""
LAYERS = ("power", "extra_power", "fill", "release", "floor", "decay", "level")
"""Linear layers of the templates, read at functions of the timbre; the last two are not in all."""
SPREAD = 0.1
"""Squared distance on the map, within -1..1, at which an instrument's share has fallen to 1 / e."""
MOVEMENT = ("templates.spread.", "templates.memory.")
"""Weights that are measured, not trained: a bank gets its own."""
MOMENT_AXES = {"templates.base": 1, "templates.by_timbre": 2}
"""Weights with a row for each moment, and where."""


def grow(network: Mel2Mel, path: Path) -> str:
    """Fill a network with what fits of another's weights; says in a line what did.

    Raises ValueError when the file is no Mel2Mel with templates, or of other widths, frames or
    bins, or of other instruments at another rate.
    """
    old, new = _read(path), network.config
    if old.config.instruments != new.instruments:
        _check_layers(path, old.config, new)
        _take_layers(old, network)
        return (
            f"begun with {path}: its layers, as on the mean of its {old.config.instruments} "
            "instruments"
        )
    _check(path, old.config, new)
    before, after = old.config.analysis, new.analysis
    weights = {k: v for k, v in old.state_dict().items() if not k.startswith(MOVEMENT)}
    if (new.timbre_features, new.blend) != (old.config.timbre_features, old.config.blend):
        _retell(weights, old, network)
    kept = after.bands
    if before != after:
        if after.rate > before.rate:
            kept = round(HEARD * before.bins)
        elif old.config.blend:
            _lower_levels(weights, old, kept)
        for name, axis in BAND_AXES.items():
            weights[name] = _stretched(weights[name], axis, kept, after.bands)
        # Other mel bands lie elsewhere.
        weights = {k: v for k, v in weights.items() if not k.startswith("mel.")}
    moments = len(network.templates.moments_s)
    for name, axis in MOMENT_AXES.items():
        weights[name] = _stretched(weights[name], axis, weights[name].shape[axis], moments)
    network.load_state_dict(network.state_dict() | weights)
    if new.blend and not old.config.blend:
        _take_levels(network)
    return (
        f"begun with {path}: {kept} of {after.bands} fine bands, {new.timbre_features} of "
        f"{old.config.timbre_features} functions of the timbre, "
        f"{'a new' if before != after else 'its'} mel head"
    )


def _read(path: Path) -> Mel2Mel:
    stated = read_config(path)
    if not stated.get("timbre_features"):
        raise ValueError(f"{path}: not weights of a mel2mel with key templates")
    old = Mel2Mel(config_of(stated))
    load_weights(old, path)
    return old


def _check(path: Path, old: Mel2MelConfig, new: Mel2MelConfig) -> None:
    pairs = [("hidden", old.hidden, new.hidden)]
    before, after = old.analysis, new.analysis
    pairs += [
        ("embedding", old.embedding, new.embedding),
        ("frames a second", before.frame_rate, after.frame_rate),
        ("hertz between bins", before.rate / before.window, after.rate / after.window),
    ]
    for name in ("decay_bands", "blend"):
        if getattr(old, name):
            pairs.append((name, getattr(old, name), getattr(new, name)))
    _compare(path, pairs)
    for stated in (old.basis, new.basis):
        if stated:
            raise ValueError(f"{path}: cannot be grown (basis is {stated}, but must be 0)")
    if not 0 < new.timbre_features <= old.timbre_features:
        raise ValueError(
            f"{path}: cannot be grown (timbre_features is {new.timbre_features}, but must be "
            f"1..{old.timbre_features})"
        )
    if after.rate < before.rate:
        # The bin at the lower rate's Nyquist frequency may be the first of the wide bands.
        if after.wide_bands or after.bins > min(before.single + 1, before.bands):
            raise ValueError(f"{path}: cannot be grown (only to each bin a band at a lower rate)")
    elif before.wide_bands and before != after:
        raise ValueError(f"{path}: cannot be grown (only from each bin a band to a higher rate)")


def _check_layers(path: Path, old: Mel2MelConfig, new: Mel2MelConfig) -> None:
    pairs = [("hidden", old.hidden, new.hidden)]
    for name in ("rate", "hop", "window", "mels", "wide_bands"):
        here = getattr(new.analysis, name)
        pairs.append((f"{name} of other instruments", getattr(old.analysis, name), here))
    _compare(path, pairs)


def _compare(path: Path, pairs: list[tuple[str, Any, Any]]) -> None:
    for name, there, here in pairs:
        if there != here:
            raise ValueError(f"{path}: cannot be grown ({name}: {there} there, {here} here)")


@torch.no_grad()
def _take_layers(old: Mel2Mel, new: Mel2Mel) -> None:
    """The layers of a network of other instruments, modulated as on the mean of these."""
    for name in ("entry", "lstm", "mel", "fine"):
        getattr(new, name).load_state_dict(getattr(old, name).state_dict())
    mean = old.instruments.weight.mean(0)
    for theirs, ours in ((old.film_in, new.film_in), (old.film_out, new.film_out)):
        for name in ("gamma", "beta"):
            layer = getattr(ours, name)
            layer.bias.copy_(getattr(theirs, name)(mean))
            nn.init.zeros_(layer.weight)


def place_functions(timbre: TimbreFeatures, points: Tensor, spread: float = SPREAD) -> None:
    """Let each function of a timbre that blends belong to a place: the first of points (n, size).

    A share falls with the squared distance from its place: to 1 / e where that is the spread.
    """
    places = points[: len(timbre.linear.weight)]
    with torch.no_grad():
        timbre.linear.weight.copy_(2 * places / spread)
        timbre.linear.bias.copy_(-places.square().sum(1) / spread)


@torch.no_grad()
def _retell(weights: dict[str, Tensor], old: Mel2Mel, new: Mel2Mel) -> None:
    """Make do with other functions of the timbre: the old ones as linear in them as least squares
    find, at the instruments and a little at timbres between."""
    points = weights["instruments.weight"]
    shares = torch.rand(MIXTURES, len(points), generator=torch.Generator().manual_seed(0)) ** 4
    places = torch.cat([points, shares / shares.sum(1, keepdim=True) @ points])
    counts = torch.ones(len(places), 1)
    counts[len(points) :] = MIXTURE_WEIGHT
    linear = new.timbre.linear
    if old.config.blend == new.config.blend:
        linear.weight.copy_(old.timbre.linear.weight[: len(linear.weight)])
        linear.bias.copy_(old.timbre.linear.bias[: len(linear.bias)])
    else:
        place_functions(new.timbre, places)
    told = old.timbre(places)
    fewer = torch.cat([torch.ones(len(places), 1), new.timbre(places)], 1)
    # Functions that are alike leave more than one solution: the smallest.
    share = torch.linalg.lstsq(fewer * counts, told * counts, driver="gelsd").solution
    for still, moving in (("base", "by_timbre"), ("tilt", "tilt_by_timbre")):
        still, moving = f"templates.{still}", f"templates.{moving}"
        moved = torch.tensordot(share, weights[moving], 1)
        weights[still] = weights[still] + moved[0]
        weights[moving] = moved[1:]
    for layer in LAYERS:
        if f"templates.{layer}.bias" not in weights:
            continue
        still, moving = f"templates.{layer}.bias", f"templates.{layer}.weight"
        moved = share @ weights[moving].T
        weights[still] = weights[still] + moved[0]
        weights[moving] = moved[1:].T.contiguous()
    for name in ("weight", "bias"):
        weights[f"timbre.linear.{name}"] = getattr(linear, name)


@torch.no_grad()
def _take_levels(network: Mel2Mel) -> None:
    """Let each spectrum's level be what it is at the instruments."""
    templates, told = network.templates, network.timbre(network.instruments.weight)
    powers = [
        (2 * (templates.base + torch.tensordot(one, templates.by_timbre, 1))).exp()
        @ templates.widths
        for one in told
    ]
    levels = torch.stack(powers).log().flatten(1) / 2
    moved = _solved(told, levels)
    templates.level.bias.copy_(moved[0])
    templates.level.weight.copy_(moved[1:].T)


@torch.no_grad()
def _lower_levels(weights: dict[str, Tensor], old: Mel2Mel, kept: int) -> None:
    """A level is that of the whole spectrum: take off what lies above the first `kept` bands, so
    that those stay as they are at the instruments."""
    templates = old.templates
    points = weights["instruments.weight"]
    linear = {name: weights[f"timbre.linear.{name}"] for name in ("weight", "bias")}
    told = nn.functional.linear(points, **linear).softmax(-1)
    base, by_timbre = weights["templates.base"], weights["templates.by_timbre"]
    shares = []
    for one in told:
        power = (2 * (base + torch.tensordot(one, by_timbre, 1))).exp()
        below = power[..., :kept].sum(-1)
        shares.append((below / (power @ templates.widths)).log().flatten() / 2)
    moved = _solved(told, torch.stack(shares))
    weights["templates.level.bias"] = weights["templates.level.bias"] + moved[0]
    weights["templates.level.weight"] = weights["templates.level.weight"] + moved[1:].T


def _solved(told: Tensor, values: Tensor) -> Tensor:
    """What is linear in functions of the timbre, told (n, functions), and says the values (n,
    outputs) there: (1 + functions, outputs), the smallest solution."""
    ones = torch.cat([torch.ones(len(told), 1), told], 1)
    return torch.linalg.lstsq(ones, values, driver="gelsd").solution


def _stretched(old: Tensor, axis: int, kept: int, count: int) -> Tensor:
    """The first `kept` of an axis, and the last of these again, `count` in all."""
    highest = old.narrow(axis, kept - 1, 1).repeat_interleave(count - kept, axis)
    return torch.cat([old.narrow(axis, 0, kept), highest], axis)
