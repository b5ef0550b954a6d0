"""Low keys: every partial comes back, as loud as it was and as steady, bent or not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from common.window import KEYS, LOWEST_KEY
from synth.mel import FLOOR, Analysis
from synth.vocoders.contract import Pitches
from synth.vocoders.spectral.vocoder import SpectralVocoder

NARROW = Analysis()
WIDE = Analysis(rate=48_000, hop=384, window=3_072, wide_bands=48)
LONG = Analysis(window=2_048)
FRAMES = 250
LEVELS_DB = np.array([-30.0, -24, -36, -27, -33, -24, -30, -38])
"""Of partials 1 to 8."""


def hertz(key: float) -> float:
    return 440 * 2 ** ((key - 69) / 12)


def tone(analysis: Analysis, pitch: float, levels_db: np.ndarray = LEVELS_DB) -> np.ndarray:
    """Power of a steady harmonic tone as a network predicts it: without a beat. (bands,)."""
    bins = np.arange(analysis.bands)
    power = np.zeros(analysis.bands)
    for p, level in enumerate(levels_db, 1):
        d = np.abs(bins - p * pitch * analysis.window / analysis.rate)
        with np.errstate(divide="ignore", invalid="ignore"):
            lobe = np.where(np.isclose(d, 1), 0.5, np.sinc(d) / (1 - d * d))
        power += np.where(d < 2, 10 ** (level / 20) * lobe, 0) ** 2
    return power


def frames_of(power: np.ndarray, frames: int = FRAMES) -> Tensor:
    """Log magnitudes (1, frames, bands) of a power that does not change."""
    levels = 0.5 * np.log(np.maximum(power, FLOOR**2))
    return torch.from_numpy(levels).float().expand(1, frames, -1)


def pitches(keys: dict[int, int], bend: float = 0.0, frames: int = FRAMES) -> Pitches:
    """Keys, each held for its first so many frames."""
    held = torch.zeros(1, frames, KEYS, dtype=torch.bool)
    for key, stop in keys.items():
        held[0, :stop, key - LOWEST_KEY] = True
    return Pitches(held, torch.full((1, frames), bend))


def play(analysis: Analysis, frames: Tensor, told: Pitches | None) -> np.ndarray:
    vocoder = SpectralVocoder(analysis)
    draws = torch.empty(1, frames.shape[1], 0)
    return vocoder.step(frames, vocoder.initial_state(1), draws, told)[0][0].numpy()


def levels_db(audio: np.ndarray, rate: int, pitch: float, count: int = 8) -> np.ndarray:
    """Amplitudes of partials 1 to count, dB: what a Hann window of all of audio says there."""
    window = np.hanning(len(audio))
    turns = np.outer(np.arange(1, count + 1), np.arange(len(audio))) * pitch / rate
    return 20 * np.log10(np.abs(np.exp(-2j * np.pi * turns) @ (audio * window)) * 2 / window.sum())


@pytest.mark.parametrize("analysis", [NARROW, WIDE, LONG], ids=["16k", "48k", "long window"])
@pytest.mark.parametrize(("key", "bend"), [(21, 0.0), (23, 0.0), (26, 0.0), (23, 1.5), (28, -4)])
def test_every_partial_of_a_low_key_comes_back_and_stays(analysis, key, bend):
    pitch = hertz(key + bend)
    heard = play(analysis, frames_of(tone(analysis, pitch)), pitches({key: FRAMES}, bend))
    # From half a second on, in three stretches, each of twelve periods or more.
    stretches = heard[analysis.rate // 2 :].reshape(-1)[: 3 * analysis.rate // 2]
    for stretch in np.split(stretches, 3):
        np.testing.assert_allclose(levels_db(stretch, analysis.rate, pitch), LEVELS_DB, atol=3)


def test_without_the_key_partials_are_lost():
    """What all of this is for."""
    frames = frames_of(tone(NARROW, hertz(23)))
    stretch = play(NARROW, frames, None)[NARROW.rate // 2 :]
    assert np.abs(levels_db(stretch, NARROW.rate, hertz(23)) - LEVELS_DB).max() > 12


def test_two_low_keys_keep_their_partials():
    power = tone(NARROW, hertz(24)) + tone(NARROW, hertz(31))
    heard = play(NARROW, frames_of(power), pitches({24: FRAMES, 31: FRAMES}))[NARROW.rate // 2 :]
    for key in (24, 31):
        # Where the other's partials lie within two bins, nobody knows whose level it is.
        alone = levels_db(heard, NARROW.rate, hertz(key))[[0]]
        np.testing.assert_allclose(alone, LEVELS_DB[[0]], atol=4)


def test_a_higher_key_keeps_its_own_bins():
    """A high key's partial stays as it is without a low key beside it."""
    low, high = tone(NARROW, hertz(26), LEVELS_DB - 20), tone(NARROW, hertz(62), LEVELS_DB[:1] + 10)
    heard = play(NARROW, frames_of(low + high), pitches({26: FRAMES, 62: FRAMES}))
    (level,) = levels_db(heard[NARROW.rate // 2 :], NARROW.rate, hertz(62), 1)
    assert abs(level - (LEVELS_DB[0] + 10)) < 1


def test_a_released_key_rings_on():
    """Its partials stay apart as long as they can be heard, and then it is forgotten."""
    falling = frames_of(tone(NARROW, hertz(23))) - 0.01 * torch.arange(FRAMES)[None, :, None]
    falling = falling.clamp(min=math.log(FLOOR))
    held, released = (play(NARROW, falling, pitches({23: n})) for n in (FRAMES, 50))
    assert np.array_equal(released, held)
    silence = torch.full((1, 30, NARROW.bands), math.log(FLOOR))
    vocoder = SpectralVocoder(NARROW)
    steps = torch.cat([falling[:, :50], silence], 1)
    told = pitches({23: 50}, frames=80)
    _, state = vocoder.step(steps, vocoder.initial_state(1), torch.empty(1, 80, 0), told)
    assert not state.strength.any()


def test_a_key_that_others_cover_is_forgotten_when_its_own_bins_fall():
    """The bass of a chord is released: what the chord holds up is not its."""
    chord = frames_of(tone(NARROW, hertz(48)), 60)
    both = frames_of(tone(NARROW, hertz(48)) + tone(NARROW, hertz(28)), 60)
    frames, told = torch.cat([both, chord], 1), pitches({28: 60, 48: 120}, frames=120)
    vocoder = SpectralVocoder(NARROW)
    _, state = vocoder.step(frames, vocoder.initial_state(1), torch.empty(1, 120, 0), told)
    assert not state.strength.any()


@pytest.mark.parametrize("keys", [(), (41, 60, 64), (108,)])
def test_without_a_low_key_not_a_bit_changes(keys):
    frames = frames_of(tone(NARROW, hertz(41)))
    told = pitches(dict.fromkeys(keys, FRAMES))
    assert np.array_equal(play(NARROW, frames, told), play(NARROW, frames, None))


@pytest.mark.parametrize("bend", [math.nan, math.inf, -math.inf, 1e9])
def test_no_bend_can_hurt(bend):
    heard = play(NARROW, frames_of(tone(NARROW, 60.0)), pitches({21: FRAMES, 60: FRAMES}, bend))
    assert np.isfinite(heard).all() and np.abs(heard).max() < 1


@pytest.mark.parametrize(
    ("held", "bend", "message"),
    [
        ((1, 4, 80), (1, 4), r"pitches.held: expected shape \(1, 4, 88\), got \(1, 4, 80\)"),
        ((1, 3, 88), (1, 4), "pitches.held"),
        ((1, 4, 88), (1, 3), r"pitches.bend: expected shape \(1, 4\), got \(1, 3\)"),
    ],
)
def test_pitches_of_another_shape_are_refused(held, bend, message):
    vocoder = SpectralVocoder(NARROW)
    told = Pitches(torch.zeros(held, dtype=torch.bool), torch.zeros(bend))
    frames, draws = torch.zeros(1, 4, NARROW.bands), torch.empty(1, 4, 0)
    with pytest.raises(ValueError, match=message):
        vocoder.step(frames, vocoder.initial_state(1), draws, told)
