"""Wall time in, samples out: constant delay, no steps back, timetags where they belong."""

from __future__ import annotations

import random
import time

import pytest

from daw_bridge.clock import NTP_EPOCH_S, AudioClock, seconds_until

RATE = 16_000
BLOCK = 256
PERIOD = BLOCK / RATE


def ticking(clock: AudioClock, blocks: int, jitter=lambda k: 0.0, start: float = 100.0):
    """Tick at start + k periods + jitter(k); yields (samples, wall) after each tick."""
    for k in range(blocks):
        wall = start + k * PERIOD + jitter(k)
        clock.tick(k * BLOCK, wall)
        yield k * BLOCK, wall


def test_before_the_first_tick_everything_belongs_to_the_start():
    clock = AudioClock(RATE)
    assert clock.samples_at(1e6) == 0
    assert clock.now() == 0


def test_an_event_lands_in_the_next_block_as_far_in_as_it_came():
    clock = AudioClock(RATE)
    *_, (samples, wall) = ticking(clock, 10)
    for way in (0.0, 0.25, 0.5, 0.99):
        expected = samples + BLOCK + way * BLOCK
        assert clock.samples_at(wall + way * PERIOD) == pytest.approx(expected, abs=1)


def test_jittery_ticks_give_even_stamps_none_of_them_late():
    draw = random.Random(1)
    clock = AudioClock(RATE)
    delays, late = [], 0
    for samples, wall in ticking(clock, 2000, lambda k: draw.uniform(0, 0.5) * PERIOD):
        if samples < 200 * BLOCK:
            continue
        # The next tick may come half a period early: until then this is the block to meet.
        asked = wall + draw.uniform(0, 0.5) * PERIOD
        stamp = clock.samples_at(asked)
        late += stamp < samples + BLOCK
        delays.append(stamp / RATE - (asked - 100.0))
    assert late == 0
    # The ticks vary by half a period, each by chance; the stamps by a fifth of that.
    assert max(delays) - min(delays) < 0.1 * PERIOD


def test_bursts_of_blocks_are_as_even_as_single_ones():
    clock = AudioClock(RATE)
    delays = []
    # A device that asks for four blocks at a time: four ticks together, then a pause.
    for samples, wall in ticking(clock, 2000, lambda k: -(k % 4) * PERIOD):
        if samples >= 400 * BLOCK and samples % (4 * BLOCK) == 3 * BLOCK:
            for way in (0.1, 1.9, 3.9):
                stamp = clock.samples_at(wall + way * PERIOD)
                assert stamp >= samples + BLOCK
                delays.append(stamp / RATE - (wall + way * PERIOD))
    assert max(delays) - min(delays) < 0.05 * PERIOD


def test_a_drifting_device_is_followed():
    clock = AudioClock(RATE)
    fast = 1.001  # ten times worse than real crystals
    for k in range(20_000):
        clock.tick(k * BLOCK, 5.0 + k * PERIOD * fast)
    belongs = 20_000 * BLOCK
    assert clock.samples_at(5.0 + 19_999 * PERIOD * fast) == pytest.approx(
        belongs, abs=0.003 * RATE
    )


@pytest.mark.parametrize("drift", [-2e-4, 2e-4])
def test_a_device_that_drifts_for_an_hour_keeps_every_timetag_within_a_millisecond(drift):
    """Twice as far off as real crystals are, which is 0.7 s in the hour."""
    draw = random.Random(3)
    clock = AudioClock(RATE)
    worst = 0.0
    for k in range(int(3600 / PERIOD)):
        due = k * PERIOD * (1 + drift)
        clock.tick(k * BLOCK, due + draw.uniform(0, 0.05) * PERIOD)
        if k % 500 == 499:
            off = clock.samples_at(due + PERIOD / 2) / BLOCK - (k + 1.5)
            worst = max(worst, abs(off) * PERIOD)
    assert worst < 0.001


def test_after_a_stall_the_line_starts_anew():
    clock = AudioClock(RATE)
    *_, (samples, wall) = ticking(clock, 50)
    clock.tick(samples + BLOCK, wall + 1.0)
    assert clock.samples_at(wall + 1.0) == samples + 2 * BLOCK


