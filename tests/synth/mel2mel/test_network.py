"""Mel2Mel: the paper's network, the same however it streams, with the lookahead it states."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from common.window import KEYS
from synth.mel import Analysis
from synth.mel2mel.bilstm import BiLSTM
from synth.mel2mel.network import QUIET, Mel2Mel, Mel2MelConfig, Spectra
from synth.mel2mel.step import Mel2MelStep
from synth.rows import select_rows
from tests.synth.rolls import make_embedding, make_roll
from tests.toy_bank import make_mel2mel

FRAMES = 35
RATE = 125.0
PLAIN = Mel2MelConfig(fine=False, timbre_features=0)


@pytest.fixture(scope="module")
def toy() -> Mel2Mel:
    return make_mel2mel()


@pytest.fixture(scope="module")
def plain() -> Mel2Mel:
    torch.manual_seed(3)
    config = Mel2MelConfig(hidden=16, fine=False, timbre_features=0, analysis=Analysis(mels=12))
    return Mel2Mel(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def blending() -> Mel2Mel:
    """With decays and levels, its timbres mixed as shares, and a few wide bands."""
    torch.manual_seed(4)
    analysis = Analysis(48_000, 384, 1_536, mels=12, wide_bands=6)
    config = Mel2MelConfig(
        3, hidden=16, timbre_features=4, decay_bands=6, blend=1, analysis=analysis
    )
    net = Mel2Mel(config).eval().requires_grad_(False)
    net.fine.weight.normal_(std=0.3)
    for layer in (net.templates.decay, net.templates.level):
        layer.weight.normal_(std=0.5)
    net.templates.by_timbre.normal_(std=0.2)
    return net


def both(spectra: Spectra) -> list[Tensor]:
    return [spectra.mel] if spectra.fine is None else [spectra.mel, spectra.fine]


def stream(net: Mel2Mel, roll: Tensor, embedding: Tensor, lookahead: int, block: int) -> Spectra:
    """`Mel2MelStep` block by block, flushed by silence, its first frames of nothing left out."""
    silence = torch.zeros(len(roll), lookahead, roll.shape[-1])
    roll = torch.cat([roll, silence], 1)
    embedding = torch.cat([embedding, embedding[:, -1:].expand(-1, lookahead, -1)], 1)
    live = Mel2MelStep(net, lookahead)
    state = live.initial_state(len(roll))
    made = [
        live.step(x, e, state)
        for x, e in zip(roll.split(block, 1), embedding.split(block, 1), strict=True)
    ]
    mel = torch.cat([m.mel for m in made], 1)[:, lookahead:]
    fine = None if made[0].fine is None else torch.cat([m.fine for m in made], 1)[:, lookahead:]
    return Spectra(mel, fine)


def test_the_papers_network_has_the_papers_size():
    assert sum(p.numel() for p in Mel2Mel(PLAIN).parameters()) == 1_141_604


def test_whole_sequences_are_the_papers_network():
    """Against torch's own bidirectional LSTM, and layers written out."""
    torch.manual_seed(0)
    net = Mel2Mel(PLAIN).eval().requires_grad_(False)
    reference = nn.LSTM(256, 256, batch_first=True, bidirectional=True).requires_grad_(False)
    for direction, suffix in (("forward", ""), ("backward", "_reverse")):
        for ours, theirs in (("w_in", "weight_ih"), ("w_state", "weight_hh"), ("bias", "bias_ih")):
            weight = getattr(net.lstm, f"{direction}_{ours}")
            getattr(reference, f"{theirs}_l0{suffix}").copy_(weight)
        getattr(reference, f"bias_hh_l0{suffix}").zero_()
    roll, embedding = make_roll(2, FRAMES), make_embedding(2, FRAMES)

    def film(layer: nn.Module, x: Tensor) -> Tensor:
        return x * layer.gamma(embedding) + layer.beta(embedding)

    x = film(net.film_in, nn.functional.linear(roll, net.entry.weight, net.entry.bias))
    wanted = net.mel(film(net.film_out, reference(x)[0]))
    heard = net(roll, embedding, None)
    assert heard.fine is None
    assert heard.mel.shape == (2, FRAMES, 80)
    torch.testing.assert_close(heard.mel, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("lookahead", [0, 1, 4])
def test_the_backward_half_reads_just_its_window(lookahead):
    torch.manual_seed(0)
    lstm = BiLSTM(6, 5).requires_grad_(False)
    x, silence = torch.randn(2, 9, 6), torch.randn(2, 1, 6)
    heard = lstm(x, lookahead, silence)
    padded = torch.cat([x, silence.expand(-1, lookahead, -1)], 1)
    for t in range(9):
        window = lstm(padded[:, t : t + lookahead + 1], None, silence)
        torch.testing.assert_close(heard[:, t, 5:], window[:, 0, 5:], atol=1e-6, rtol=0)
    torch.testing.assert_close(heard[..., :5], lstm(x, None, silence)[..., :5], atol=1e-6, rtol=0)


def test_what_blends_stays_between_the_instruments_however_far_a_point_lies(blending):
    functions = blending.timbre.linear
    functions.weight.mul_(20)
    ends = blending.timbre(torch.randn(50, 2) * 100)
    torch.testing.assert_close(ends.sum(1), torch.ones(50))
    assert (ends >= 0).all()
    functions.weight.div_(20)


@pytest.mark.parametrize("lookahead", [0, 1, 4])
@pytest.mark.parametrize("block", [1, 3, 16])
@pytest.mark.parametrize("moving", [True, False], ids=["moving timbre", "one timbre"])
def test_live_equals_offline(toy, plain, blending, lookahead, block, moving):
    roll = make_roll(2, FRAMES)
    embedding = make_embedding(2, FRAMES) if moving else make_embedding(2, 1)
    for net in (toy, plain, blending):
        offline = net(roll, embedding, lookahead)
        live = stream(net, roll, embedding.expand(-1, FRAMES, -1), lookahead, block)
        for heard, wanted in zip(both(live), both(offline), strict=True):
            torch.testing.assert_close(heard, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("lookahead", [0, 1, 4])
def test_a_frame_hears_just_as_far_ahead_as_said(toy, lookahead):
    frame, roll = 12, make_roll(1, FRAMES)
    embedding = make_embedding(1, FRAMES)
    before = toy(roll, embedding, lookahead)
    key = 5  # one that is not played otherwise

    def struck_at(t: int) -> Spectra:
        changed = roll.clone()
        changed[0, t, key] = changed[0, t, KEYS + key] = 1
        return toy(changed, embedding, lookahead)

    beyond, within = struck_at(frame + lookahead + 1), struck_at(frame + lookahead)
    for old, later, now in zip(both(before), both(beyond), both(within), strict=True):
        assert torch.equal(later[:, : frame + 1], old[:, : frame + 1])
        assert not torch.equal(later[:, frame + 1], old[:, frame + 1])
        assert torch.equal(now[:, :frame], old[:, :frame])
        assert (now[:, frame] - old[:, frame]).abs().max() > 1e-5


def test_the_whole_sequence_reaches_back_from_its_end(toy):
    roll, embedding = make_roll(1, FRAMES), make_embedding(1, 1)
    changed = roll.clone()
    changed[0, -1, 10] = changed[0, -1, KEYS + 10] = 1
    near = (toy(roll, embedding, None).mel - toy(changed, embedding, None).mel).abs()
    assert (near[0, -6:].amax(-1) > 0).all()
    causal = (toy(roll, embedding, 0).mel - toy(changed, embedding, 0).mel).abs()
    assert causal[0, :-1].max() == 0


def test_a_stream_begins_in_silence_for_its_lookahead(toy):
    roll, embedding = make_roll(2, 6), make_embedding(2, 6)
    live = Mel2MelStep(toy, 4)
    out = live.step(roll, embedding, live.initial_state(2))
    for spectrum in both(out):
        assert (spectrum[:, :4] == QUIET).all()
        assert (spectrum[:, 4:] != QUIET).any()


def test_a_timbre_acts_on_its_own_frame_of_sound(toy):
    """The embedding that came with a frame colours that frame, when it comes out."""
    lookahead, frame = 4, 15
    roll, embedding = make_roll(1, FRAMES), make_embedding(1, 1).expand(-1, FRAMES, -1)
    moved = embedding.clone()
    moved[:, frame:] += 1
    old = stream(toy, roll, embedding, lookahead, 1)
    new = stream(toy, roll, moved, lookahead, 1)
    # Before it, only the backward half's look at what comes may differ.
    assert torch.equal(new.fine[:, : frame - lookahead], old.fine[:, : frame - lookahead])
    small = (new.fine - old.fine)[:, frame - lookahead : frame].abs().mean()
    assert (new.fine - old.fine)[:, frame].abs().mean() > 2 * small


def test_streams_that_begin_together_keep_what_is_ready_apart(toy):
    """Or two timbres on one key would throw each other's spectra away in every frame."""
    live = Mel2MelStep(toy, 0)
    state = select_rows(live.initial_state(1), live.initial_state(2), [None, 0, None])
    assert len({id(cache) for cache in state.caches}) == 3


def test_templates_need_the_fine_head():
    with pytest.raises(ValueError, match="timbre_features: key templates need the fine head"):
        Mel2Mel(Mel2MelConfig(fine=False))


def test_a_fine_head_without_templates_streams_too():
    torch.manual_seed(0)
    analysis = Analysis(window=512, mels=12)
    config = Mel2MelConfig(hidden=8, timbre_features=0, analysis=analysis)
    net = Mel2Mel(config).eval().requires_grad_(False)
    roll, embedding = make_roll(1, 12), make_embedding(1, 12)
    offline, live = net(roll, embedding, 2), stream(net, roll, embedding, 2, 5)
    assert offline.fine.shape == (1, 12, 257)
    torch.testing.assert_close(live.fine, offline.fine, atol=1e-5, rtol=0)


def test_templates_can_be_trained():
    """Gradients reach every parameter."""
    net = make_mel2mel().requires_grad_(True)
    spectra = net(make_roll(2, 12), net.instruments(torch.tensor([[0], [2]])), 2)
    (spectra.mel.square().mean() + spectra.fine.square().mean()).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad.abs().max() > 0, name


def test_a_moving_timbre_takes_each_frames_own_spectra(toy):
    roll, embedding = make_roll(1, 12), make_embedding(1, 12)
    moving = toy(roll, embedding, 0).fine
    still = toy(roll, embedding[:, 4:5], 0).fine
    same = toy(roll, embedding[:, 4:5].expand(-1, 12, -1), 0).fine
    torch.testing.assert_close(same, still, atol=1e-5, rtol=0)
    assert not torch.allclose(moving, still, atol=1e-2)
