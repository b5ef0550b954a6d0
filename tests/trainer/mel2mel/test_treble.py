"""The treble that single notes should have, given to a network."""

from __future__ import annotations

import pytest
import torch

from synth.mel import Analysis, band_widths
from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from trainer.data.manifest import Manifest
from trainer.mel2mel.struck import predicted
from trainer.mel2mel.treble import DOUBT, MOST_DB, VELOCITIES, missing_db, with_treble

WIDE = Analysis(48_000, 384, 3_072, wide_bands=48)
KEYS = (60, 84)
MANIFEST = Manifest(programs={"bell": 14, "reed": 20}, rate=48_000, hop=384)


@pytest.fixture(scope="module")
def network() -> Mel2Mel:
    torch.manual_seed(0)
    config = Mel2MelConfig(2, hidden=8, timbre_features=2, decay_bands=6, blend=1, analysis=WIDE)
    made = Mel2Mel(config).requires_grad_(False)
    made.templates.floor.bias.fill_(-14)
    # So far apart that a function of the timbre can belong to each.
    made.instruments.weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    made.timbre.linear.weight.copy_(torch.tensor([[-8.0, 0.0], [8.0, 0.0]]))
    made.timbre.linear.bias.zero_()
    return made


def parts_db(powers: torch.Tensor) -> tuple[float, float]:
    """What lies below 8 kHz and above it, dB."""
    sounds = powers.mean((0, 1)) * band_widths(WIDE)
    low, high = sounds.split([WIDE.single, WIDE.bands - WIDE.single])
    return float(10 * low.sum().log10()), float(10 * high.sum().log10())


def test_notes_get_the_treble_they_lack_and_nothing_else(network, monkeypatch):
    monkeypatch.setattr("trainer.mel2mel.treble.STRUCK", KEYS)
    before = list(predicted(network, MANIFEST, KEYS, VELOCITIES))
    wanted = [powers.clone() for powers in before]
    wanted[0][..., WIDE.single :] *= 4
    after = list(predicted(with_treble(network, wanted, MANIFEST), MANIFEST, KEYS, VELOCITIES))
    raised = [
        [b - a for a, b in zip(parts_db(one), parts_db(other), strict=True)]
        for one, other in zip(before, after, strict=True)
    ]
    # A little less, for doubt; the shape is scaled back to the key's level.
    assert raised[0] == [pytest.approx(0, abs=0.6), pytest.approx(6, abs=1)]
    assert raised[1] == [pytest.approx(0, abs=0.1), pytest.approx(0, abs=0.2)]


def test_what_is_missing_is_weighed_by_what_is_heard():
    widths, shape = torch.ones(8), (1, len(VELOCITIES), 8)
    silent, loud = torch.full(shape, 1e-12), torch.full(shape, 1e-3)
    assert not missing_db(silent, 0.5 * silent, widths).any()
    counts = len(VELOCITIES) * 7
    told = missing_db(0.5 * loud, loud, widths)
    assert float(told[4]) == pytest.approx(3.01 * counts / (counts + DOUBT), abs=0.2)
    assert float(missing_db(1e-4 * loud, loud, widths).max()) == MOST_DB
    # Heard of the hardest blow alone.
    hard = loud.clone()
    hard[:, :-1, 4:] = 1e-12
    few = missing_db(hard * torch.tensor([1.0] * 4 + [0.5] * 4), hard, widths)
    assert 0.5 < float(few[7]) < 2.5


def test_a_network_without_wide_bands_stays_as_it_is():
    plain = Mel2Mel(Mel2MelConfig(2, hidden=8, timbre_features=2, decay_bands=6, blend=1))
    assert with_treble(plain, [], MANIFEST) is plain