def test_a_short_stall_is_forgotten_within_seconds():
    clock = AudioClock(RATE)
    stalled = 0.1
    for samples, wall in ticking(clock, 1000, lambda k: stalled if k >= 50 else 0.0):
        if samples == 50 * BLOCK:
            assert clock.samples_at(wall) - (samples + BLOCK) == pytest.approx(0.1 * RATE, abs=1)
    assert clock.samples_at(wall) - (samples + BLOCK) < 0.001 * RATE


def test_after_a_break_in_the_sound_the_delay_is_at_once_what_it_was():
    late = 0.1
    for told, left in ((False, late), (True, 0.0)):
        clock = AudioClock(RATE)
        *_, (samples, wall) = ticking(clock, 50)
        if told:
            clock.stall()
        samples, wall = samples + BLOCK, wall + PERIOD + late
        clock.tick(samples, wall)
        waits = (clock.samples_at(wall) - samples - BLOCK) / RATE
        assert waits == pytest.approx(left, abs=0.01)


def test_stamps_never_run_backwards_between_ticks():
    draw = random.Random(2)
    clock = AudioClock(RATE)
    clock.tick(0, 0.0)
    wall, samples, last = 0.0, 0, 0
    for _ in range(5000):
        step = draw.uniform(0.2, 1.8) * PERIOD
        for way in (0.0, 0.3, 1.0):
            stamp = clock.samples_at(wall + way * step)
            assert stamp >= last
            last = stamp
        wall, samples = wall + step, samples + BLOCK
        clock.tick(samples, wall)


def test_now_never_runs_backwards_even_over_a_stall():
    clock = AudioClock(RATE)
    before = time.perf_counter()
    clock.tick(0, before)
    clock.tick(BLOCK, before + PERIOD)
    asked = clock.now()
    clock.tick(2 * BLOCK, time.perf_counter() + 30.0)  # stalled: the line is behind `asked`
    assert clock.now() >= asked


def test_now_always_lands_in_a_block_not_yet_begun():
    clock = AudioClock(RATE)
    clock.tick(0, time.perf_counter())
    # A listener read the time before the tick that it now meets: the tick lies ahead.
    clock.tick(BLOCK, time.perf_counter() + 10.0)
    assert clock.now() >= 2 * BLOCK


def test_without_ticks_now_stands_still():
    clock = AudioClock(RATE)
    clock.tick(0, time.perf_counter() - 3600)
    assert clock.now() == pytest.approx(0.2 * RATE, abs=1)
    assert clock.samples_at(time.perf_counter()) >= 3600 * RATE


def test_timetags_land_where_their_wall_time_does():
    clock = AudioClock(RATE)
    clock.tick(0, time.perf_counter())
    before = time.perf_counter()
    timetag = round((time.time() + 2.5 + NTP_EPOCH_S) * 2**32)
    stamp = clock.samples_at_ntp(timetag)
    after = time.perf_counter()
    assert clock.samples_at(before + 2.5) - 1 <= stamp <= clock.samples_at(after + 2.5) + 1


@pytest.mark.parametrize(
    "ahead, taken", [(2.5, 2.44), (0.07, 0.01), (0.05, 0.0), (0.0, 0.0), (-0.5, -0.5)]
)
def test_a_lead_takes_early_what_comes_early_enough(ahead, taken):
    """Heard at its timetag if it can be, else as soon as it can; what has passed stays late."""
    clock = AudioClock(RATE)
    clock.lead_s = lambda: 0.06
    clock.tick(0, time.perf_counter())
    before = time.perf_counter()
    stamp = clock.samples_at_ntp(round((time.time() + ahead + NTP_EPOCH_S) * 2**32))
    after = time.perf_counter()
    slack = 2e-3 * RATE
    low, high = (clock.samples_at(wall + taken) for wall in (before, after))
    assert low - slack <= stamp <= high + slack


def test_timetags_survive_the_end_of_the_ntp_era(monkeypatch):
    """In February 2036, where the seconds start again from 0."""
    end = 2**32 - NTP_EPOCH_S
    for now in (end - 1, end + 30 * 365 * 86_400):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        for ahead in (2.5, 50_000, -5):
            timetag = round((now + ahead + NTP_EPOCH_S) * 2**32) % 2**64
            assert seconds_until(timetag) == pytest.approx(ahead, abs=1e-3)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_must_be_positive(rate):
    with pytest.raises(ValueError, match="rate"):
        AudioClock(rate)
