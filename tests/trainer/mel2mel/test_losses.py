"""The method's three losses, by name, against their formulas in plain numbers."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from synth.mel2mel.network import Spectra
from trainer.mel2mel.losses import MEASURES, SpectralLoss, slope_error
from trainer.mel2mel.settings import LossName

HEARD, TRUE = -2.0, -3.0
"""Natural logs of every band and bin."""


def flat(log: float, bands: int) -> Tensor:
    return torch.full((2, 3, bands), log)


def loss_of(loss: SpectralLoss, fine: bool = True) -> float:
    heard = Spectra(flat(HEARD, 4), flat(HEARD, 9) if fine else None)
    return float(loss(heard, flat(TRUE, 4), flat(TRUE, 9) if fine else None))


FORMULAS = {
    "tanh-log-abs": abs(math.tanh(HEARD / 4) - math.tanh(TRUE / 4)),
    "log-abs": abs(HEARD - TRUE),
    "abs": abs(math.exp(HEARD) - math.exp(TRUE)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_each_loss_is_what_it_says(name):
    away = FORMULAS[name]
    logs = 0.1 / 4 if name == "tanh-log-abs" else 0.0
    assert loss_of(SpectralLoss(name)) == pytest.approx(4 * away**2 + away + logs, rel=1e-5)
    assert loss_of(SpectralLoss(name), fine=False) == pytest.approx(4 * away**2, rel=1e-5)
    own = SpectralLoss(name, mel_weight=0.5, fine_weight=3.0, log_weight=2.0)
    assert loss_of(own) == pytest.approx(away**2 / 2 + 3 * away + 2 / 4, rel=1e-5)


def test_the_flag_knows_the_same_names():
    assert get_args(LossName) == tuple(MEASURES) and SpectralLoss().name == next(iter(MEASURES))


def test_a_wild_guess_counts_as_finite():
    heard = Spectra(flat(200.0, 4), flat(200.0, 9))
    assert math.isfinite(SpectralLoss("abs")(heard, flat(TRUE, 4), flat(TRUE, 9)))


def test_words_tell_what_counts_and_how_much():
    assert SpectralLoss().in_words(fine=True) == (
        "4 x mean square error of tanh(log mel / 4) + mean absolute error of tanh(log bin / 4) "
        "+ 0.1 x mean absolute error of log bin / 4 "
        "+ mean absolute error of its slopes, by loudness"
    )
    assert SpectralLoss("abs", 1.0).in_words(fine=False) == "mean square error of mel"
    assert "log mel + 2 x mean absolute error of log bin" in SpectralLoss(
        "log-abs", fine_weight=2.0
    ).in_words(fine=True)


def test_slopes_count_over_bins_and_over_frames_by_how_loud_it_is():
    true = torch.full((1, 3, 3), TRUE)
    flat_error = true + 0.7
    assert float(slope_error(flat_error, true)) == pytest.approx(0, abs=1e-6)
    loudness = 1 + math.tanh(TRUE / 4)
    over_bins = true + torch.tensor([0.0, 0.25, 0.5])
    over_frames = true + torch.tensor([[0.0], [0.5], [-0.25]])
    assert float(slope_error(over_bins, true)) == pytest.approx(0.5 * loudness, rel=1e-5)
    assert float(slope_error(over_frames, true)) == pytest.approx(0.25 * loudness, rel=1e-5)
    own = SpectralLoss(mel_weight=0.0, fine_weight=0.0, log_weight=0.0, slope_weight=2.0)
    assert float(own(Spectra(true, over_bins), true, true)) == pytest.approx(loudness, rel=1e-5)
