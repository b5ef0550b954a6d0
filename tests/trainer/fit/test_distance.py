"""What counts in a recording, and what its noise is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from synth.mel import log_mel
from tests.toy_bank import ANALYSIS
from trainer.fit.distance import DB, listen, mean_distance, with_noise
from trainer.fit.recording import Recording

RATE = ANALYSIS.rate


def recorded(audio: np.ndarray, top: float = RATE / 2) -> tuple[Recording, torch.Tensor]:
    audio = audio.astype(np.float32)
    return Recording(audio, RATE, top, "a", "", 0.0), log_mel(torch.from_numpy(audio), ANALYSIS)


def test_a_gain_is_a_distance_in_decibels():
    random = np.random.default_rng(0)
    recording, mel = recorded(0.3 * random.normal(size=RATE))
    ear = listen(mel, recording, ANALYSIS)
    assert float(mean_distance(ear.ours(mel), ear.theirs(mel))) == pytest.approx(0, abs=1e-4)
    # Noise lies far above what is too quiet to count.
    away = mean_distance(ear.ours(mel, 6.0), ear.theirs(mel))
    assert float(away) == pytest.approx(6.0, abs=0.1)


def test_what_is_softer_by_far_does_not_count():
    time = np.arange(RATE) / RATE
    loud = 0.5 * np.sin(2 * np.pi * 300 * time)
    recording, mel = recorded(loud)
    ear = listen(mel, recording, ANALYSIS)
    _, hissing = recorded(loud + 1e-5 * np.random.default_rng(0).normal(size=RATE))
    assert float(mean_distance(ear.ours(hissing), ear.theirs(mel))) < 0.1


def test_bands_that_a_file_cannot_hold_are_left_out():
    recording, mel = recorded(np.random.default_rng(0).normal(size=RATE), top=4_000)
    ear = listen(mel, recording, ANALYSIS)
    assert 0 < int(ear.bands.sum()) < ANALYSIS.mels
    assert ear.theirs(mel).shape[1] == int(ear.bands.sum())


def test_the_noise_of_a_room_is_heard_where_nothing_is_played(score):
    random = np.random.default_rng(0)
    hiss = 0.01 * random.normal(size=12 * RATE)
    time = np.arange(8 * RATE) / RATE
    audio = hiss.copy()
    audio[: 8 * RATE] += 0.5 * np.sin(2 * np.pi * 500 * time)
    recording, mel = recorded(audio)
    ear = with_noise(listen(mel, recording, ANALYSIS), mel, score, 0)
    _, alone = recorded(hiss)
    wanted = (2 * alone).exp().median(0).values
    level = DB / 2 * (ear.noise[1:-1] / wanted[1:-1]).log()
    assert float(level.abs().max()) < 2.0
    # Silence of ours then sounds as the room does.
    silence = torch.full_like(alone, math.log(1e-5))
    assert float(mean_distance(ear.ours(silence), ear.theirs(alone))) < 3.0
    assert not with_noise(listen(mel, recording, ANALYSIS), mel[:500], score, 0).noise.any()
