"""A 48 kHz network begins with what a 16 kHz one knows, and the other way round."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from synth.bank.bank import load_bank
from synth.mel import Analysis
from synth.mel2mel.network import Mel2Mel, Mel2MelConfig
from tests.trainer.tiny_data import INSTRUMENTS, SIZES, write_excerpt
from trainer.bank.bank import write_bank
from trainer.bank.check import check_bank
from trainer.bank.plan import BankPlan
from trainer.mel2mel.grow import grow
from trainer.mel2mel.settings import Mel2MelSettings
from trainer.mel2mel.training import train
from trainer.run.checkpoint import save_weights
from trainer.run.weights import read_history

NARROW = Mel2MelConfig(instruments=4, hidden=8, timbre_features=5)
WIDE = replace(NARROW, analysis=Analysis(48_000, 384, 3_072, wide_bands=48))
BLENDING = replace(WIDE, decay_bands=8, blend=1)
HOLD = 462
"""Bins of which the narrow network's knowledge holds: 0.9 of 513."""


@pytest.fixture(scope="module")
def taught(tmp_path_factory) -> Path:
    """Weights of a narrow network in which everything counts."""
    return written(tmp_path_factory.mktemp("narrow") / "weights.safetensors", NARROW)


@pytest.fixture(scope="module")
def blending(tmp_path_factory) -> Path:
    """Weights of a wide network whose timbres blend."""
    return written(tmp_path_factory.mktemp("wide") / "weights.safetensors", BLENDING)


def written(path: Path, config: Mel2MelConfig) -> Path:
    torch.manual_seed(0)
    network = Mel2Mel(config)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    save_weights(path, network.state_dict(), config, {}, {"iterations": 7, "seen": 70})
    return path


def grown(path: Path, config: Mel2MelConfig) -> tuple[Mel2Mel, str]:
    network = Mel2Mel(config)
    return network, grow(network, path)


@torch.no_grad()
def fine(network: Mel2Mel, points: Tensor | None = None) -> Tensor:
    """What a chord is to sound like on each instrument, or at points: (points, frames, bands)."""
    points = network.instruments.weight if points is None else points
    roll = torch.zeros(NARROW.instruments, 30, 176)
    for key in (20, 39, 47):
        roll[:, 3:, key] = roll[:, 3, 88 + key] = 0.7
    return network(roll, points[:, None], 2).fine


def test_the_bins_that_hold_are_as_before_and_the_rest_like_the_highest(taught):
    before, _ = grown(taught, NARROW)
    after, report = grown(taught, WIDE)
    assert report == (
        f"begun with {taught}: 462 of 560 fine bands, 5 of 5 functions of the timbre, a new mel "
        "head"
    )
    was, now = fine(before), fine(after)
    torch.testing.assert_close(now[..., :HOLD], was[..., :HOLD])
    assert torch.equal(now[..., HOLD:], now[..., HOLD - 1 :][..., :1].expand(-1, -1, 560 - HOLD))
    assert not after.mel.weight.any()


def test_fewer_functions_of_the_timbre_say_almost_the_same(taught):
    was = fine(grown(taught, NARROW)[0])[..., :HOLD]
    fewer, report = grown(taught, replace(WIDE, timbre_features=3))
    error = (fine(fewer)[..., :HOLD] - was).square().mean()
    torch.manual_seed(0)
    cut = Mel2Mel(replace(WIDE, timbre_features=3))
    kept = {k: v for k, v in grown(taught, WIDE)[0].state_dict().items() if "." in k}
    short = {k: v[tuple(slice(n) for n in cut.state_dict()[k].shape)] for k, v in kept.items()}
    cut.load_state_dict(cut.state_dict() | short)
    assert error < 0.1 * (fine(cut)[..., :HOLD] - was).square().mean()
    assert "3 of 5 functions of the timbre" in report


def test_another_kind_of_functions_says_the_same_of_the_instruments(taught):
    was = fine(grown(taught, NARROW)[0])
    now = fine(grown(taught, replace(NARROW, decay_bands=8, blend=1))[0])
    loud = was > was.amax() - 5
    assert (now - was)[loud].abs().mean() < 0.3


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"hidden": 9}, "hidden: 8 there, 9 here"),
        ({"instruments": 5}, "rate of other instruments: 16000 there, 48000 here"),
        ({"basis": 2}, "basis is 2, but must be 0"),
        ({"timbre_features": 6}, r"timbre_features is 6, but must be 1\.\.5"),
        ({"timbre_features": 0}, "timbre_features is 0"),
        ({"analysis": Analysis(48_000, 128, 3_072)}, "frames a second: 125.0 there, 375.0 here"),
        ({"analysis": Analysis(48_000, 384, 1_536)}, "hertz between bins: 15.625 there, 31.25"),
    ],
)
def test_what_cannot_be_grown_is_told_in_one_line(taught, change, complaint):
    with pytest.raises(ValueError, match=complaint) as raised:
        grown(taught, replace(WIDE, **change))
    assert str(raised.value).startswith(f"{taught}: cannot be grown") and "\n" not in str(
        raised.value
    )


