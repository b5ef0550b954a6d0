from __future__ import annotations

import signal
import threading

import numpy as np
import pytest

from synth.output.sinks import ClockSink
from tests.waiting import PATIENCE_S

BLOCK = np.zeros((128, 2), np.float32)
RATE = 16_000


class HandClock:
    """A clock moved by hand, whose waits oversleep by `late` seconds."""

    def __init__(self, late: float = 0.0) -> None:
        self.now = 1_000.0
        self.late = late

    def read(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds + self.late
        return False


def started(clock: HandClock, spare_ms: float = 10.0) -> ClockSink:
    sink = ClockSink(RATE, clock.read, clock.wait, spare_ms)
    sink.start()
    return sink


@pytest.mark.parametrize("late", [0.0, 0.0049])
def test_blocks_are_paced_from_the_start_so_that_lateness_does_not_add_up(late):
    clock = HandClock(late)
    sink, begun = started(clock), clock.now
    for n in range(1_000):
        assert sink.write(BLOCK)
        due = n * len(BLOCK) / RATE
        assert due - 1e-9 <= clock.now - begun <= due + late + 1e-9
    assert sink.underruns == 0


@pytest.mark.parametrize(("spare_ms", "reserve_s"), [(0, len(BLOCK) / RATE), (20, 0.020)])
def test_a_block_within_the_reserve_is_caught_up_and_a_later_one_is_an_underrun(
    spare_ms, reserve_s
):
    clock = HandClock()
    sink, block_s = started(clock, spare_ms), len(BLOCK) / RATE
    sink.write(BLOCK)
    assert sink.latency_ms == pytest.approx(1000 * reserve_s)
    late = 0.99 * reserve_s
    clock.now += late
    stalled = clock.now
    sink.write(BLOCK)
    assert sink.underruns == 0
    assert clock.now == pytest.approx(stalled + max(block_s - late, 0))
    for _ in range(3):
        sink.write(BLOCK)
    assert clock.now == pytest.approx(stalled - late + 4 * block_s)
    clock.now += 1.01 * reserve_s
    stalled = clock.now
    sink.write(BLOCK)
    assert (sink.underruns, clock.now) == (1, stalled)
    sink.write(BLOCK)
    assert sink.underruns == 1
    assert clock.now == pytest.approx(stalled + block_s)


def test_a_real_wait_ends_when_another_thread_stops_it():
    hour = np.zeros((RATE * 3_600, 1), np.float32)
    with ClockSink(RATE) as sink:
        assert sink.active
        assert sink.write(hour)
        answers = []
        writer = threading.Thread(target=lambda: answers.append(sink.write(hour)))
        writer.start()
        sink.stop()
        writer.join(PATIENCE_S)
        assert answers == [False]
        assert not sink.active


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer to be interrupted by")
def test_a_signal_may_stop_the_thread_that_waits():
    """At any moment of its wait, as Ctrl-C does: it must not wait for itself."""
    stopped = 0
    now = ClockSink(RATE)
    before = signal.signal(signal.SIGALRM, lambda *_: now.stop())
    try:
        for n in range(1_000):
            with now:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + n * 1e-6)
                while now.write(BLOCK[:2]):
                    pass
                stopped += 1
            now = ClockSink(RATE)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert stopped == 1_000


def test_takes_nothing_before_its_start_or_after_its_close():
    sink = ClockSink(RATE)
    assert not sink.write(BLOCK)
    with sink:
        assert sink.write(BLOCK)
    assert not sink.write(BLOCK)
    sink.close()


def test_describes_itself_and_its_rates():
    sink = ClockSink(RATE)
    assert (sink.rate, sink.engine_rate, sink.latency_ms, sink.fault) == (RATE, RATE, 10.0, None)
    assert sink.describe() == "no device: paced by the system's clock at 16000 Hz"
