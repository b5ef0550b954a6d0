"""Coordinates of a timbre space are named after what they change."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from player.flags import DEFAULT_BANK
from synth.bank.bank import load_bank
from trainer.bank.axes import NAMES, correlations, figures, name_axes, named

FRAME_RATE = 125.0
HERTZ = np.array([220.0, 440.0, 880.0])


def note(*, band: int = 1, level_db: float = 0.0, falls: float = 0.0, rises_s: float = 0.0):
    """The power of a note (1, frames, bands) that falls by so many dB a second, and takes so long
    to speak."""
    time = torch.arange(263, dtype=torch.float64) / FRAME_RATE
    rise = (time / rises_s).clamp(1e-6, 1) if rises_s else torch.ones_like(time)
    power = torch.full((1, len(time), len(HERTZ)), 1e-12, dtype=torch.float64)
    power[0, :, band] = rise**2 * 10 ** ((level_db - falls * time) / 10)
    return power


@pytest.mark.parametrize(
    ("changed", "by", "other"),
    [
        (0, 1.0, note(band=2)),
        (0, -1.0, note(band=0)),
        (1, 6.0, note(level_db=6)),
        (2, -17.0, note(falls=10)),
        (3, 36.0, note(rises_s=0.4)),
    ],
)
def test_each_figure_measures_its_own_property(changed, by, other):
    heard = figures(torch.cat([note(), other]), HERTZ, 16_000, FRAME_RATE)
    assert heard[1, changed] - heard[0, changed] == pytest.approx(by, abs=0.3)


def test_a_network_is_named_by_its_correlations(toy_bank):
    network = load_bank(toy_bank).mel2mel()
    found = correlations(network)
    assert found.shape == (2, len(NAMES)) and np.abs(found).max() <= 1 + 1e-9
    assert name_axes(network) == named(found)


def test_each_name_is_taken_once_and_only_where_it_is_clear():
    both = np.array([[0.9, 0.8, 0.0, 0.0], [0.95, 0.1, 0.0, -0.2]])
    assert named(both) == ("loudness", "brightness")
    assert named(-both) == ("softness", "darkness")
    assert named(both * 0.6) == ()


def test_the_default_bank_states_what_is_measured():
    bank = load_bank(DEFAULT_BANK)
    bank.knobs = {}  # nothing behind the embedding
    assert bank.axes == name_axes(bank.mel2mel()) != ()
