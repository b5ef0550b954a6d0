"""Instruments of many dimensions keep a place of their own, near those that sound alike."""

from __future__ import annotations

import torch

from trainer.mel2mel.placement import APART, pushed_apart, spread_of


def test_those_that_lie_too_near_are_pushed_apart_and_others_stay():
    torch.manual_seed(0)
    far = torch.eye(6)[:2] * torch.tensor([1.0, -1.0])[:, None]
    near = -far.sum(0) + torch.eye(6)[5] + 0.01 * torch.randn(3, 6)
    points = pushed_apart(torch.cat([far, near]))
    torch.testing.assert_close(points[:2], far)
    torch.testing.assert_close(points.norm(dim=1), torch.ones(5))
    distances = torch.cdist(points, points) + 10 * torch.eye(5)
    assert distances.min() > 0.95 * APART
    # They are still nearer to each other than to the first.
    assert distances[2:, 2:].sort(1).values[:, 1].max() < distances[2:, 0].min()


def test_an_instrument_has_nearly_all_of_its_own_share():
    points = pushed_apart(torch.randn(30, 8, generator=torch.Generator().manual_seed(1)))
    logits = -torch.cdist(points, points).square() / spread_of(points)
    assert logits.softmax(1).diagonal().min() > 0.9
