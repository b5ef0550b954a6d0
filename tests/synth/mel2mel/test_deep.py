"""Deep patches: what their curves say is heard, live as in the whole, and morphs like a timbre."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import torch
from torch import Tensor

from common.window import KEYS, LOWEST_KEY
from synth.mel import band_centres
from synth.mel2mel.deep import (
    COUNT,
    CURVES_AT,
    MOST,
    PARTIALS,
    SIZES,
    Expander,
    blended,
    curves_of,
    empty_deltas,
    text_of,
)
from synth.mel2mel.network import Mel2Mel
from synth.mel2mel.step import Mel2MelStep
from synth.mel2mel.templates import highest
from tests.synth.rolls import make_roll
from tests.toy_bank import make_moving_mel2mel

POINTS = torch.tensor([[0.3, -0.2], [0.8, 0.2]])
SLOTS = 3


def random_curves(seed: int) -> Tensor:
    return torch.randn(COUNT, generator=torch.Generator().manual_seed(seed))


def fill(net: Mel2Mel, slot: int, curves: Tensor) -> None:
    made = Expander(net.templates)(curves)
    for table, new in zip(net.templates.deep[:-1], made[:-1], strict=True):
        table[slot] = new[0]
    net.templates.deep.edition.add_(1)


@pytest.fixture
def net() -> Mel2Mel:
    """With random curves in two of its slots."""
    made = make_moving_mel2mel()
    made.templates.deep = empty_deltas(made.templates, SLOTS)
    fill(made, 0, random_curves(1))
    fill(made, 2, random_curves(2))
    return made


def inputs(amounts: list[float], frames: int) -> Tensor:
    told = torch.cat([POINTS, torch.tensor([amounts] * len(POINTS))], 1)
    return told[:, None].repeat(1, frames, 1)


def played(net: Mel2Mel, roll: Tensor, embedding: Tensor, block: int) -> Tensor:
    step = Mel2MelStep(net, 0)
    state = step.initial_state(len(roll))
    spans = zip(roll.split(block, 1), embedding.split(block, 1), strict=True)
    return torch.cat([step.step(*span, state).fine for span in spans], 1)


@pytest.mark.parametrize("amounts", [[1.0, 0.0, 0.0], [0.4, 0.0, 0.6]])
@torch.inference_mode()
def test_live_is_as_the_whole(net, amounts):
    roll = make_roll(2, 60)
    embedding = inputs(amounts, 60)
    live = played(net, roll, embedding, 7)
    assert torch.equal(live, played(net, roll, embedding, 60))
    for told in (embedding[:, :1], embedding):
        torch.testing.assert_close(live, net(roll, told, 0).fine, atol=1e-4, rtol=1e-5)
    plain = played(net, roll, inputs([0.0] * SLOTS, 60), 60)
    assert (live - plain).abs().max() > 0.5


@torch.inference_mode()
def test_an_amount_of_nothing_changes_no_bit(net):
    roll, plain = make_roll(2, 40), make_moving_mel2mel()
    ours = inputs([0.0] * SLOTS, 40)
    assert torch.equal(played(net, roll, ours, 40), played(plain, roll, ours[..., :2], 40))
    assert torch.equal(net(roll, ours[:, :1], 0).fine, plain(roll, ours[:, :1, :2], 0).fine)
    # A row beside it that plays a deep patch is nothing to it either.
    mixed = ours.clone()
    mixed[1, :, 2] = 1.0
    assert torch.equal(played(net, roll, mixed, 40)[0], played(net, roll, ours, 40)[0])


@torch.inference_mode()
def test_another_patch_in_the_same_slot_is_heard(net):
    roll, embedding = make_roll(2, 40), inputs([1.0, 0.0, 0.0], 40)
    step = Mel2MelStep(net, 0)
    state = step.initial_state(2)
    step.step(roll, embedding, state)
    fill(net, 0, random_curves(3))
    again = step.step(roll, embedding, state).fine
    state = step.initial_state(2)
    step.step(roll, embedding, state)
    torch.testing.assert_close(again, step.step(roll, embedding, state).fine)


def test_no_level_rises_above_those_of_the_bank(net):
    templates = net.templates
    loud = torch.zeros(COUNT)
    loud[sum(list(SIZES.values())[:2]) :][: SIZES["level"]] = MOST
    fill(net, 1, loud)
    features = torch.cat([net.timbre(POINTS), torch.tensor([[0.0, 1.0, 0.0]] * 2)], 1)
    levels, _ = templates._levels_and_rates(features)
    assert torch.equal(levels.flatten(1), highest(templates.level).expand(2, -1))


def test_a_curve_over_partials_is_that_of_every_key(net):
    analysis = net.config.analysis
    curves = torch.zeros(len(CURVES_AT), len(PARTIALS))
    curves[:, PARTIALS.index(2.0)] = 1.5
    made = Expander(net.templates)(torch.cat([curves.flatten(), torch.zeros(COUNT)])[:COUNT])
    hertz = band_centres(analysis, "fine")
    for key in (57, 69, 81):
        added = made.spectra[0, key - LOWEST_KEY, 4]
        second = 2 * 440 * 2 ** ((key - 69) / 12)
        assert hertz[int(added.argmax())] == pytest.approx(second, abs=analysis.rate / 512)
        assert float(added.max()) > 1 and not added[torch.from_numpy(hertz > 1.5 * second)].any()
    assert made.spectra.shape == (1, KEYS, 11, analysis.bands)


def test_files_keep_curves():
    curves = random_curves(4).numpy()
    np.testing.assert_allclose(curves_of(text_of(curves)), curves, rtol=1e-3)
    assert np.abs(curves_of(text_of(9 * curves))).max() == MOST
    one, two = text_of(curves), text_of(np.ones(COUNT, np.float32))
    assert blended({}) == blended({one: 0.0}) == "" and blended({one: 1.0}) == one
    half = curves_of(blended({one: 0.25, two: 0.75}))
    np.testing.assert_allclose(half, 0.25 * curves + 0.75, atol=2e-3)


def encoded(values: list[float]) -> str:
    return base64.b64encode(np.array(values, "<f2").tobytes()).decode()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("no base64!", f"expected base64 of {COUNT} half floats"),
        ("QUJD", f"expected base64 of {COUNT} half floats"),
        (encoded([0.0] * 3), f"expected base64 of {COUNT} half floats, got 3"),
        (encoded([0.0] * (COUNT - 1) + [7.0]), "expected numbers from -6 to 6, got others"),
        (encoded([float("nan")] * COUNT), "expected numbers from -6 to 6, got others"),
    ],
)
def test_what_is_no_curve_is_refused(text, complaint):
    with pytest.raises(ValueError) as told:
        curves_of(text)
    assert str(told.value) == complaint
