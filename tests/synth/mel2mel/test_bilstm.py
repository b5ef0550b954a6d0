"""Rows of one batch that look ahead differently: each as if it were alone."""

from __future__ import annotations

import pytest
import torch

from synth.mel2mel.bilstm import BiLSTM

MIXED = [2, None, 0, 8, 2, None, 1]


@pytest.fixture
def net() -> BiLSTM:
    torch.manual_seed(0)
    return BiLSTM(6, 5)


def take(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return torch.randn(rows, 11, 6, generator=random), torch.randn(rows, 1, 6, generator=random)


@pytest.mark.parametrize("lookaheads", [MIXED, [None] * 7, [3] * 7, [0] * 7])
def test_a_row_sounds_as_it_does_alone(net, lookaheads):
    x, silence = take(7)
    rows = range(7)
    alone = torch.cat([net(x[i : i + 1], lookaheads[i], silence[i : i + 1]) for i in rows])
    torch.testing.assert_close(net(x, lookaheads, silence), alone)


def test_gradients_are_those_of_rows_alone(net):
    x, silence = take(7)
    weight = torch.randn(7, 11, 10, generator=torch.Generator().manual_seed(2))
    (net(x, MIXED, silence) * weight).sum().backward()
    mixed = {name: p.grad.clone() for name, p in net.named_parameters()}
    net.zero_grad()
    for i, lookahead in enumerate(MIXED):
        (net(x[i : i + 1], lookahead, silence[i : i + 1]) * weight[i]).sum().backward()
    for name, p in net.named_parameters():
        torch.testing.assert_close(mixed[name], p.grad, atol=1e-5, rtol=1e-4)
