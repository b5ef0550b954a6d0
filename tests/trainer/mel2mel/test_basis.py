"""Spectra mixed of a few: near where they are heard, and playable as a bank."""

from __future__ import annotations

import torch
from torch import Tensor

from synth.bank.bank import load_bank
from trainer.bank.bank import write_bank
from trainer.bank.check import check_bank
from trainer.bank.plan import BankPlan
from trainer.mel2mel.basis import audibility, fitted_basis
from trainer.mel2mel.settings import Mel2MelSettings, Mel2MelSizes
from trainer.mel2mel.training import train


def drawn(instruments: int, kinds: int) -> Tensor:
    """Spectra (instruments, 2, 3, 40) that are mixtures of some kinds, natural logs."""
    random = torch.Generator().manual_seed(0)
    shapes = torch.randn(2, kinds, 40, generator=random)
    return torch.randn(instruments, 2, 3, kinds, generator=random) @ shapes - 3


def test_what_is_mixed_of_so_many_is_found_whole():
    spectra = drawn(12, 4)
    mean, mixes, basis = fitted_basis(spectra, 4)
    assert mixes.shape == (12, 2, 3, 4) and basis.shape == (2, 4, 40)
    torch.testing.assert_close(mean + mixes @ basis, spectra, atol=1e-3, rtol=0)


def test_what_is_heard_is_nearer_than_what_is_not():
    spectra = 0.1 * drawn(12, 8)
    # Half of the bands lie 70 dB lower.
    spectra[..., 20:] -= 8
    mean, mixes, basis = fitted_basis(spectra, 4)
    away = (mean + mixes @ basis - spectra).square().mean((0, 1, 2))
    assert away[:20].mean() < 0.6 * away[20:].mean()
    weight = audibility(spectra[:, 0])
    assert weight[..., :20].mean() > 10 * weight[..., 20:].mean() and weight.max() <= 1


def test_a_bank_with_a_basis_plays_in_tune(plan, data, tmp_path):
    sizes = Mel2MelSizes(hidden=8, embedding=3, timbre_features=3, decay_bands=6, blend=1, basis=2)
    run = plan("mel2mel", "run", 2)
    train(run, Mel2MelSettings(sizes))
    write_bank(BankPlan(mel2mel=run.run, wavenet=None, data=data, out=tmp_path / "bank"))
    bank = load_bank(tmp_path / "bank")
    assert bank.mel2mel_config.basis == 2 and bank.embedding_size == 3
    assert bank.patch("string").tags == ("ensemble",)
    assert all(line.endswith(": plays") for line in check_bank(tmp_path / "bank"))
