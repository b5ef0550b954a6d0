"""Key templates: training's way and playing's way agree, and harder is louder and brighter."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from common.window import KEYS, LOWEST_KEY
from synth.mel import Analysis
from synth.mel2mel.keys import KeyTracks, initial_keys, play_keys
from synth.mel2mel.template_mix import TemplateCache, initial_cache, mix_frame, pack_templates
from synth.mel2mel.templates import FASTEST_DECAY, FILL_FRAMES, MOMENTS_S, KeyTemplates
from tests.synth.rolls import make_late, make_roll

KEY = 40
ANALYSIS = Analysis(window=256)


@pytest.fixture(params=[(0, False), (5, False), (5, True), (5, True, False, 2)])
def templates(request) -> KeyTemplates:
    """Of three features, each of which changes all there is, with and without decays and levels,
    and with a basis."""
    made = KeyTemplates(ANALYSIS, 3, *request.param).requires_grad_(False)
    torch.manual_seed(0)
    for parameter in made.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def struck(velocity: float, frames: int = 40, held: int | None = None) -> KeyTracks:
    """One key that is struck at once and held, to the end or for so many frames."""
    roll = torch.zeros(1, frames, 2 * KEYS)
    roll[0, :held, KEY] = velocity
    roll[0, 0, KEYS + KEY] = velocity
    return play_keys(roll, initial_keys(1))[0]


def mixed_at(
    templates: KeyTemplates,
    keys: KeyTracks,
    frame: int,
    features: Tensor,
    caches: list[TemplateCache],
) -> Tensor:
    """What playing makes of one frame: (batch, bands)."""
    weights = pack_templates(templates)
    unturned, still = (np.zeros((len(features), n), np.float32) for n in (2, 0))
    tracks = moment(keys, frame), moment(keys, frame - 1)
    return torch.from_numpy(mix_frame(weights, *tracks, features.numpy(), unturned, caches, still))


def moment(keys: KeyTracks, frame: int) -> tuple[np.ndarray, ...]:
    """One frame's tracks as playing takes them; those before the first are of no use there."""
    late = torch.zeros_like(keys.velocity) if keys.late is None else keys.late
    tracks = (keys.velocity, keys.age, keys.rest, late)
    if frame < 0:
        untouched = initial_keys(len(keys.age))
        return tuple(
            x.numpy() for x in (untouched.velocity, untouched.age, untouched.rest, untouched.late)
        )
    return tuple(x[:, frame].contiguous().numpy() for x in tracks)


@pytest.mark.parametrize("between", [False, True])
def test_dense_and_frame_by_frame_agree(templates, between):
    """Training's way with one timbre throughout, and playing's way with a cache."""
    roll = make_roll(2, 30)
    roll[0, 3:20, 40] = roll[0, (3, 9, 15), KEYS + 40] = 0.8  # struck while it sounds
    keys, _ = play_keys(roll, initial_keys(2), make_late(roll) if between else None)
    weights = pack_templates(templates)
    caches = [initial_cache(weights) for _ in range(2)]
    for features in (torch.randn(2, 3), torch.zeros(2, 3)):
        dense = templates(keys, features)
        for t in range(30):
            mixed = mixed_at(templates, keys, t, features, caches)
            torch.testing.assert_close(mixed, dense[:, t], atol=1e-6, rtol=1e-5)


def test_onsets_with_their_frames_are_what_was_learnt(templates):
    """To the bit, though ages are counted otherwise."""
    roll, features = make_roll(1, 30), torch.randn(1, 3)
    keys, _ = play_keys(roll, initial_keys(1))
    learnt = templates(KeyTracks(keys.velocity, keys.age, keys.rest), features)
    assert torch.equal(templates(keys, features), learnt)


def test_a_key_struck_between_two_frames_is_between_them(templates):
    """Frame by frame its power lies between that of a key struck with the one and the other."""
    features = torch.zeros(1, 3)
    made = []
    for frame, late in ((5, 0.0), (5, 0.4), (5, 0.999), (6, 0.0)):
        roll = torch.zeros(1, 30, 2 * KEYS)
        roll[0, frame:, KEY] = roll[0, frame, KEYS + KEY] = 0.8
        keys, _ = play_keys(roll, initial_keys(1), torch.full((1, 30, KEYS), late))
        made.append(templates(keys, features)[0].square().sum(-1))
    early, middle, almost, following = made
    torch.testing.assert_close(almost, following, rtol=0.02, atol=1e-4)
    low, high = torch.minimum(early, following), torch.maximum(early, following)
    assert (middle >= low * 0.999).all() and (middle <= high * 1.001).all()
    assert low[5] * 1.1 < middle[5] < high[5] * 0.9


