"""The treble of hard blows, given to a network from what notes should have."""

from __future__ import annotations

import pytest
import torch

from synth.mel import Analysis, band_widths
from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from trainer.data.manifest import Manifest
from trainer.mel2mel.struck import predicted
from trainer.mel2mel.treble import (
    VELOCITIES,
    Tilted,
    fitted,
    missing_db,
    with_treble,
)

WIDE = Analysis(48_000, 384, 3_072, wide_bands=48)
KEYS = (60, 84)
MANIFEST = Manifest(programs={"bell": 14, "reed": 20}, rate=48_000, hop=384)


@pytest.fixture(scope="module")
def network() -> Mel2Mel:
    torch.manual_seed(0)
    config = Mel2MelConfig(2, hidden=8, timbre_features=2, decay_bands=6, blend=1, analysis=WIDE)
    made = Mel2Mel(config).requires_grad_(False)
    made.templates.floor.bias.fill_(-14)
    made.templates.tilt.fill_(-3)
    # So far apart that a function of the timbre can belong to each.
    made.instruments.weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    made.timbre.linear.weight.copy_(torch.tensor([[-8.0, 0.0], [8.0, 0.0]]))
    made.timbre.linear.bias.zero_()
    return made


def rise_db(powers: torch.Tensor) -> torch.Tensor:
    """By how much wide bands rise between the softest and the hardest blow, beside the whole."""
    sounds = (powers * band_widths(WIDE)).sum(0)
    share = sounds[:, WIDE.single :].sum(-1) / sounds.sum(-1)
    return 10 * (share[-1] / share[0]).log10()


def test_hard_blows_get_the_treble_they_lack_and_the_rest_stays(network, monkeypatch):
    monkeypatch.setattr("trainer.mel2mel.treble.STRUCK", KEYS)
    before = list(predicted(network, MANIFEST, KEYS, VELOCITIES))
    steep = (torch.tensor(VELOCITIES) / 127)[:, None] ** 3
    wanted = [powers.clone() for powers in before]
    wanted[0][..., WIDE.single :] *= 8 * steep
    after = list(predicted(with_treble(network, wanted, MANIFEST), MANIFEST, KEYS, VELOCITIES))
    assert float(rise_db(wanted[0]) - rise_db(before[0])) == pytest.approx(12, abs=1)
    assert float(rise_db(after[0]) - rise_db(wanted[0])) == pytest.approx(0, abs=1.5)
    assert float(rise_db(after[1]) - rise_db(before[1])) == pytest.approx(0, abs=0.5)
    for powers, same in zip(after, before, strict=True):
        low, kept = (x[..., : WIDE.single] @ torch.ones(WIDE.single) for x in (powers, same))
        torch.testing.assert_close(low, kept, rtol=0.1, atol=0)


def test_what_nobody_hears_counts_nothing():
    widths = torch.ones(4)
    theirs = torch.tensor([[[1.0, 1e-3, 1e-3, 1e-12]]]).expand(1, len(VELOCITIES), 4)
    missing, counts = missing_db(theirs * torch.tensor([1.0, 0.5, 0.5, 1e9]), theirs, widths)
    assert (missing.shape, counts.shape) == ((5, 4), (5, 4))
    silent = torch.full((1, len(VELOCITIES), 4), 1e-12)
    assert not missing_db(silent, silent, widths)[1].any()


def test_nothing_missing_changes_nothing():
    now = Tilted(torch.zeros(3), torch.tensor([-8.0, 0.0, 1.0]), 2.0)
    fit = fitted(now, torch.zeros(5, 3), torch.ones(5, 3))
    assert fit.extra == 2.0
    torch.testing.assert_close(fit.tilt, now.tilt, atol=0.1, rtol=0)
    torch.testing.assert_close(fit.level, now.level, atol=0.1, rtol=0)


def test_a_network_without_wide_bands_stays_as_it_is():
    plain = Mel2Mel(Mel2MelConfig(2, hidden=8, timbre_features=2, decay_bands=6, blend=1))
    assert with_treble(plain, [], MANIFEST) is plain
