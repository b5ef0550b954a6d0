"""Every sampler against `WaveNet.forward`, against the reference, and against itself."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from synth.vocoders.wavenet.mulaw import CLASSES, SILENCE
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig, WaveNetWeights
from synth.vocoders.wavenet.samplers import cpu as sampler_cpu
from synth.vocoders.wavenet.samplers import reference as sampler_reference
from synth.vocoders.wavenet.samplers.contract import (
    SamplerState,
    draw_class,
    initial_state,
    round_weights,
)
from synth.vocoders.wavenet.samplers.cpu_kernel import BESIDE, PEAK, Matrix, PackedWeights
from tests.synth.lively_wavenet import FULL, FULL_GUIDED, GUIDED, ODD, SMALL, WIDE, lively

SAMPLERS = pytest.mark.parametrize("sampler", [sampler_reference, sampler_cpu])
LOST_NATS = {sampler_reference: 1e-7, sampler_cpu: 1e-3}
"""How far a sampler's distributions may be from those of `forward`, in the mean."""
AGREEMENT = {sampler_reference: 0.999, sampler_cpu: 0.92}
"""The least share of draws that must choose the same class as `forward`'s logits."""


def fresh(config: WaveNetConfig, batch: int) -> SamplerState:
    return initial_state(config.dilations, config.residual, batch)


def conditions(config: WaveNetConfig, batch: int, n: int) -> tuple[Tensor, Tensor]:
    """Conditioning (batch, n, channels) and draws (batch, n)."""
    generator = torch.Generator().manual_seed(2)
    mel = torch.randn(batch, n, config.conditioning, generator=generator)
    return mel, torch.rand(batch, n, generator=generator)