def test_a_key_struck_again_leaves_no_hole(templates):
    """Until the blow comes, what it played before sounds on."""
    roll = torch.zeros(1, 30, 2 * KEYS)
    roll[0, :, KEY] = roll[0, (0, 20), KEYS + KEY] = 0.8
    power = {}
    for late in (0.0, 0.5, 0.99):
        keys, _ = play_keys(roll, initial_keys(1), torch.full((1, 30, KEYS), late))
        power[late] = templates(keys, torch.zeros(1, 3))[0].square().sum(-1)
    held = power[0.99][19]
    assert power[0.99][20] == pytest.approx(float(held), rel=0.05)
    low, high = sorted((float(held), float(power[0.0][20])))
    assert low * 0.95 < power[0.5][20] < high * 1.05


def test_a_timbre_that_moves_is_as_one_that_never_did(templates):
    """The cache holds spectra of many timbres, some keys' of one, some of another."""
    keys, _ = play_keys(make_roll(1, 30), initial_keys(1))
    weights = pack_templates(templates)
    caches = [initial_cache(weights)]
    for t in range(30):
        features = torch.full((1, 3), 0.1 * (t // 4))
        moved = mixed_at(templates, keys, t, features, caches)
        anew = mixed_at(templates, keys, t, features, [initial_cache(weights)])
        assert torch.equal(moved, anew)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copied_cache_does_not_write_into_the_one_it_was_copied_from(templates, copied):
    cache = initial_cache(pack_templates(templates))
    other = copied(cache)
    assert other.places == tuple(x.ctypes.data for x in (other.spectra, other.made, other.made_for))
    assert not set(other.places) & set(cache.places)


def test_every_parameter_learns(templates):
    templates.requires_grad_(True)
    roll = make_roll(2, 600)
    roll[:, 30:, KEYS:] = 0  # so that the keys grow old
    roll[:, 30:300, :KEYS] = roll[:, 29:30, :KEYS]
    keys, _ = play_keys(roll, initial_keys(2))
    templates(keys, torch.randn(2, 3)).log().mean().backward()
    for name, parameter in templates.named_parameters():
        assert parameter.grad.abs().max() > 0, name
    by_moment = templates.mixes if templates.mixed_of else templates.by_timbre
    assert (by_moment.grad.abs().amax((0, 1, 3)) > 0).all()


def test_nothing_sounds_but_the_floor_until_a_key_is_struck(templates):
    features = torch.randn(1, 3)
    untouched, _ = play_keys(torch.zeros(1, 2, 2 * KEYS), initial_keys(1))
    silent = templates(untouched, features)
    assert torch.equal(silent[0, 1], templates.noise(features)[0].sqrt())


def test_moments_share_a_tone_between_them():
    templates = KeyTemplates(ANALYSIS, 2)
    share = templates.share(torch.arange(2_000)[:, None])[:, 0]
    between = templates.share(torch.arange(1_999)[:, None] + 0.25)[:, 0]
    torch.testing.assert_close(between, torch.lerp(share[:-1], share[1:], 0.25))
    torch.testing.assert_close(share.sum(1), torch.ones(2_000))
    for number, moment in enumerate(MOMENTS_S):
        assert share[round(moment * ANALYSIS.frame_rate), number] == 1
    assert ((share > 0).sum(1) <= 2).all()


def test_a_tone_passes_from_moment_to_moment():
    templates = KeyTemplates(ANALYSIS, 2).requires_grad_(False)
    templates.floor.bias.fill_(-30.0)
    templates.base[:] -= torch.arange(len(MOMENTS_S))[:, None]
    heard = templates(struck(0.5, 700), torch.zeros(1, 2))[0]
    for number, moment in enumerate(MOMENTS_S):
        at = heard[round(moment * ANALYSIS.frame_rate)]
        loud = at > 1e-3
        fallen = (at / heard[0])[loud].log()
        torch.testing.assert_close(fallen, torch.full_like(fallen, -number), atol=1e-3, rtol=0)
    assert (heard[1:] <= heard[:-1]).all()


def test_a_held_key_decays_for_ever_in_each_band_at_its_own_rate():
    templates = KeyTemplates(ANALYSIS, 2, 3).requires_grad_(False)
    templates.floor.bias.fill_(-30.0)
    templates.base[:] = torch.linspace(1.0, 0.0, 11)[:, None]
    logits = templates.decay.bias.view(KEYS, 3)
    logits[:] = torch.tensor([-30.0, -1.0, 30.0])
    heard = templates(struck(1.0, 3_000), torch.zeros(1, 2))[0].log()
    per_second = (heard[1_400] - heard[1_150]) / 2
    rates = -FASTEST_DECAY * torch.tensor([0.0, torch.tensor(-1.0).sigmoid(), 1.0])
    low, middle, high = templates.decay_edges[:3]
    torch.testing.assert_close(per_second[low:middle], rates[:1], atol=1e-4, rtol=0)
    torch.testing.assert_close(per_second[middle:high], rates[1:2], atol=1e-4, rtol=0)
    assert (heard[1_100:, high:] < -9).all()  # on the floor


def test_a_level_is_half_way_in_db_however_the_spectra_differ():
    templates = KeyTemplates(ANALYSIS, 2, 5, True).requires_grad_(False)
    templates.tilt.fill_(-30.0)
    templates.floor.bias.fill_(-30.0)
    templates.by_timbre.normal_(std=3.0)
    templates.level.weight[:, 0], templates.level.weight[:, 1] = 1.0, -0.5
    shares = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    heard = torch.cat([templates(struck(1.0), share[None]) for share in shares])[:, 20]
    level = heard.square().sum(1).log() / 2
    torch.testing.assert_close(level, torch.tensor([-1.0, -1.75, -2.5]), atol=0.05, rtol=0)


def test_too_many_decay_bands_are_refused():
    with pytest.raises(ValueError, match="decay_bands is 10, too many octaves for 16000 Hz"):
        KeyTemplates(ANALYSIS, 2, 10)


def test_what_is_left_of_a_released_tone_falls_to_nothing(templates):
    features = torch.randn(1, 3)
    plain, hard = templates.strengths(struck(0.5, 6_000, held=20), features)
    held, released = plain[0, 19, KEY], plain[0, 20:, KEY]
    assert (released.diff() <= 0).all() and 0 < released[0] < held
    assert released[-1] == 0 and hard[0, -1, KEY] == 0
    assert released[released > 0].min() < 1e-3 * held


def test_an_untaught_strength_is_a_power_of_the_velocity():
    untaught = KeyTemplates(ANALYSIS, 2)
    velocity = torch.linspace(0, 1, KEYS)[None, None]
    now = torch.zeros(1, 1, KEYS, dtype=torch.int16)
    plain, hard = untaught.strengths(KeyTracks(velocity, now, now), torch.zeros(1, 2))
    torch.testing.assert_close(plain, velocity**1.8)
    torch.testing.assert_close(hard, velocity**3.3)


def test_a_tilt_makes_the_harder_the_brighter():
    templates = KeyTemplates(ANALYSIS, 2).requires_grad_(False)
    half = ANALYSIS.bins // 2
    templates.tilt[:, half:] = 2.0
    brightness = []
    for level in (0.2, 0.9):
        heard = templates(struck(level), torch.zeros(1, 2))[0, 20]
        brightness.append(float(heard[half:].sum() / heard[:half].sum()))
    assert brightness[1] > 2 * brightness[0]


def test_a_fill_holds_back_the_first_frames_of_every_onset():
    templates = KeyTemplates(ANALYSIS, 2).requires_grad_(False)
    templates.floor.bias.fill_(-30.0)
    whole = templates(struck(0.5), torch.zeros(1, 2))[0]
    templates.fill.bias.fill_(-1.0)
    held_back = templates(struck(0.5), torch.zeros(1, 2))[0]
    loud = whole[FILL_FRAMES] > 0.01
    share = (held_back / whole)[:, loud].mean(-1)
    early, late = share.split([FILL_FRAMES, 40 - FILL_FRAMES])
    torch.testing.assert_close(early, torch.full_like(early, 0.3679), atol=1e-3, rtol=0)
    torch.testing.assert_close(late, torch.ones_like(late))


def test_keys_add_up_in_power():
    templates = KeyTemplates(ANALYSIS, 2).requires_grad_(False)
    templates.tilt.fill_(-30.0)
    keys = struck(0.5)
    one = templates(keys, torch.zeros(1, 2))[0, 20]
    # The same spectrum on another key, so that the two meet in every bin.
    templates.base[KEY + 1] = templates.base[KEY]
    tracks = keys.velocity.clone(), keys.age.clone(), keys.rest.clone()
    for track in tracks:
        track[..., KEY + 1] = track[..., KEY]
    two = templates(KeyTracks(*tracks), torch.zeros(1, 2))[0, 20]
    loud = one > 0.01
    torch.testing.assert_close(
        (two / one)[loud], torch.full_like(one[loud], 2**0.5), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("key", [33, 57, 69, 100])
def test_an_untrained_template_is_in_tune(key):
    analysis = Analysis()
    templates = KeyTemplates(analysis, 3)
    spectrum = templates.base[key - LOWEST_KEY, 0]
    pitch = 440 * 2 ** ((key - 69) / 12)
    spacing = analysis.rate / analysis.window
    peak = int(spectrum[: int(1.5 * pitch / spacing)].argmax()) * spacing
    assert abs(peak - pitch) <= spacing / 2 + 1e-6


@pytest.fixture
def moving() -> KeyTemplates:
    """Two features; the lower 60 keys move, in some bands more than in others."""
    torch.manual_seed(0)
    made = KeyTemplates(ANALYSIS, 2, 5, True, True).requires_grad_(False)
    made.spread.bias.view(KEYS, 5)[:60] = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
    made.spread.weight.view(KEYS, 5, 2)[:60, :, 0] = 0.1
    return made


def test_a_key_alone_moves_as_its_spread_says(moving):
    spread = moving.spreads(struck(0.8, 60), torch.tensor([[1.0, 0.0]]))[0, 55]
    # Its first partial lies in the fourth band.
    for band, (low, high) in list(enumerate(pairwise(moving.decay_edges)))[3:]:
        loudest = moving(struck(0.8, 60), torch.tensor([[1.0, 0.0]]))[0, 55, low:high].argmax()
        assert float(spread[low + loudest]) == pytest.approx(0.2 + 0.1 * band, abs=0.02)


def test_keys_that_sound_together_are_weighted_by_their_power(moving):
    roll = torch.zeros(1, 60, 2 * KEYS)
    for key in (30, 70):
        roll[0, :, key] = roll[0, 0, KEYS + key] = 0.8
    keys, features = play_keys(roll, initial_keys(1))[0], torch.zeros(1, 2)
    spread, power = moving.spreads(keys, features)[0, 55], moving(keys, features)[0, 55].square()
    roll[0, :, 70] = roll[0, 0, KEYS + 70] = 0
    lower = moving(play_keys(roll, initial_keys(1))[0], features)[0, 55].square()
    top = moving.decay_edges[-2]
    wanted = 0.5 * lower[top:] / power[top:]
    torch.testing.assert_close(spread[top:], wanted, atol=0.03, rtol=0)
    assert spread.max() > 0.3 > 0.05 > spread.min()


def test_movement_grows_after_the_onset(moving):
    spread = moving.spreads(struck(0.8, 60), torch.tensor([[1.0, 0.0]]))[0]
    band = spread[55].argmax()
    assert spread[0].max() == 0 and float(spread[25, band]) == pytest.approx(0.3, abs=0.03)
    assert float(spread[55, band]) == pytest.approx(0.6, abs=0.03)


def test_what_is_silent_stands_still(moving):
    spread = moving.spreads(struck(0.8, held=0), torch.zeros(1, 2))
    untouched = initial_keys(1).at((slice(None), None))
    assert not moving.spreads(untouched, torch.zeros(1, 2)).any() and spread.isfinite().all()


def test_wide_bands_stand_still():
    analysis = Analysis(rate=48_000, hop=384, window=3_072, wide_bands=8)
    templates = KeyTemplates(analysis, 1, 5, True, True).requires_grad_(False)
    templates.spread.bias.fill_(0.5)
    spread = templates.spreads(struck(0.8), torch.zeros(1, 1))
    assert not spread[..., analysis.single :].any() and spread[..., : analysis.single].any()


def test_playing_moves_as_the_whole_does(moving):
    roll = make_roll(2, 30)
    keys, _ = play_keys(roll, initial_keys(2), make_late(roll))
    features = torch.randn(2, 2)
    weights, dense = pack_templates(moving), moving.spreads(keys, features)
    caches = [initial_cache(weights) for _ in range(2)]
    for t in range(30):
        tracks = moment(keys, t), moment(keys, t - 1)
        unturned, spreads = (np.zeros((2, n), np.float32) for n in (2, ANALYSIS.bands))
        mix_frame(weights, *tracks, features.numpy(), unturned, caches, spreads)
        torch.testing.assert_close(torch.from_numpy(spreads), dense[:, t], atol=1e-5, rtol=1e-4)


def test_movement_without_decay_bands_is_refused():
    with pytest.raises(ValueError, match="movement: takes decay_bands, got none"):
        KeyTemplates(ANALYSIS, 2, moving=True)
