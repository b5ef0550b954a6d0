"""The WaveNet's hand-made step: the same loss and the same gradients as autograd's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from synth.vocoders.wavenet.mulaw import CLASSES
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from tests.synth.lively_wavenet import ODD, SMALL, lively
from trainer.wavenet import teacher_buffers
from trainer.wavenet.teacher_forcing import TeacherForcing

DEEP = WaveNetConfig(mels=5, layers=9, cycle=8, residual=6, skip=10)
"""Two sequences of it reach further back than a chunk of 100 rows."""


def take(config: WaveNetConfig, batch: int, frames: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A mel (batch, frames, mels) and classes (batch, samples)."""
    random = torch.Generator().manual_seed(seed)
    mel = torch.randn(batch, frames, config.mels, generator=random)
    return mel, torch.randint(CLASSES, (batch, frames * config.hop), generator=random)


def by_autograd(network: WaveNet, mel: Tensor, classes: Tensor) -> Tensor:
    return nn.functional.cross_entropy(network(mel, classes).flatten(0, 1), classes.flatten())


def gradients(network: WaveNet, loss: Tensor) -> dict[str, Tensor | None]:
    network.zero_grad()
    loss.backward()
    return {
        name: None if p.grad is None else p.grad.clone() for name, p in network.named_parameters()
    }


@pytest.mark.parametrize("rows", [100, 256, 10**6])
@pytest.mark.parametrize(("config", "batch"), [(SMALL, 1), (SMALL, 3), (ODD, 2), (DEEP, 2)])
def test_loss_and_gradients_are_autograds(config, batch, rows, monkeypatch):
    monkeypatch.setattr(teacher_buffers, "CHUNK", rows)
    network = lively(config).requires_grad_(True)
    mel, classes = take(config, batch, 3)
    wanted = by_autograd(network, mel, classes)
    loss = TeacherForcing(config).loss(network, mel, classes, torch.float32)
    torch.testing.assert_close(loss, wanted)
    found = gradients(network, wanted)
    own = gradients(network, loss)
    for name, gradient in found.items():
        if gradient is None:  # nothing comes after the last layer
            assert name.startswith(f"layers.{config.layers - 1}.residual") and not own[name].any()
        else:
            bound = 1e-5 * float(gradient.abs().max())
            torch.testing.assert_close(own[name], gradient, atol=bound, rtol=1e-4)


def test_a_loss_may_be_scaled():
    network, forcing = lively(SMALL).requires_grad_(True), TeacherForcing(SMALL)
    mel, classes = take(SMALL, 2, 2)
    once = gradients(network, forcing.loss(network, mel, classes, torch.float32))
    twice = gradients(network, 2 * forcing.loss(network, mel, classes, torch.float32))
    for name, gradient in once.items():
        torch.testing.assert_close(twice[name], 2 * gradient)


def test_buffers_of_one_step_do_not_sound_in_the_next():
    network, used = lively(DEEP).requires_grad_(True), TeacherForcing(DEEP)
    for batch, frames, seed in [(2, 2, 0), (2, 2, 1), (1, 4, 2), (2, 2, 3)]:
        mel, classes = take(DEEP, batch, frames, seed)
        own = gradients(network, used.loss(network, mel, classes, torch.float32))
        fresh = TeacherForcing(DEEP).loss(network, mel, classes, torch.float32)
        for name, gradient in gradients(network, fresh).items():
            assert torch.equal(own[name], gradient)


def test_without_gradients_the_loss_is_the_same():
    network, forcing = lively(SMALL).requires_grad_(True), TeacherForcing(SMALL)
    mel, classes = take(SMALL, 2, 2)
    loss = forcing.loss(network, mel, classes, torch.float32)
    with torch.no_grad():
        alone = TeacherForcing(SMALL).loss(network, mel, classes, torch.float32)
    assert not alone.requires_grad and torch.equal(alone, loss.detach())


def test_half_precision_is_near():
    network, forcing = lively(SMALL).requires_grad_(True), TeacherForcing(SMALL)
    mel, classes = take(SMALL, 2, 3)
    fine = forcing.loss(network, mel, classes, torch.float32)
    wanted = gradients(network, fine)
    coarse = forcing.loss(network, mel, classes, torch.bfloat16)
    torch.testing.assert_close(coarse, fine, rtol=0.01, atol=0)
    for name, gradient in gradients(network, coarse).items():
        assert gradient.dtype == torch.float32
        away = (gradient - wanted[name]).norm() / wanted[name].norm().clamp(min=1e-6)
        assert away < 0.1, name
