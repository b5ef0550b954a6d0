"""What deep patches add to the key templates: a few curves each, and tables made of them.

No point of a bank's space sounds like a timbre that the bank has not learnt. A deep patch says how
its templates differ from those of its point, in natural logs, by curves that are the same for all
keys: over the number of the partial (the source), and over the frequency (what it sounds through),
each at four moments after the onset. Beside them stand levels of all moments for low, middle and
high keys, rates of decay, releases, and the power of the velocity. That is so little that a few
seconds of a recording can teach it to all keys.

Tables stand beside the features of a timbre as features of their own (`KeyTemplates`). A timbre has
each by an amount in 0..1, a coordinate behind the embedding and the knobs, so that deep patches
morph as others do. An amount of 0 costs nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from common.window import KEYS, LOWEST_KEY
from synth.mel import band_centres
from synth.mel2mel.templates import LATER_S, MOMENTS_S, RELEASES_S, KeyTemplates

PARTIALS = (*np.arange(0.5, 16.5, 0.5).tolist(), *np.arange(17.0, 33.0).tolist())
"""Numbers of partials at which a curve has a value; what is beyond has that of the end. Those
between whole numbers are for what is not harmonic."""
HERTZ = tuple((60 * 2 ** (np.arange(26) / 3)).tolist())
"""Frequencies at which a curve has a value, three an octave from 60 Hz to 19 kHz."""
CURVES_AT = (0, 3, 6, 9)
"""Moments, numbers in `MOMENTS_S`, that have curves of their own: 0, 0.06, 0.4 and 4 s."""
KEYS_AT = (36, 60, 84)
"""MIDI keys that have levels of their own."""
DECAYS = 8
"""Bands of an octave; the last one is for all above."""
MOMENTS = len((*MOMENTS_S, LATER_S))
SIZES = {
    "partial": len(CURVES_AT) * len(PARTIALS),
    "hertz": len(KEYS_AT) * len(CURVES_AT) * len(HERTZ),
    "level": len(KEYS_AT) * MOMENTS,
    "decay": DECAYS,
    "release": len(RELEASES_S),
    "power": 1,
}
"""How many numbers each part of the curves has, in their order."""
COUNT = sum(SIZES.values())
MOST = 6.0
"""No curve goes farther: 52 dB."""


class Deltas(NamedTuple):
    """Tables of some deep patches, slots first. spectra (slots, 88, moments, bands), level (slots,
    88, moments), decay (slots, 88, decay bands), release (slots, 88, releases), power (slots, 1):
    what is added to those of a timbre. edition (1,), int64: another number after each change.

    Tensors, or arrays that lie in the same memory.
    """

    spectra: Any
    level: Any
    decay: Any
    release: Any
    power: Any
    edition: Any


def curves_of(text: str) -> np.ndarray:
    """The curves (COUNT,), float32, that a patch file holds. ValueError where they are none."""
    try:
        told = np.frombuffer(base64.b64decode(text, validate=True), "<f2").astype(np.float32)
    except (binascii.Error, ValueError):
        raise ValueError(f"expected base64 of {COUNT} half floats") from None
    if len(told) != COUNT:
        raise ValueError(f"expected base64 of {COUNT} half floats, got {len(told)}")
    if not (np.abs(told) <= MOST).all():
        raise ValueError(f"expected numbers from {-MOST:g} to {MOST:g}, got others")
    return told


def text_of(curves: np.ndarray) -> str:
    """Curves (COUNT,) as a patch file holds them; what goes too far is cut off.

    >>> bool((curves_of(text_of(np.full(COUNT, 0.5))) == 0.5).all())
    True
    """
    return base64.b64encode(curves.clip(-MOST, MOST).astype("<f2").tobytes()).decode()


def blended(deep: Mapping[str, float]) -> str:
    """One text for several, each by its amount; "" for none. ValueError where one is none."""
    deep = {text: amount for text, amount in deep.items() if amount}
    if not deep:
        return ""
    if list(deep.values()) == [1.0]:
        return next(iter(deep))
    return text_of(np.sum([amount * curves_of(text) for text, amount in deep.items()], 0))


def empty_deltas(templates: KeyTemplates, slots: int) -> Deltas:
    """Tables of nothing, which take no memory until they are filled."""
    _, moments, bands = templates.base.shape
    decays = len(templates.decay_edges) - 1 if templates.decay is not None else 0
    levels = moments if templates.level is not None else 0
    sizes = ((KEYS, moments, bands), (KEYS, levels), (KEYS, decays), (KEYS, len(RELEASES_S)), (1,))
    # numpy's zeros, unlike torch's, are not written until they are used.
    tables = [torch.from_numpy(np.zeros((slots, *size), np.float32)) for size in sizes]
    return Deltas(*tables, torch.zeros(1, dtype=torch.int64))


class Expander:
    """Makes tables of curves, for a bank's templates."""

    def __init__(self, templates: KeyTemplates) -> None:
        moments = len(templates.moments_s)
        self._has_levels = templates.level is not None
        self._decays = len(templates.decay_edges) - 1 if templates.decay is not None else 0
        hertz = band_centres(templates.analysis, "fine")
        keys = np.arange(LOWEST_KEY, LOWEST_KEY + KEYS)
        partial = hertz / (440 * 2 ** ((keys[:, None] - 69) / 12))
        self._partial = _Line(partial, np.array(PARTIALS))
        self._hertz = _Line(np.log(hertz.clip(min=1.0)), np.log(HERTZ))
        self._moments = _Line(np.arange(moments), np.array(CURVES_AT, float)).hats(len(CURVES_AT))
        self._keys = _Line(keys.astype(float), np.array(KEYS_AT, float)).hats(len(KEYS_AT))

    def __call__(self, curves: Tensor) -> Deltas:
        """Tables of one slot, of curves (COUNT,); they have slopes where the curves do."""
        told = dict(zip(SIZES, curves.split(list(SIZES.values())), strict=True))
        partial = self._partial.at(told["partial"].view(len(CURVES_AT), -1))
        hertz = self._hertz.at(told["hertz"].view(len(KEYS_AT), len(CURVES_AT), -1))
        hertz = torch.einsum("kr,rcb->ckb", self._keys, hertz)
        spectra = torch.einsum("mc,ckb->kmb", self._moments, partial + hertz)
        level = (self._keys @ told["level"].view(len(KEYS_AT), -1))[:, : len(self._moments)]
        if not self._has_levels:
            spectra, level = spectra + level[..., None], level[:, :0]
        # Fewer or more bands than usual: the highest one reaches up to the top.
        bands = torch.arange(self._decays).clamp(max=DECAYS - 1)
        decay, release = told["decay"][bands].expand(KEYS, -1), told["release"].expand(KEYS, -1)
        tables = (spectra, level, decay, release, told["power"])
        return Deltas(*(table[None] for table in tables), torch.zeros(1, dtype=torch.int64))


class _Line:
    """Straight lines between knots (n,), read at places (...); beyond them the ends hold."""

    def __init__(self, places: np.ndarray, knots: np.ndarray) -> None:
        at = np.interp(places, knots, np.arange(len(knots)))
        low = at.astype(np.int64).clip(max=len(knots) - 2)
        self._low, self._part = torch.from_numpy(low), torch.from_numpy(at - low).float()

    def at(self, values: Tensor) -> Tensor:
        """Values (..., n) at the knots, read: (..., places)."""
        return torch.lerp(values[..., self._low], values[..., self._low + 1], self._part)

    def hats(self, knots: int) -> Tensor:
        """What each knot counts at each place: (places, knots)."""
        return self.at(torch.eye(knots)).T.contiguous()
