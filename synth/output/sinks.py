"""Where sound goes: one small interface, and the sink without a device.

The render loop renders a block and gives it to `write`, which returns when there is room
for the next one: so a sink paces the engine, be it by a device's clock or the system's.
Blocks are what the engine mixes, limited already (`synth.limiter`); a sink brings them to
its device's rate, and alters nothing else.

    with sink:
        while not stop.is_set() and sink.write(engine.render(...)):
            pass
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

SPARE_MS = 10.0
"""How late the renderer may be by default: a frame of 8 ms, and what a system takes to wake it."""


class Sink(ABC):
    """A place for blocks of samples.

    engine_rate: Hz of the blocks it takes. rate: Hz of what comes out. latency_ms: how
    long after `write` takes a sample it is heard; port_ms: when it comes out of our own port
    to a sound server, which states itself what lies behind it. underruns: gaps in the sound so far;
    xruns: those that the sound server made for all its programs, besides. active: whether it takes
    sound now. is_device: whether somebody may hear it. fault: one line on what is wrong now, else
    None. failed: whether something that was asked for is lost for good.
    """

    engine_rate: int
    is_device = True

    @property
    def failed(self) -> bool:
        return False

    @property
    def fault(self) -> str | None:
        return None

    @property
    @abstractmethod
    def rate(self) -> int: ...

    @property
    @abstractmethod
    def latency_ms(self) -> float: ...

    @property
    def port_ms(self) -> float:
        return self.latency_ms

    @property
    @abstractmethod
    def underruns(self) -> int: ...

    @property
    def xruns(self) -> int:
        return 0

    @property
    @abstractmethod
    def active(self) -> bool: ...

    @abstractmethod
    def describe(self) -> str:
        """One line for the player: which device, which rate, how late."""

    @abstractmethod
    def start(self) -> None:
        """Begin to take sound. A sink is started once."""

    @abstractmethod
    def write(self, block: Samples) -> bool:
        """Take block, float32 at engine_rate, and wait until it fits.

        block (samples, 2), or (samples, 34) with a pair for each part besides (pairs.py).

        Returns whether it was taken: False after `stop`, `close` or a fault, then at once.
        The block may be reused when this returns. Called by one thread.
        """

    @abstractmethod
    def stop(self) -> None:
        """Make a waiting `write`, and every later one, return False. From any thread."""

    @abstractmethod
    def close(self) -> None:
        """Stop, and let the device or file go. Safe to call twice, or without a start."""

    def __enter__(self) -> Sink:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SinkAround(Sink):
    """Hands everything on to `sink`: for sinks that do something besides.

    Rate, latency, underruns, activity and fault are those of `sink`, which is started, stopped
    and closed with it.
    """

    def __init__(self, sink: Sink) -> None:
        self.engine_rate = sink.engine_rate
        self.is_device = sink.is_device
        self._sink = sink

    @property
    def rate(self) -> int:
        return self._sink.rate

    @property
    def latency_ms(self) -> float:
        return self._sink.latency_ms

    @property
    def port_ms(self) -> float:
        return self._sink.port_ms

    @property
    def underruns(self) -> int:
        return self._sink.underruns

    @property
    def xruns(self) -> int:
        return self._sink.xruns

    @property
    def active(self) -> bool:
        return self._sink.active

    @property
    def fault(self) -> str | None:
        return self._sink.fault

    @property
    def failed(self) -> bool:
        return self._sink.failed

    def describe(self) -> str:
        return self._sink.describe()

    def start(self) -> None:
        self._sink.start()

    def write(self, block: Samples) -> bool:
        return self._sink.write(block)

    def stop(self) -> None:
        self._sink.stop()

    def close(self) -> None:
        self._sink.close()


class ClockSink(Sink):
    """No device: takes sound as fast as it would be played, by the system's clock.

    It stands for a device that plays sample by sample out of a reserve: `write` returns when
    the reserve is full, and the next block must come before it is played empty. Sample n is
    due n / engine_rate seconds after the first, counted from the start, so late wake-ups do
    not add up. After an underrun the clock starts again, with a full reserve.

    spare_ms: the reserve, as a device's; at least one block's length.
    clock: seconds from a monotonic clock. wait: waits up to so many seconds, less when the
    sink is stopped; None for a real wait. Tests give both.
    """

    is_device = False

    def __init__(
        self,
        engine_rate: int,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
        spare_ms: float = SPARE_MS,
    ) -> None:
        self.engine_rate = engine_rate
        self._spare = round(engine_rate * spare_ms / 1000)
        self._clock = clock
        self._wait = wait or self._wait_for_bell
        self._started = self._stopped = False
        self._bell = threading.Lock()
        """Locked until stopped. Not an event: a signal may stop the very thread that waits."""
        self._bell.acquire()
        self._underruns = 0
        self._anchor: float | None = None
        """When the first sample since the last underrun is played; None before any."""
        self._taken = 0
        """Samples taken since the anchor."""
        self._reserve = self._spare
        """Samples it holds when full."""

    @property
    def rate(self) -> int:
        return self.engine_rate

    @property
    def latency_ms(self) -> float:
        return 1000 * self._reserve / self.engine_rate

    @property
    def underruns(self) -> int:
        return self._underruns

    @property
    def active(self) -> bool:
        return self._started and not self._stopped

    def describe(self) -> str:
        return f"no device: paced by the system's clock at {self.engine_rate} Hz"

    def start(self) -> None:
        self._started = True

    def write(self, block: Samples) -> bool:
        self._reserve = max(self._spare, len(block))
        reserve_s, length_s = self._reserve / self.engine_rate, len(block) / self.engine_rate
        now = self._clock()
        if self._anchor is None or now > self._anchor + self._taken / self.engine_rate:
            self._underruns += self._anchor is not None
            self._anchor, self._taken = now + reserve_s - length_s, 0
        # From here on the block is there to be played, piece by piece as room comes.
        while self.active:
            held_s = self._anchor + self._taken / self.engine_rate + length_s - self._clock()
            early = held_s - reserve_s
            if early * self.engine_rate < 0.5:
                self._taken += len(block)
                return True
            self._wait(early)
        return False

    def stop(self) -> None:
        self._stopped = True
        with suppress(RuntimeError):  # it has rung already
            self._bell.release()

    def close(self) -> None:
        self.stop()

    def _wait_for_bell(self, seconds: float) -> None:
        self._bell.acquire(timeout=seconds)
