"""Key templates while playing: one frame at a time, and only the keys that sound.

Spectra of the keys played last are kept, so that a held timbre is not computed again. When it
moves, only those of the two moments between which a key stands are.

Behind the features of a timbre stand the amounts of the deep patches (deep.py). Their tables are
not copied: what is put into a slot that nobody plays is there when it is played.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from common.window import KEYS
from synth.copying import copy
from synth.exponential import exp
from synth.mel import FLOOR
from synth.mel2mel.deep import Deltas, empty_deltas
from synth.mel2mel.templates import (
    ARRIVAL,
    DECAY_TIMES,
    DECAYS_FROM_S,
    EARLY,
    EXTRA_POWERS,
    FASTEST_DECAY,
    FILL_FRAMES,
    GROWN_S,
    INAUDIBLE,
    LARGEST_SPREAD,
    MEMORIES,
    POWERS,
    SLOWEST_ATTACK_S,
    SOFTEST,
    KeyTemplates,
    highest,
)

f32 = np.float32


class TemplateWeights(NamedTuple):
    """What `KeyTemplates` has learnt, as arrays that lie in the order of use.

    base (88, moments, bands); by_timbre (88, moments, features, bands), of no features with a
    basis; mixes (88, moments, features, spectra) and basis (88, spectra, bands), of no spectra
    without one; tilt (88, bands), tilt_by_timbre (features, bands), floor (features, bands);
    powers (features, 2): power and extra power; fill (88, features, FILL_FRAMES); release (88,
    features, releases); decay (88, features, decay bands), of no decay bands where there are none;
    level (88, features, moments), of no moments where there are none; spread (88, features, decay
    bands), of no decay bands where there are none. shares, falls, widths, edges and single as in
    `KeyTemplates`; frame_s in seconds. highest (88, moments): of the levels; deep: tables of deep
    patches.
    """

    base: np.ndarray
    by_timbre: np.ndarray
    mixes: np.ndarray
    basis: np.ndarray
    tilt: np.ndarray
    tilt_by_timbre: np.ndarray
    floor: np.ndarray
    floor_bias: np.ndarray
    powers: np.ndarray
    powers_bias: np.ndarray
    fill: np.ndarray
    fill_bias: np.ndarray
    release: np.ndarray
    release_bias: np.ndarray
    decay: np.ndarray
    decay_bias: np.ndarray
    level: np.ndarray
    level_bias: np.ndarray
    spread: np.ndarray
    spread_bias: np.ndarray
    shares: np.ndarray
    falls: np.ndarray
    widths: np.ndarray
    edges: np.ndarray
    single: int
    frame_s: float
    highest: np.ndarray
    deep: Deltas


@dataclass(slots=True)
class TemplateCache:
    """Of one stream. spectra (88, moments + 1, bands), powers, each key's tilt behind its
    spectra, anything where none stands; made (88, moments + 1) bool: which of them stand;
    made_for (88, features + slots + 1): for which timbre, amounts behind its features, and for
    which edition of the tables of deep patches."""

    spectra: np.ndarray
    made: np.ndarray
    made_for: np.ndarray
    places: tuple[int, int, int] = field(init=False)
    """Where the arrays lie in memory. Asking for it takes longer than half of a frame's mixing."""

    def __post_init__(self) -> None:
        arrays = (self.spectra, self.made, self.made_for)
        spectra, made, made_for = (array.ctypes.data for array in arrays)
        self.places = spectra, made, made_for

    def __reduce__(self) -> tuple[type[TemplateCache], tuple[np.ndarray, ...]]:
        """Made anew of its arrays when it is copied: those of a copy lie elsewhere."""
        return TemplateCache, (self.spectra, self.made, self.made_for)


