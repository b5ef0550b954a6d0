"""The C probe must compute what it is a ceiling for: the same network, its weights in 8 bits."""

from __future__ import annotations

import pytest
import torch

from benchmarks.rivals import c_probe
from synth.vocoders.wavenet.mulaw import CLASSES
from synth.vocoders.wavenet.samplers import reference as sampler_reference
from synth.vocoders.wavenet.samplers.contract import initial_state
from tests.synth.lively_wavenet import FULL, ODD, lively

pytestmark = pytest.mark.skipif(
    not c_probe.available(), reason="needs a C compiler and an x86 processor"
)


@pytest.mark.parametrize(("config", "samples"), [(ODD, 200), (FULL, 1100)])
def test_logits_are_those_of_the_rounded_network(config, samples):
    weights = lively(config).weights()
    probe = c_probe.pack(weights)
    generator = torch.Generator().manual_seed(1)
    mel = torch.randn(2, samples, config.mels, generator=generator)
    draws = torch.rand(2, samples, generator=generator)
    classes = torch.randint(CLASSES, (2, samples), generator=generator)
    found, truth = [], []
    # In two blocks, so that rings are read where the first one left them.
    for room, packed, heard in (
        (c_probe, probe, found),
        (sampler_reference, probe.weights, truth),
    ):
        state = initial_state(config.dilations, config.residual, 2)
        for part in (slice(0, 70), slice(70, samples)):
            logits, drawn, state = room.follow(
                packed, mel[:, part], state, draws[:, part], classes[:, part]
            )
            heard.append((logits, drawn))
    for (logits, drawn), (wanted, wanted_drawn) in zip(found, truth, strict=True):
        torch.testing.assert_close(logits, wanted, rtol=0, atol=3e-2)
        assert (drawn == wanted_drawn).float().mean() > 0.98
    near = [(weights.now - probe.weights.now).abs().max(), weights.now.abs().max() / 200]
    assert 0 < near[0] < near[1]


def test_it_goes_on_from_what_it_drew():
    weights = lively(ODD).weights()
    probe = c_probe.pack(weights)
    mel, draws = torch.randn(1, 60, ODD.mels), torch.rand(1, 60)
    state = initial_state(ODD.dilations, ODD.residual, 1)
    classes, state = c_probe.sample(probe, mel, state, draws)
    again = initial_state(ODD.dilations, ODD.residual, 1)
    _, drawn, again = c_probe.follow(probe, mel, again, draws, classes)
    assert torch.equal(drawn, classes) and torch.equal(again.history, state.history)
    assert state.position.tolist() == [60] and state.last.tolist() == classes[:, -1].tolist()