def forward_conditions(net: WaveNet, frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """A take: classes, forward's logits as they are drawn from, and the conditioning that its mel,
    and a guide, come down to."""
    config, generator = net.config, torch.Generator().manual_seed(3)
    mel = torch.randn(1, frames, config.mels, generator=generator)
    classes = torch.randint(CLASSES, (1, frames * config.hop), generator=generator)
    guide = None
    if config.guide:
        length = frames * config.hop + 2 * config.guide
        guide = torch.randint(CLASSES, (1, length), generator=generator)
    logits = net(mel, classes, guide) * config.sharpness
    return classes, logits, net.condition(mel, guide)


def as_meant(packed: PackedWeights, config: WaveNetConfig) -> WaveNetWeights:
    """The network that the cpu sampler's integers stand for."""
    r, skip = config.residual, config.skip

    def matrices(matrix: Matrix, outputs: int, inputs: int) -> Tensor:
        weights = matrix.weights if BESIDE else matrix.weights.swapaxes(4, 5)
        meant = torch.from_numpy(weights * matrix.scales[:, :, :, None, :, None])
        rows = meant.permute(0, 1, 4, 2, 3, 5).flatten(3).flatten(1, 2)
        return rows[:, :outputs, :inputs].contiguous()

    return WaveNetWeights(
        config.dilations,
        config.mels,
        torch.from_numpy(packed.embedding),
        matrices(packed.past, 2 * r, r),
        matrices(packed.now, 2 * r, r),
        torch.cat(
            [
                matrices(packed.mel, 2 * r, config.mels),
                matrices(packed.guide, 2 * r, config.conditioning - config.mels),
            ],
            -1,
        ),
        torch.from_numpy(packed.gate_bias),
        matrices(packed.residual, r, r),
        torch.from_numpy(packed.residual_bias),
        matrices(packed.skip, skip, r),
        torch.from_numpy(packed.skip_bias),
        matrices(packed.out, skip, skip)[0],
        torch.from_numpy(packed.out_bias),
        matrices(packed.end, CLASSES, skip)[0],
        torch.from_numpy(packed.end_bias),
    )


def assert_same(one: SamplerState, other: SamplerState) -> None:
    for field in fields(one):
        assert torch.equal(getattr(one, field.name), getattr(other, field.name)), field.name


@SAMPLERS
@pytest.mark.parametrize("config", [SMALL, ODD, WIDE, FULL, GUIDED, FULL_GUIDED])
def test_following_a_take_gives_the_logits_of_forward(sampler, config):
    net = lively(config)
    # The full size hears every ring come round at least twice.
    classes, truth, mel = forward_conditions(net, 9 if config.residual == FULL.residual else 2)
    assert truth.std() > 1
    packed, state = sampler.pack(net.weights()), fresh(config, 1)
    draws = torch.rand(classes.shape, generator=torch.Generator().manual_seed(4))
    logits, drawn, state = sampler.follow(packed, mel, state, draws, classes)
    wanted = draw_class(truth.flatten(0, 1), draws.flatten()).view_as(drawn)
    assert (drawn == wanted).float().mean() >= AGREEMENT[sampler]
    lost = (truth.softmax(-1) * (truth.log_softmax(-1) - logits.log_softmax(-1))).sum(-1)
    assert lost.mean() < LOST_NATS[sampler]
    assert state.position.tolist() == [classes.shape[1]]
    assert torch.equal(state.last, classes[:, -1])


@pytest.mark.parametrize("config", [SMALL, ODD, WIDE, FULL, GUIDED, FULL_GUIDED])
def test_the_cpu_plays_the_network_that_its_integers_stand_for(config):
    packed = sampler_cpu.pack(lively(config).weights())
    mel, draws = conditions(config, 2, 200)
    classes = torch.randint(CLASSES, draws.shape, generator=torch.Generator().manual_seed(7))
    heard = []
    for sampler, weights in (
        (sampler_reference, as_meant(packed.weights, config)),
        (sampler_cpu, packed),
    ):
        heard.append(sampler.follow(weights, mel, fresh(config, 2), draws, classes))
    (truth, wanted, state), (logits, drawn, other) = heard
    # What is left is the rounding of activations; logits are 40 wide.
    torch.testing.assert_close(logits, truth, rtol=0, atol=2e-2)
    assert (drawn == wanted).float().mean() >= 0.98
    assert len(drawn.unique()) > 20
    torch.testing.assert_close(other.history, state.history, rtol=0, atol=1e-3)


def test_the_cpu_takes_over_from_the_reference_in_the_middle():
    packed = sampler_cpu.pack(lively(ODD).weights())
    mel, draws = conditions(ODD, 1, 160)
    classes = torch.randint(CLASSES, draws.shape, generator=torch.Generator().manual_seed(7))
    whole, _, _ = sampler_cpu.follow(packed, mel, fresh(ODD, 1), draws, classes)
    first, rest = slice(0, 75), slice(75, 160)
    meant = as_meant(packed.weights, ODD)
    _, _, state = sampler_reference.follow(
        meant, mel[:, first], fresh(ODD, 1), draws[:, first], classes[:, first]
    )
    logits, _, _ = sampler_cpu.follow(packed, mel[:, rest], state, draws[:, rest], classes[:, rest])
    torch.testing.assert_close(logits, whole[:, rest], rtol=0, atol=2e-2)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_the_number_of_cores_changes_no_bit(rows):
    packed = sampler_cpu.pack(lively(ODD).weights())
    mel, draws = conditions(ODD, rows, 40)
    heard = []
    for cores in (1, 2, 3, 8):
        shared = replace(packed, cores=cores)
        heard.append(sampler_cpu.sample(shared, mel, fresh(ODD, rows), draws))
    for classes, state in heard[1:]:
        assert torch.equal(classes, heard[0][0])
        assert_same(state, heard[0][1])


@pytest.mark.parametrize("kind", ["alike", "alone", "random", "nothing"])
@pytest.mark.parametrize("integer", [torch.int8, torch.int16])
def test_no_sum_of_products_can_leave_32_bits(kind, integer):
    matrices = torch.zeros(2, 70, 130)
    if kind == "alike":
        matrices += 0.3
    elif kind == "alone":
        matrices[:, :, 17] = -5.0
    elif kind == "random":
        matrices.normal_(generator=torch.Generator().manual_seed(8))
    weights, scales = sampler_cpu.as_integers(matrices, integer, beside=True)
    sums = np.abs(weights.astype(np.int64)).sum((3, 5))
    assert sums.max() * PEAK < 2**31
    full = np.abs(weights).max() == 127 if integer == torch.int8 else sums.max() * PEAK > 2**26
    assert full or kind == "nothing"
    meant = torch.from_numpy(weights * scales[:, :, :, None, :, None])
    meant = meant.permute(0, 1, 4, 2, 3, 5).flatten(3).flatten(1, 2)[:, :70, :130]
    step = float(matrices.abs().max()) / (127 if integer == torch.int8 else 1000)
    torch.testing.assert_close(meant, matrices, rtol=0, atol=step / 2 + 1e-6)


@SAMPLERS
def test_following_what_was_drawn_is_sampling(sampler):
    packed = sampler.pack(lively(SMALL).weights())
    mel, draws = conditions(SMALL, 2, 50)
    classes, after = sampler.sample(packed, mel, fresh(SMALL, 2), draws)
    _, drawn, state = sampler.follow(packed, mel, fresh(SMALL, 2), draws, classes)
    assert torch.equal(drawn, classes)
    assert_same(state, after)


@SAMPLERS
def test_the_outermost_draws_give_classes_within_range(sampler):
    packed = sampler.pack(lively(SMALL).weights())
    mel, draws = conditions(SMALL, 1, 40)
    lowest, _ = sampler.sample(packed, mel, fresh(SMALL, 1), torch.zeros_like(draws))
    almost_one = torch.full_like(draws, 1).nextafter(torch.zeros(()))
    highest, _ = sampler.sample(packed, mel, fresh(SMALL, 1), almost_one)
    assert lowest.max() == 0
    assert highest.min() > 200
    assert highest.max() < CLASSES


@SAMPLERS
def test_weights_are_rounded_as_a_bank_rounds_them(sampler):
    net = lively(SMALL)
    for parameter in net.parameters():
        parameter.mul_(1.0001)
    weights = net.weights()
    mel, draws = conditions(SMALL, 1, 30)
    classes = torch.zeros(draws.shape, dtype=torch.long)

    def logits(weights):
        return sampler.follow(sampler.pack(weights), mel, fresh(SMALL, 1), draws, classes)[0]

    assert not torch.equal(round_weights(weights).now, weights.now)
    assert torch.equal(logits(weights), logits(round_weights(weights)))


@SAMPLERS
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda m, d, c: (m[:, :-1], d, c), "conditioning"),
        (lambda m, d, c: (m.double(), d, c), "conditioning"),
        (lambda m, d, c: (m, d.double(), c), "draws"),
        (lambda m, d, c: (m, d[0], c), "draws"),
        (lambda m, d, c: (m.repeat(2, 1, 1), d.repeat(2, 1), c), "history"),
        (lambda m, d, c: (m, d, c[:, 1:]), "classes"),
        (lambda m, d, c: (m, d, c + 1), "classes"),
    ],
)
def test_what_does_not_fit_is_refused(sampler, change, named):
    packed = sampler.pack(lively(SMALL).weights())
    mel, draws = conditions(SMALL, 1, 9)
    classes = torch.full((1, 9), CLASSES - 1)
    mel, draws, classes = change(mel, draws, classes)
    with pytest.raises(ValueError, match=named):
        sampler.follow(packed, mel, fresh(SMALL, 1), draws, classes)


@SAMPLERS
def test_a_state_with_gaps_is_refused(sampler):
    packed = sampler.pack(lively(SMALL).weights())
    mel, draws = conditions(SMALL, 2, 3)
    state = fresh(SMALL, 4)
    state = SamplerState(*(getattr(state, field.name)[::2] for field in fields(state)))
    with pytest.raises(ValueError, match="contiguous"):
        sampler.sample(packed, mel, state, draws)


def test_a_new_state_has_heard_nothing():
    state = fresh(ODD, 2)
    assert state.history.shape == (2, ODD.receptive_field - 1, ODD.residual)
    assert not state.history.any()
    assert state.last.tolist() == [SILENCE, SILENCE]


def test_a_draw_falls_where_the_cdf_passes_it():
    logits = torch.full((5, CLASSES), -torch.inf)
    logits[:, [3, 7]] = torch.tensor([0.25, 0.75]).log()
    u = torch.tensor([0.0, 0.2499, 0.2501, 0.5, 0.9999])
    assert draw_class(logits, u).tolist() == [3, 3, 7, 7, 7]
