"""The real callback, fed by hand with arrays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from synth.output.playout import FADE_MS, Playout
from synth.output.ring import Ring

RATE = 48_000
FADE = round(RATE * FADE_MS / 1000)
FINE = SimpleNamespace(output_underflow=False)
"""PortAudio's status when nothing is wrong."""
STEEPEST = 2 * np.pi * 440 / RATE + 2 * (np.pi / 2) / FADE
"""No step of the sine, a rise and a fall together can be larger."""


def sine(start: int, stop: int) -> np.ndarray:
    wave = np.sin(2 * np.pi * 440 * np.arange(start, stop) / RATE).astype(np.float32)
    return np.stack([wave, -wave], 1)


def player(reserve: int = 1) -> Playout:
    return Playout(Ring(RATE), RATE, reserve)


def pull(playout: Playout, samples: int) -> np.ndarray:
    out = np.full((samples, playout.ring.channels), np.nan, np.float32)
    playout.callback(out, samples, None, FINE)
    return out


def test_sound_rises_once_and_then_passes_untouched():
    playout = player()
    playout.ring.write(sine(0, 2_000))
    out = np.concatenate([pull(playout, size) for size in (50, 450, 500, 1_000)])
    np.testing.assert_array_equal(out[FADE:], sine(0, 2_000)[FADE:])
    assert (np.abs(out[:FADE]) <= np.abs(sine(0, FADE))).all()
    assert (playout.underruns, playout.faults, playout.asked, playout.largest) == (0, 0, 2000, 1000)


@pytest.mark.parametrize("buffer", [1, 16, 100, 512])
@pytest.mark.parametrize("sounding", [1, 27, 137, 512, 1_000])
@pytest.mark.parametrize("gap", [1, 30, 700])
def test_a_gap_is_counted_once_and_never_clicks(buffer, sounding, gap):
    playout, heard, sent = player(), [np.zeros((1, 2), np.float32)], 0
    for length in (sounding, sounding, 3_000):
        playout.ring.write(sine(sent, sent + length))
        sent += length
        while playout.ring.filled >= buffer:
            heard.append(pull(playout, buffer))
        before = playout.underruns
        for _ in range(-(-gap // buffer)):
            heard.append(pull(playout, buffer))
        assert playout.underruns - before <= 1
    for _ in range(-(-FADE // buffer) + 1):
        heard.append(pull(playout, buffer))
    out = np.concatenate(heard)
    assert np.abs(np.diff(out, axis=0)).max() <= STEEPEST
    assert not heard[-1].any()
    assert playout.silent
    assert 1 <= playout.underruns <= 3
    assert playout.faults == 0


def test_a_gap_falls_to_silence_within_the_fade():
    playout = player()
    playout.ring.write(np.ones((1_000, 2), np.float32))
    out = np.concatenate([pull(playout, 256) for _ in range(6)])
    assert (out[FADE:1_000] == 1).all()
    assert (np.diff(out[1_000 : 1_000 + FADE], axis=0) <= 0).all()
    assert (out[1_000 : 1_000 + FADE // 2] > 0.4).all()
    assert not out[1_000 + FADE :].any()
    assert playout.underruns == 1


def test_sound_waits_for_the_reserve_at_the_start_and_after_a_gap():
    playout = player(reserve=300)
    playout.ring.write(sine(0, 299))
    assert not pull(playout, 64).any()
    playout.ring.write(sine(299, 300))
    assert pull(playout, 64).any()
    assert playout.underruns == 0
    pull(playout, 300)
    assert playout.underruns == 1
    playout.ring.write(sine(300, 400))
    pull(playout, 256)
    assert playout.ring.filled == 100
    playout.ring.write(sine(400, 600))
    pull(playout, 64)
    assert playout.ring.filled == 236


def test_a_buffer_larger_than_the_reserve_waits_for_a_whole_one():
    playout = player(reserve=10)
    playout.ring.write(sine(0, 500))
    assert not pull(playout, 512).any()
    playout.ring.write(sine(500, 512))
    assert pull(playout, 512).any()
    assert playout.underruns == 0


def test_muting_fades_and_is_no_underrun():
    playout = player()
    playout.ring.write(np.ones((4_096, 2), np.float32))
    pull(playout, 512)
    playout.mute()
    out = np.concatenate([[[1, 1]], pull(playout, 100), pull(playout, 412)])
    assert np.abs(np.diff(out, axis=0)).max() <= STEEPEST
    assert not out[1 + FADE :].any()
    assert playout.silent
    assert playout.underruns == 0


def test_the_callback_raises_nothing_and_counts():
    playout = player()
    out = np.full((64, 3), np.nan, np.float32)
    playout.callback(out, 64, None, FINE)
    assert not out.any()
    assert playout.faults == 1
    playout.callback(out[:, :2], 64, None, SimpleNamespace(output_underflow=True))
    assert playout.device_gaps == 1
    assert playout.faults == 1


def test_each_buffer_wakes_the_writer_once_even_one_that_failed():
    playout = player()
    assert not playout.wait(0)
    pull(playout, 64)
    pull(playout, 64)
    assert playout.wait(0)
    assert not playout.wait(0)
    playout.callback(np.zeros((64, 3), np.float32), 64, None, FINE)
    assert playout.faults == 1
    assert playout.wait(0)


def test_a_waiting_writer_is_woken_by_another_thread():
    playout = player()
    with ThreadPoolExecutor() as pool:
        woken = pool.submit(playout.wait, 60)
        pull(playout, 64)
        assert woken.result(60)


def test_how_far_the_writer_is_ahead_of_what_the_device_plays():
    now = [5.0]
    playout = Playout(Ring(RATE), RATE, reserve=300, clock=lambda: now[0])
    playout.ring.write(sine(0, 299))
    pull(playout, 100)
    assert playout.ahead_s is None
    playout.ring.write(sine(299, 480))
    pull(playout, 100)
    # The device plays sample 0 now; 480 is written next.
    assert playout.ahead_s == pytest.approx(0.010)
    now[0] += 0.001
    assert playout.ahead_s == pytest.approx(0.009)
    playout.ring.write(sine(480, 528))
    assert playout.ahead_s == pytest.approx(0.010)
    pull(playout, 100)
    assert playout.ahead_s == pytest.approx((528 - 100) / RATE)
    pull(playout, 400)
    assert playout.underruns == 1
    assert playout.ahead_s is None