def pack_templates(templates: KeyTemplates) -> TemplateWeights:
    """Copies of the weights as they are now, on the CPU."""
    powers = (templates.power, templates.extra_power)
    features = templates.features
    by_key = []
    layers = (templates.fill, templates.release, templates.decay, templates.level, templates.spread)
    for layer in layers:
        if layer is None:
            by_key += [torch.zeros(KEYS, features, 0), torch.zeros(KEYS, 0)]
        else:
            by_key.append(layer.weight.unflatten(0, (KEYS, -1)).transpose(1, 2))
            by_key.append(layer.bias.unflatten(0, (KEYS, -1)))
    arrays = (
        templates.base,
        *_by_features(templates),
        templates.tilt,
        templates.tilt_by_timbre,
        templates.floor.weight.T,
        templates.floor.bias,
        torch.cat([layer.weight for layer in powers]).T,
        torch.cat([layer.bias for layer in powers]),
        *by_key,
        templates.shares,
        templates.falls,
        templates.widths,
    )
    copies = (a.detach().float().clone(memory_format=torch.contiguous_format) for a in arrays)
    edges = np.array(templates.decay_edges)
    packed = [*(copy.numpy() for copy in copies), edges, templates.single, templates.frame_s]
    level, deep = templates.level, templates.deep or empty_deltas(templates, 0)
    ceiling = np.zeros((KEYS, 0), np.float32)
    if level is not None:
        ceiling = highest(level).detach().float().view(KEYS, -1).numpy()
    return TemplateWeights._make([*packed, ceiling, Deltas(*(table.numpy() for table in deep))])


def _by_features(templates: KeyTemplates) -> tuple[Tensor, Tensor, Tensor]:
    """by_timbre, mixes and basis of `TemplateWeights`."""
    base = templates.base
    if not templates.mixed_of:
        nothing = base.new_zeros(*base.shape[:2], templates.features, 0), base[:, :0]
        return templates.by_timbre.permute(1, 2, 0, 3), *nothing
    by_timbre = base.new_zeros(*base.shape[:2], 0, base.shape[2])
    return by_timbre, templates.mixes.permute(1, 2, 0, 3), templates.basis


def initial_cache(weights: TemplateWeights) -> TemplateCache:
    """A cache that holds nothing yet, and takes no memory until it does."""
    features, bands = weights.tilt_by_timbre.shape
    width = features + len(weights.deep.power) + 1
    slots = (KEYS, weights.base.shape[1] + 1)
    return TemplateCache(
        np.empty((*slots, bands), np.float32),
        np.zeros(slots, bool),
        np.zeros((KEYS, width), np.float32),
    )


Moment = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Velocity, age, rest and lateness of every key (batch, 88), as in `KeyTracks`."""


def moment_of(velocity: Tensor, age: Tensor, rest: Tensor, late: Tensor) -> Moment:
    """Tensors as arrays."""
    return velocity.numpy(), age.numpy(), rest.numpy(), late.numpy()


class Memory:
    """`KeyTemplates.memory_frames`, with its weights as they are now."""

    def __init__(self, templates: KeyTemplates) -> None:
        if templates.memory is None:
            raise ValueError("these templates know no movement")
        self._weights = templates.memory.weight[0].detach().float().numpy().copy()
        self._bias = templates.memory.bias.detach().float().numpy().copy()
        self._frame_ms = np.float32(1000 * templates.frame_s)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Frames (...,) of features (..., n)."""
        # A sum over the last axis, unlike a product of matrices, is made row by row.
        told = (features * self._weights).sum(-1) + self._bias
        return np.exp(told.clip(*MEMORIES)) / self._frame_ms


def mix_frame(
    weights: TemplateWeights,
    now: Moment,
    before: Moment,
    features: np.ndarray,
    turns: np.ndarray,
    caches: list[TemplateCache],
    spreads: np.ndarray,
) -> np.ndarray:
    """`KeyTemplates.forward` for one frame: (batch, bands). Updates each row's cache in place.

    now: the keys in this frame, before: in the one before,
    features (batch, n + slots), amounts of deep patches behind those of the timbre, and turns
    (batch, 2), float32, of this frame, all contiguous. spreads (batch,
    bands), to be filled with `KeyTemplates.spreads`, or of no bands.
    """
    magnitudes = np.empty((len(features), weights.floor_bias.size), np.float32)
    # As addresses, since compiled code cannot be given a list of arrays without copying it.
    places = np.array([cache.places for cache in caches], np.int64).reshape(-1, 3)
    mix_rows(weights, now, before, features, turns, places, magnitudes, spreads)
    return magnitudes