def test_other_instruments_are_heard_by_the_same_layers(taught):
    several = replace(NARROW, instruments=7, embedding=3, timbre_features=7, basis=2, blend=1)
    network, report = grown(taught, several)
    lender, _ = grown(taught, NARROW)
    assert report == f"begun with {taught}: its layers, as on the mean of its 4 instruments"
    assert torch.equal(network.fine.weight, lender.fine.weight)
    beta = lender.film_out.beta(lender.instruments.weight.mean(0))
    for point in network.instruments.weight:
        torch.testing.assert_close(network.film_out.beta(point), beta)


def test_a_lower_rate_sounds_as_before_at_the_instruments_up_to_its_nyquist(blending):
    was = fine(grown(blending, BLENDING)[0])
    narrow, report = grown(blending, replace(BLENDING, analysis=Analysis()))
    torch.testing.assert_close(fine(narrow), was[..., :513], atol=1e-4, rtol=0)
    assert "513 of 513 fine bands" in report and "a new mel head" in report
    assert not narrow.mel.weight.any()


def test_between_the_instruments_a_lower_rate_is_nearly_as_before(blending):
    whole, narrow = (
        grown(blending, config)[0] for config in (BLENDING, replace(BLENDING, analysis=Analysis()))
    )
    between = whole.instruments.weight.roll(1, 0).add(whole.instruments.weight).detach() / 2
    error = (fine(narrow, between) - fine(whole, between)[..., :513]).abs()
    assert error.mean() < 0.05


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Analysis(48_000, 384, 3_072, wide_bands=48), Analysis(32_000, 256, 2_048)),
        (Analysis(48_000, 384, 3_072), Analysis(32_000, 256, 2_048, wide_bands=20)),
    ],
)
def test_bands_that_a_lower_rate_cannot_take_are_told_in_one_line(tmp_path, before, after):
    path = written(tmp_path / "weights.safetensors", replace(NARROW, analysis=before))
    with pytest.raises(ValueError, match="only to each bin a band at a lower rate"):
        grown(path, replace(NARROW, analysis=after))


@pytest.mark.parametrize("content", [None, b"weights"])
def test_what_is_no_mel2mel_is_refused(tmp_path, content):
    path = tmp_path / "other.safetensors"
    if content:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="other.safetensors: not"):
        grown(path, WIDE)


def test_a_48_khz_bank_from_a_16_khz_run_plays_in_tune(plan, data48, tmp_path):
    narrow = plan("mel2mel", "narrow", 3)
    settings = Mel2MelSettings(SIZES["mel2mel"])
    train(narrow, settings)
    wide = plan("mel2mel", "run", 2, data=data48)
    settings = replace(settings, grow=narrow.run / "weights.safetensors")
    train(wide, settings)
    train(replace(wide, iterations=4), settings)  # goes on, and does not begin again
    assert read_history(wide.run / "weights.safetensors")["iterations"] == 3 + 4
    write_bank(BankPlan(mel2mel=wide.run, wavenet=None, data=data48, out=tmp_path / "bank"))
    bank = load_bank(tmp_path / "bank")
    about = bank.about["mel2mel"]
    assert about["begun_with"] == "narrow/weights.safetensors"
    assert (about["frames_seen_before"], about["frames_seen"]) == (3 * 72, 7 * 72)
    assert bank.analysis == Analysis(48_000, 384, 3_072, wide_bands=48)
    assert all(line.endswith(": plays") for line in check_bank(tmp_path / "bank"))


def test_a_16_khz_bank_from_a_48_khz_run_is_as_it_was_and_plays_in_tune(
    plan, data, data48, tmp_path
):
    wide = plan("mel2mel", "wide", 3, data=data48)
    settings = Mel2MelSettings(SIZES["mel2mel"])
    train(wide, settings)
    # A data set with single keys, by which a new network would settle.
    alone = tmp_path / "data"
    shutil.copytree(data, alone)
    for patch in INSTRUMENTS:
        roll = np.zeros((250, 176), np.uint8)
        roll[10:200, 40], roll[10, 88 + 40] = 80, 80
        write_excerpt(alone / "keys" / f"40-{patch}.npz", np.zeros(32_000, np.int16), roll, patch)
    narrow = replace(plan("mel2mel", "run", 2, data=alone), max_minutes=0)
    train(narrow, replace(settings, grow=wide.run / "weights.safetensors"))
    was, now = (load_file(run.run / "weights.safetensors") for run in (wide, narrow))
    assert torch.equal(now["templates.base"], was["templates.base"][..., :513])
    assert torch.equal(now["instruments.weight"], was["instruments.weight"])
    out = tmp_path / "bank"
    write_bank(BankPlan(mel2mel=narrow.run, wavenet=None, data=alone, out=out, still=True))
    bank = load_bank(out)
    assert bank.about["mel2mel"]["begun_with"] == "wide/weights.safetensors"
    assert bank.about["mel2mel"]["frames_seen"] == 3 * 72
    assert bank.analysis == Analysis()
    assert all(line.endswith(": plays") for line in check_bank(out))
