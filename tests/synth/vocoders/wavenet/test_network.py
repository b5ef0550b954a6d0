from __future__ import annotations

import pytest
import torch

from synth.vocoders.wavenet.mulaw import CLASSES
from synth.vocoders.wavenet.network import WaveNet, WaveNetConfig
from tests.synth.lively_wavenet import FULL, ODD, SMALL, lively


def take(config: WaveNetConfig, frames: int, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """A mel (batch, frames, mels) and classes (batch, frames * hop)."""
    generator = torch.Generator().manual_seed(1)
    mel = torch.randn(batch, frames, config.mels, generator=generator)
    return mel, torch.randint(CLASSES, (batch, frames * config.hop), generator=generator)


def test_the_full_size_is_the_methods_own():
    assert FULL.dilations == (1, 2, 4, 8, 16, 32, 64, 128, 256, 512) * 2
    assert FULL.hop == 128
    assert FULL.receptive_field == 2_047
    multiply_adds = sum(
        w.numel() for name, w in WaveNet(FULL).named_parameters() if "weight" in name
    )
    mel_weights = 20 * 128 * 80 + 8 * 80 * 160 + 16 * 80 * 160
    assert multiply_adds - mel_weights - CLASSES * 64 == 868_352


@pytest.mark.parametrize("config", [SMALL, ODD])
def test_weights_have_their_stated_shapes(config):
    w = lively(config).weights()
    layers, r, s = config.layers, config.residual, config.skip
    assert w.dilations == config.dilations
    shapes = {
        "embedding": (CLASSES, r),
        "past": (layers, 2 * r, r),
        "now": (layers, 2 * r, r),
        "residual": (layers, r, r),
        "residual_bias": (layers, r),
        "skip": (layers, s, r),
        "skip_bias": (s,),
        "out": (s, s),
        "out_bias": (s,),
        "end": (CLASSES, s),
        "end_bias": (CLASSES,),
    }
    for name, shape in shapes.items():
        assert tuple(getattr(w, name).shape) == shape, name
        assert getattr(w, name).dtype == torch.float32
        assert not getattr(w, name).requires_grad


def test_a_class_is_heard_by_exactly_the_receptive_field_after_it():
    net, at = lively(SMALL), 100
    mel, classes = take(SMALL, 2)
    other = classes.clone()
    other[0, at] = (other[0, at] + 99) % CLASSES
    moved = (net(mel, other) - net(mel, classes)).abs().amax(-1)[0] > 1e-5
    heard = torch.zeros_like(moved)
    heard[at + 1 : at + 1 + SMALL.receptive_field] = True
    assert torch.equal(moved, heard)


def test_a_frame_is_not_heard_before_it_begins():
    net = lively(SMALL)
    mel, classes = take(SMALL, 4)
    other = mel.clone()
    other[0, 2] += 1
    moved = (net(other, classes) - net(mel, classes)).abs().amax(-1)[0] > 1e-5
    assert not moved[: 2 * SMALL.hop].any()
    assert moved[2 * SMALL.hop :].any()


def test_rows_do_not_hear_each_other():
    net = lively(SMALL)
    mel, classes = take(SMALL, 2, batch=3)
    together = net(mel, classes)
    for row in range(3):
        alone = net(mel[row : row + 1], classes[row : row + 1])
        torch.testing.assert_close(alone, together[row : row + 1], rtol=1e-4, atol=1e-4)


def test_an_untrained_upsampling_interpolates():
    net = WaveNet(SMALL)
    mel = torch.tensor([0.0, 1.0, 3.0])[None, :, None].expand(1, 3, SMALL.mels)
    with torch.no_grad():
        ramp = net.condition(mel)[0, :, 0]
    assert ramp.shape == (3 * SMALL.hop,)
    torch.testing.assert_close(ramp[SMALL.hop - 1 :: SMALL.hop], torch.tensor([0.0, 1.0, 3.0]))
    assert (ramp.diff() >= -1e-6).all()
    assert ramp.diff().max() <= 2 / SMALL.hop + 1e-6
