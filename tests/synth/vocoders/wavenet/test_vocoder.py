from __future__ import annotations

import pytest
import torch
from torch import Tensor

from synth.rows import select_rows
from synth.vocoders.wavenet.mulaw import decode, encode
from synth.vocoders.wavenet.samplers.contract import draw_class
from synth.vocoders.wavenet.vocoder import WaveNetVocoder
from tests.synth.lively_wavenet import FULL, SMALL, lively


def mels(count: int, batch: int, n: int) -> Tensor:
    return torch.randn(batch, n, count, generator=torch.Generator().manual_seed(5))


def test_says_what_it_takes():
    vocoder = WaveNetVocoder(lively(SMALL), "reference")
    assert (vocoder.head, vocoder.lookahead, vocoder.sampler) == ("mel", 0, "reference")
    assert (vocoder.hop, vocoder.draws_per_frame) == (128, 128)


@pytest.mark.parametrize("sampler", ["cpu", "reference"])
def test_a_live_take_is_what_forward_would_draw(sampler):
    net, frames = lively(SMALL), mels(SMALL.mels, 2, 4)
    vocoder, draws = WaveNetVocoder(net, sampler), torch.rand(2, 4, 128)
    state, heard = vocoder.initial_state(2), []
    for t in range(4):
        sound, state = vocoder.step(frames[:, t : t + 1], state, draws[:, t : t + 1])
        heard.append(sound)
    samples = torch.cat(heard, 1)
    classes = encode(samples)
    assert torch.equal(decode(classes), samples)
    logits = net(frames, classes)
    wanted = draw_class(logits.flatten(0, 1), draws.flatten()).view_as(classes)
    same = float((wanted == classes).float().mean())
    # In 8 bits, a lively network draws a neighbour now and then.
    assert same == 1 if sampler == "reference" else same > 0.92


def test_conditioning_streams_as_forward_has_it_from_the_first_sample():
    net = lively(FULL)
    vocoder, frames = WaveNetVocoder(net, "cpu"), mels(FULL.mels, 2, 5)
    truth = net.condition(frames)
    state, heard = vocoder.initial_state(2), []
    for t in range(5):
        heard.append(vocoder.drawing.condition(frames[:, t : t + 1], state))
    torch.testing.assert_close(torch.cat(heard, 1), truth, rtol=1e-4, atol=1e-4)


def test_conditioning_of_a_part_that_joins_begins_at_its_own_first_frame():
    net = lively(SMALL)
    vocoder, frames = WaveNetVocoder(net, "cpu"), mels(SMALL.mels, 1, 5)
    state = vocoder.initial_state(1)
    for t in range(2):
        vocoder.drawing.condition(frames[:, t : t + 1], state)
    state = select_rows(state, vocoder.initial_state(1), [None, 0])
    heard = []
    for t in range(2, 5):
        heard.append(vocoder.drawing.condition(frames[:, t : t + 1].expand(2, 1, -1), state))
    joined, going_on = torch.cat(heard, 1)
    truth = net.condition(frames)[0, 2 * vocoder.hop :]
    torch.testing.assert_close(going_on, truth, rtol=1e-4, atol=1e-4)
    truth = net.condition(frames[:, 2:])[0]
    torch.testing.assert_close(joined, truth, rtol=1e-4, atol=1e-4)
    assert (joined[: vocoder.hop] - going_on[: vocoder.hop]).abs().max() > 0.1


def test_plays_in_inference_mode_with_a_state_from_before():
    vocoder, frames = WaveNetVocoder(lively(SMALL), "cpu"), mels(SMALL.mels, 1, 2)
    draws = torch.rand(1, 2, 128)
    wanted, _ = vocoder.step(frames, vocoder.initial_state(1), draws)
    state = vocoder.initial_state(1)
    with torch.inference_mode():
        heard, state = vocoder.step(frames, state, draws)
        select_rows(state, vocoder.initial_state(1), [0, None])
    assert torch.equal(heard, wanted)


def test_refuses_a_sampler_that_is_not_there():
    with pytest.raises(ValueError, match="expected one of cpu, reference, triton, got 'fpga'"):
        WaveNetVocoder(lively(SMALL), "fpga")


@pytest.mark.parametrize(("bands", "draws"), [(7, 128), (6, 127)])
def test_refuses_frames_and_draws_of_another_shape(bands, draws):
    vocoder = WaveNetVocoder(lively(SMALL), "cpu")
    with pytest.raises(ValueError, match="expected shape \\(1, 3, "):
        vocoder.step(mels(bands, 1, 3), vocoder.initial_state(1), torch.rand(1, 3, draws))
