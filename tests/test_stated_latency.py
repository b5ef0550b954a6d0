"""What the device sink states is how long notes wait: feed, playout, resampler and clock as
they are, on a clock that stands still but for what this file does.

The device comes for a buffer every so many samples, the renderer takes a fixed time for a
block; notes arrive evenly. How long each waits follows from where the engine's clock puts it
and when the device plays that very sample.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from daw_bridge.clock import AudioClock
from synth.output.feed import Feed
from synth.output.playout import Playout
from synth.output.resample import Resampler
from synth.output.ring import Ring

ENGINE_RATE = 16_000
BLOCK = 128
FINE = SimpleNamespace(output_underflow=False)
SPARE_MS = 10.0
SECONDS = 20.0
SETTLED_S = 14.0
"""The clock's line, raised by the first burst of blocks, sinks with a time constant of 2 s."""


class Bench:
    """A device that takes `buffer` samples at `rate` Hz each, and one render thread."""

    def __init__(self, rate: int, buffer: int, spare_ms: float, render_s: float) -> None:
        self.now = 0.0
        self.buffer, self.render_s = buffer, render_s
        self.playout = Playout(Ring(rate), rate, 1, clock=lambda: self.now)
        self.feed = Feed(self.playout, round(rate * spare_ms / 1000))
        self.resampler = Resampler(ENGINE_RATE, rate)
        self.clock = AudioClock(ENGINE_RATE)
        self.buffers: list[tuple[float, int]] = []
        """When each buffer was taken, and the first sample of the ring that it holds."""
        self.notes: list[tuple[float, int]] = []
        """When each note arrived, and the engine's sample that the clock gave it."""
        self._out = np.zeros((buffer, 2), np.float32)
        self._due = self._note_at = 0.0
        self._blocks = 0

    def go_to(self, time: float) -> None:
        """Let time pass; the device comes when it is due, and notes every 1.7 ms."""
        while min(self._due, self._note_at) <= time:
            self.now = min(self._due, self._note_at)
            if self._note_at < self._due:
                self.notes.append((self.now, self.clock.samples_at(self.now)))
                self._note_at += 1.7e-3
            else:
                self.buffers.append((self.now, self.playout.ring.read))
                self.playout.callback(self._out, self.buffer, None, FINE)
                self._due += self.buffer / self.playout.rate
        self.now = time

    def play(self, seconds: float) -> None:
        """Render and write one block after the other, as the server does."""
        end, underruns = self.now + seconds, self.playout.underruns
        while self.now < end:
            if self.playout.underruns != underruns:
                underruns = self.playout.underruns
                self.clock.stall()
            self.clock.tick(self._blocks * BLOCK, self.now)
            self._blocks += 1
            self.go_to(self.now + self.render_s)
            self.feed.begin(self.resampler.step(np.ones((BLOCK, 2), np.float32)))
            while not self.feed.go_on():
                if not self.playout.wait(0):
                    self.go_to(self._due)

    def waited_ms(self) -> float:
        """How long notes waited on average, since the clock has settled.

        Sample n of the ring belongs to the engine's n / rate, and is played as far after its
        buffer was taken as it lies within it.
        """
        last = self.buffers[-1][1]
        taken, first = np.array(self.buffers).T
        arrived, engine = np.array(self.notes).T
        sample = engine * self.playout.rate / ENGINE_RATE
        kept = (arrived > SETTLED_S) & (sample < last)
        held_by = np.searchsorted(first, sample, side="right") - 1
        played = taken[held_by] + (sample - first[held_by]) / self.playout.rate
        return 1000 * float((played - arrived)[kept].mean())

    def stated_ms(self) -> float:
        """The block that a note waits for, and what the sink states."""
        block_ms = 1000 * BLOCK / ENGINE_RATE
        return block_ms + self.resampler.latency_ms + 1000 * self.feed.latency_s


def played(rate: int, buffer: int, render_ms: float, gaps: int) -> Bench:
    bench = Bench(rate, buffer, SPARE_MS, render_ms / 1000)
    bench.play(2.0)
    if gaps:
        bench.go_to(bench.now + 0.25)
    bench.play(SECONDS)
    assert bench.playout.underruns == gaps
    return bench


@pytest.mark.parametrize(
    ("rate", "buffer", "render_ms"),
    [
        (48_000, 64, 1.5),
        (48_000, 384, 1.5),
        (48_000, 512, 0.0),
        (48_000, 1_024, 1.5),
        (44_100, 256, 1.5),
        (44_100, 441, 0.0),
        (44_100, 1_024, 1.5),
        (16_000, 128, 0.0),
        (16_000, 480, 1.5),
    ],
)
@pytest.mark.parametrize("gaps", [0, 1])
def test_notes_wait_as_long_as_is_stated(rate, buffer, render_ms, gaps):
    bench = played(rate, buffer, render_ms, gaps)
    # Where the early edge is met seldom, the clock's line sinks a little in between.
    assert bench.stated_ms() == pytest.approx(bench.waited_ms(), abs=0.7)


@pytest.mark.parametrize(("gaps", "room"), [(0, 48), (1, 96)])
def test_what_of_the_ring_is_never_filled_is_not_stated(gaps, room):
    """Blocks of 384 and buffers of 256: the least room left is the ring's modulo 128.

    At the start the resampler keeps back its 720 samples, which move the blocks' ends by 80.
    """
    bench = played(48_000, 256, 1.5, gaps)
    reserve = 256 + 480
    assert reserve % 128 == 96 and (reserve + 720) % 128 == 48
    stated_ms = 1000 * (reserve + 256 - room) / 48_000
    assert 1000 * bench.feed.latency_s == pytest.approx(stated_ms)
    assert bench.stated_ms() == pytest.approx(bench.waited_ms(), abs=0.02)


def test_before_any_sound_a_full_ring_is_stated():
    bench = Bench(48_000, 256, SPARE_MS, 0.0)
    bench.go_to(0.01)
    bench.feed.begin(np.ones((384, 2), np.float32))
    assert bench.feed.go_on()
    assert bench.feed.latency_s == pytest.approx((256 + 480 + 256) / 48_000)
