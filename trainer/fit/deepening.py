"""The curves of a deep patch: what the key templates lack at a point that a search has found.

The network stays as it is, and so does the point. What the network adds to its templates does not
hang on the curves, so it is computed once; a step then only mixes templates, forth and back. Curves
begin at nothing and descend by Adam to what the recording has, in mel bands as `distance.py` hears
them and, below 2 kHz, in fine bands, where partials are told apart. What makes them larger, or
unlike their neighbours, costs something: where the recording says nothing, nothing is added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synth.mel import band_centres
from synth.mel2mel.deep import COUNT, CURVES_AT, KEYS_AT, SIZES, Expander
from synth.mel2mel.keys import KeyTracks
from synth.mel2mel.network import Mel2Mel, turns_of_keys
from trainer.fit.distance import BELOW_DB, DB, Ear, mean_distance, sounding
from trainer.fit.excerpts import CONTEXT, Excerpts

STEPS = 150
AT_ONCE = 2
"""Excerpts in a step."""
EVERY = 2
"""Frames of which one is heard in a step."""
RATE, LAST_RATE = 0.06, 0.01
"""Of Adam, at the first step and at the last."""
FINE_HZ, FINE_SHARE = 2_000.0, 0.5
"""Fine bands up to here are compared, too, and what a decibel there counts beside mel bands."""
LARGE, UNLIKE = 0.03, 0.06
"""What mean squares of curves cost, and of differences between neighbours: decibels."""
SEED = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is known of some excerpts (n, frames) whatever the curves are.

    keys: the score; correction (n, frames, bands) and mel_correction (n, frames, mels): what the
    network adds to its templates; mel (n, frames, bands that the ear counts), dB, and fine (n,
    frames, bands below `FINE_HZ`), dB: the recording; counts (n, frames): frames that count.
    """

    keys: KeyTracks
    correction: Tensor
    mel_correction: Tensor
    mel: Tensor
    fine: Tensor
    counts: Tensor


def learn_curves(
    net: Mel2Mel,
    ear: Ear,
    point: Tensor,
    excerpts: Excerpts,
    mel: Tensor,
    fine: Tensor,
    gain_db: float,
) -> np.ndarray:
    """Curves (COUNT,) that bring a point's sound to the recording's.

    point (inputs,); mel (n, frames, mels) and fine (n, frames, bands): the recording's log bands
    where the excerpts are played; gain_db: brings the point to its level, and is learnt, too.
    """
    templates, config = net.templates, net.config
    if templates is None:
        raise ValueError("deep patches take a bank with key templates")
    bands = torch.from_numpy(band_centres(config.analysis, "fine")) <= FINE_HZ
    quiet = float(((2 * fine[..., bands]).amax() - 2 * BELOW_DB / DB).exp())
    with torch.no_grad():
        timbre, turns = net.timbre(point[None]), turns_of_keys(config, point[None])
        told = net(excerpts.roll, point.expand(len(excerpts), 1, -1), None, excerpts.keys)
        count = len(excerpts)
        begun = templates(excerpts.keys, timbre.expand(count, -1), turns.expand(count, -1))
        plain, _ = net.corrected(begun, told.correction, torch.zeros(()))
    lesson = Lesson(
        excerpts.keys,
        told.correction,
        told.mel - plain,
        ear.theirs(mel),
        _levels(fine[..., bands], torch.zeros(()), quiet),
        ear.counts(mel, sounding(excerpts.roll)),
    )
    expand = Expander(templates)
    curves = torch.zeros(COUNT, requires_grad=True)
    gain = torch.tensor(float(gain_db), requires_grad=True)
    groups = [{"params": [curves], "lr": RATE}, {"params": [gain], "lr": 5 * RATE}]
    adam = torch.optim.Adam(groups, betas=(0.9, 0.98))
    fall = (LAST_RATE / RATE) ** (1 / STEPS)
    random = np.random.default_rng(SEED)
    order: list[int] = []
    before = templates.deep
    try:
        for _ in range(STEPS):
            loss = _cost(curves)
            for _ in range(AT_ONCE):
                order = order or random.permutation(len(excerpts)).tolist()
                at, first = order.pop(), CONTEXT + int(random.integers(EVERY))
                frames = slice(first, None, EVERY)
                templates.deep = expand(curves)
                keys = lesson.keys.at((slice(at, at + 1), frames))
                start = templates(keys, torch.cat([timbre, torch.ones(1, 1)], 1), turns)
                bands_now, ours = net.corrected(
                    start,
                    lesson.correction[at : at + 1, frames],
                    lesson.mel_correction[at : at + 1, frames],
                )
                counts = lesson.counts[at : at + 1, frames]
                heard = _levels(ours[..., bands], gain, quiet)[counts]
                away = mean_distance(heard, lesson.fine[at : at + 1, frames][counts])
                far = mean_distance(
                    ear.ours(bands_now, gain)[counts], lesson.mel[at : at + 1, frames][counts]
                )
                loss = loss + (far + FINE_SHARE * away) / AT_ONCE
            adam.zero_grad()
            loss.backward()
            adam.step()
            for group in adam.param_groups:
                group["lr"] *= fall
    finally:
        templates.deep = before
    return curves.detach().numpy().copy()


def _levels(fine: Tensor, gain_db: Tensor, quiet: float) -> Tensor:
    """Levels of log fine bands, some dB louder: dB."""
    return DB / 2 * ((2 * (fine + gain_db / DB)).exp() + quiet).log()


def _cost(curves: Tensor) -> Tensor:
    """What curves cost by their size and their steps: decibels.

    Of what has moments, only the first costs by its size. Later ones cost by how far they are from
    the one before: what the recording is too short to say goes on as it was, and a key that dies
    away does not come back.
    """
    told = dict(zip(SIZES, curves.split(list(SIZES.values())), strict=True))
    partial = told["partial"].view(len(CURVES_AT), -1)
    hertz = told["hertz"].view(len(KEYS_AT), len(CURVES_AT), -1)
    level = told["level"].view(len(KEYS_AT), -1)
    sizes = [partial[0], hertz[:, 0], level[:, 0], told["decay"], told["release"], told["power"]]
    steps = [
        partial.diff(dim=0),
        *(hertz.diff(dim=dim) for dim in range(3)),
        *(level.diff(dim=dim) for dim in range(2)),
        told["decay"].diff(),
    ]
    large, unlike = (torch.stack([x.square().mean() for x in xs]).sum() for xs in (sizes, steps))
    return LARGE * large + UNLIKE * unlike