def _typed_pointer(typing: Any, address: Any) -> Any:
    """An address as numba takes it for memory that it does not own."""

    def made(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), made


_pointer: Any = intrinsic(_typed_pointer)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def mix_rows(w, now, before, features, turns, places, power, spread):
    """`_mix` of each row; places (batch, 3): where its `TemplateCache` lies."""
    keys, moments, bands = w.base.shape
    velocity, age, rest, late = now
    velocity_before, age_before, rest_before, late_before = before
    for b in range(len(power)):
        spectra = numba.carray(_pointer(places[b, 0]), (keys, moments + 1, bands), np.float32)
        made = numba.carray(_pointer(places[b, 1]), (keys, moments + 1), np.bool_)
        made_for = numba.carray(_pointer(places[b, 2]), (keys, features.shape[1] + 1), np.float32)
        _mix(
            *(w, velocity[b], age[b], rest[b], late[b]),
            *(velocity_before[b], age_before[b], rest_before[b], late_before[b]),
            *(features[b], turns[b], spectra, made, made_for, power[b], spread[b]),
        )


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _mix(
    w,
    velocity,
    age,
    rest,
    late,
    velocity_before,
    age_before,
    rest_before,
    late_before,
    features,
    turn,
    spectra,
    made,
    made_for,
    power,
    spread,
):
    spread[:] = 0
    tone, powers = np.empty(power.size, np.float32), w.powers_bias.copy()
    count, edition = len(w.powers), f32(w.deep.edition[0])
    own, amounts = features[:count], features[count:]
    used = _used(amounts)
    timbre = own, amounts, used
    _start_noise(w, own, power)
    for m in range(own.size):
        for i in range(powers.size):
            powers[i] += own[m] * w.powers[m, i]
    for s in used:
        powers[0] += amounts[s] * w.deep.power[s, 0]
    for k in range(velocity.size):
        if velocity[k] <= 0:
            continue
        stale = used.size > 0 and made_for[k, features.size] != edition
        for m in range(features.size):
            stale |= made_for[k, m] != features[m]
        if stale:
            made[k] = False
            copy(features, made_for[k])
            made_for[k, features.size] = edition
        cache = (spectra[k], made[k])
        since, come = f32(age[k]) - late[k], f32(1)
        if since < 0:
            come = (f32(1) + since) ** f32(ARRIVAL)
            # Until it comes, the tone before goes on, as if it were not let go.
            rung = int(rest_before[k]) + 1 if rest_before[k] > 0 else 0
            went_on = f32(age_before[k] + 1) - late_before[k]
            tone_before = (velocity_before[k], went_on, rung, f32(1) - come)
            _add_tone(w, k, tone_before, timbre, powers, turn, cache, tone, power, spread)
            since = f32(0)
        struck = (velocity[k], since, int(rest[k]), come)
        _add_tone(w, k, struck, timbre, powers, turn, cache, tone, power, spread)
    for f in range(spread.size):
        spread[f] /= power[f]
    for f in range(power.size):
        power[f] = np.sqrt(power[f])


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _add_tone(w, k, struck, timbre, powers, turn, cache, tone, power, spread):
    """Add a key's tone to power and spread.

    struck: velocity, age, frames since it stopped sounding, and the share of its power that
    counts; timbre: its features, amounts of deep patches, and which of these are used; cache: the
    key's spectra, and which are made; tone: room for one."""
    velocity, age, rest, come = struck
    features = timbre[0]
    spectra, made = cache
    moments = w.base.shape[1]
    if velocity <= 0:
        return
    left = _left(w, k, rest, timbre)
    if left <= INAUDIBLE:
        return
    plain, hard = _strengths(w, k, velocity, age, features, powers)
    if come != 1:
        left *= np.sqrt(come)
    if turn[0] != 0:
        left *= _spoken(w, k, age, timbre, turn[0])
    if turn[1] != 0:
        age = _slowed(w, age, turn[1])
    tone[:] = 0
    for j in range(moments):
        share = _share(w, age, j)
        if share > 0:
            row = spectra[j]
            if not made[j]:
                made[j] = True
                if w.basis.shape[1]:
                    _shape(w.base[k, j], w.basis[k], _mixed(w.mixes[k, j], features), row)
                else:
                    _shape(w.base[k, j], w.by_timbre[k, j], features, row)
                for s in timbre[2]:
                    for f in range(row.size):
                        row[f] += timbre[1][s] * w.deep.spectra[s, k, j, f]
                _square(row)
                if w.level_bias.shape[1]:
                    _bring_to_level(w, k, j, timbre, row)
            for f in range(tone.size):
                tone[f] += share * row[f]
    row = spectra[moments]
    if not made[moments]:
        made[moments] = True
        _shape(w.tilt[k], w.tilt_by_timbre, features, row)
        _square(row)
    for band in range(len(w.edges) - 1):
        kept = left * _undecayed(w, k, age, band, timbre)
        usual, extra = (plain * kept) ** 2, (hard * kept) ** 2
        for f in range(w.edges[band], w.edges[band + 1]):
            power[f] += tone[f] * (usual + extra * row[f])
        if spread.size:
            far = _far(w, k, age, band, features)
            for f in range(w.edges[band], min(w.edges[band + 1], w.single)):
                spread[f] += far * (tone[f] * (usual + extra * row[f]))


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _share(w, age, moment):
    """The share of a moment in a key's spectrum, between those of whole frames."""
    last = len(w.shares) - 1
    whole = min(int(age), last)
    share, part = w.shares[whole, moment], age - f32(whole)
    if part > 0 and whole < last:
        share += part * (w.shares[whole + 1, moment] - share)
    return share


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _start_noise(w, features, power):
    """power = `KeyTemplates.noise`"""
    copy(w.floor_bias, power)
    for m in range(features.size):
        for f in range(power.size):
            power[f] += features[m] * w.floor[m, f]
    for f in range(power.size):
        power[f] = exp(f32(2) * min(power[f], f32(0))) + f32(FLOOR**2)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _left(w, key, rest, timbre):
    """What is left of a key's tone after its release: 1 while it sounds."""
    if rest == 0:
        return f32(1)
    loudest, total, left = f32(-1e9), f32(0), f32(0)
    features, amounts, used = timbre
    shares = w.release_bias[key].copy()
    for i in range(shares.size):
        for m in range(features.size):
            shares[i] += features[m] * w.release[key, m, i]
        for s in used:
            shares[i] += amounts[s] * w.deep.release[s, key, i]
        loudest = max(loudest, shares[i])
    for i in range(shares.size):
        share = exp(shares[i] - loudest)
        total += share
        left += share * exp(rest * w.falls[i])
    return left / total


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _undecayed(w, key, age, band, timbre):
    """What share of its magnitude a key has kept in a decay band: 1 where there are none."""
    if w.decay_bias.shape[1] == 0:
        return f32(1)
    features, amounts, used = timbre
    logit = w.decay_bias[key, band]
    for m in range(features.size):
        logit += features[m] * w.decay[key, m, band]
    for s in used:
        logit += amounts[s] * w.deep.decay[s, key, band]
    rate = f32(FASTEST_DECAY) / (f32(1) + exp(-logit))
    return exp(-rate * f32(age * w.frame_s))


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _spoken(w, key, age, timbre, attack):
    """By what factor a key is louder for an attack."""
    if attack > 0:
        return f32(1) - exp(-f32(age + 1) * f32(w.frame_s) / (attack * f32(SLOWEST_ATTACK_S)))
    most, now, full = f32(-1e9), f32(0), f32(0)
    for j in range(w.level_bias.shape[1] - 1, -1, -1):
        level = _level(w, key, j, timbre)
        most = max(most, level) if j < EARLY - 1 else level
        share = _share(w, age, j)
        now += share * exp(f32(2) * level)
        full += share * exp(f32(2) * most)
    return (full / now) ** (-attack / f32(2)) if now > 0 else f32(1)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _slowed(w, age, decay):
    """How old a key seems for a decay, in frames."""
    first = f32(DECAYS_FROM_S / w.frame_s)
    if age <= first:
        return age
    return first + (age - first) * f32(DECAY_TIMES**-decay)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _far(w, key, age, band, features):
    """How far a key moves in a decay band: its spread, once it has grown."""
    far = w.spread_bias[key, band]
    for m in range(features.size):
        far += features[m] * w.spread[key, m, band]
    grown = min(age * f32(w.frame_s / GROWN_S), f32(1))
    return min(max(far, f32(0)), f32(LARGEST_SPREAD)) * grown


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _strengths(w, key, velocity, age, features, powers):
    """`KeyTemplates.strengths` of one key before its release, of its timbre's powers."""
    power = min(max(powers[0], f32(POWERS[0])), f32(POWERS[1]))
    extra = min(max(powers[1], f32(EXTRA_POWERS[0])), f32(EXTRA_POWERS[1]))
    level = np.log(max(velocity, f32(SOFTEST)))
    whole = int(age)
    fill, part = _fill(w, key, whole, features), age - f32(whole)
    if part > 0:
        grown = exp(_fill(w, key, whole + 1, features) - fill)
        fill += np.log(f32(1) + part * (grown - f32(1)))
    plain = exp(level * power + fill)
    return plain, plain * exp(level * extra)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _fill(w, key, age, features):
    """Natural log of the share of a tone that is there at an age in whole frames."""
    if age >= FILL_FRAMES:
        return f32(0)
    fill = w.fill_bias[key, age]
    for m in range(features.size):
        fill += features[m] * w.fill[key, m, age]
    return fill


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _level(w, key, moment, timbre):
    """Natural log of a level: `KeyTemplates` lets deep patches raise none above the highest."""
    features, amounts, used = timbre
    level = w.level_bias[key, moment]
    for m in range(features.size):
        level += features[m] * w.level[key, m, moment]
    if used.size == 0:
        return level
    for s in used:
        level += amounts[s] * w.deep.level[s, key, moment]
    return min(level, w.highest[key, moment])


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _bring_to_level(w, key, moment, timbre, row):
    """Scale a row of powers so that together they have their level."""
    level, total = _level(w, key, moment, timbre), f32(0)
    for f in range(row.size):
        total += w.widths[f] * row[f]
    gain = exp(f32(2) * level) / total
    for f in range(row.size):
        row[f] *= gain


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _shape(base, slopes, features, out):
    """out = base + features . slopes"""
    copy(base, out)
    for m in range(features.size):
        for f in range(base.size):
            out[f] += features[m] * slopes[m, f]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _mixed(mixes, features):
    """features . mixes: how much there is of each spectrum of a basis"""
    out = np.zeros(mixes.shape[1], np.float32)
    for m in range(features.size):
        for s in range(out.size):
            out[s] += features[m] * mixes[m, s]
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _square(row):
    """row = exp(row), squared"""
    for f in range(row.size):
        row[f] = exp(f32(2) * row[f])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _used(amounts):
    """The slots whose amounts are not 0."""
    used, count = np.empty(amounts.size, np.int64), 0
    for s in range(amounts.size):
        if amounts[s] != 0:
            used[count] = s
            count += 1
    return used[:count]
