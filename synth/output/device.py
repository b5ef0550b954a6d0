"""The sound card: blocks in, resampled, through a ring, out of PortAudio's callback.

The render thread writes (feed.py); the callback (playout.py) only copies, and wakes
the writer. How much the ring is let fill decides both the latency and how late the renderer
may be.

A sound server that dies (jackd, say) leaves its stream inactive, and PortAudio then hangs in
stop, abort, close and terminate. So the stream is watched while writing, and closed by a
thread that can be left behind.
"""

from __future__ import annotations

import logging
import threading
import time
from types import ModuleType
from typing import Protocol

import numpy as np

from synth.output.feed import Feed
from synth.output.playout import FADE_MS, Playout
from synth.output.portaudio import (
    OutputDevice,
    choose_rate,
    find_device,
    leave_portaudio,
    load_portaudio,
)
from synth.output.resample import Resampler
from synth.output.ring import Ring, Samples
from synth.output.sinks import SPARE_MS, Sink

RING_MS = 1_000
"""Storage, not latency: more than any device asks for at once."""

STALLED_S = 2.0
"""A device that asks for nothing for so long is gone, though it may claim to be active."""

LOOK_S = 0.02
"""How often a writer whom no buffer wakes looks whether it is to stop, or the device gone."""

CLOSE_S = 2.0
"""How long a stream may take to close before it is left behind."""

_log = logging.getLogger(__name__)


class OutputStream(Protocol):
    """What is used of sounddevice's stream. latency: seconds behind the callback."""

    @property
    def active(self) -> bool: ...

    @property
    def latency(self) -> float: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


class DeviceSink(Sink):
    """Plays on an output device, at the rate the device likes.

    engine_rate: Hz of the blocks written. device: "auto" (the system's default), an index,
    or a name or part of one. rate: Hz to open it at; None for its default. spare_ms: how
    late the renderer may be before the sound breaks; at least one block is kept.

    The device is looked up here and opened by `start`. A device with one channel gets the
    mean of left and right. Raises OSError if PortAudio is missing or the device will not
    open, ValueError for an unknown device or a rate it does not take; each says in one
    line what would work.
    """

    def __init__(
        self,
        engine_rate: int,
        device: str | int = "auto",
        rate: int | None = None,
        spare_ms: float = SPARE_MS,
    ) -> None:
        self.engine_rate = engine_rate
        self._portaudio: ModuleType = load_portaudio()
        self._device: OutputDevice = find_device(self._portaudio, device)
        self._rate = choose_rate(self._portaudio, self._device, rate)
        self._channels = min(2, self._device.channels)
        self._resampler = Resampler(engine_rate, self._rate, self._channels)
        spare = round(self._rate * spare_ms / 1000)
        ring = Ring(self._rate * RING_MS // 1000, self._channels)
        self._playout = Playout(ring, self._rate, reserve=max(1, spare))
        self._feed = Feed(self._playout, spare)
        self._stream: OutputStream | None = None
        self._fault: str | None = None
        self._lock = threading.Lock()
        """Held to use or take away the stream: a closed one must not be asked anything."""
        self._stopped = False

    @property
    def rate(self) -> int:
        return self._rate

    @property
    def latency_ms(self) -> float:
        """Resampler, ring, the device's buffer and what lies behind it.

        At most so much before sound was played, then as the last blocks went (feed.py).
        """
        with self._lock:
            behind_s = self._stream.latency if self._stream else 0.0
        if self._device.host.startswith("JACK"):
            # PortAudio takes one buffer off what JACK states.
            behind_s += self._playout.largest / self._rate
        return self._resampler.latency_ms + 1000 * (self._feed.latency_s + behind_s)

    @property
    def underruns(self) -> int:
        """Gaps because the renderer was late, or the system was, or the callback failed."""
        return self._playout.underruns + self._playout.device_gaps + self._playout.faults

    @property
    def fault(self) -> str | None:
        return self._fault

    @property
    def active(self) -> bool:
        if self._stopped or self.fault is not None:
            return False
        with self._lock:
            return self._stream is not None and self._stream.active

    def describe(self) -> str:
        resampled = "" if self._rate == self.engine_rate else f" from {self.engine_rate}"
        return (
            f"{self._device.name} ({self._device.host}), {self._channels} channels at "
            f"{self._rate} Hz{resampled}, {self.latency_ms:.0f} ms"
        )

    def start(self) -> None:
        try:
            stream = self._portaudio.OutputStream(
                device=self._device.index,
                samplerate=self._rate,
                channels=self._channels,
                dtype="float32",
                latency="low",
                callback=self._playout.callback,
            )
            stream.start()
        except self._portaudio.PortAudioError as error:
            raise OSError(f"audio device {self._device.name!r}: will not open: {error}") from None
        self._stream = stream

    def write(self, block: Samples) -> bool:
        if self._channels == 1:
            block = block.mean(axis=1, keepdims=True)
        # Resampling can overshoot full scale between two limited samples.
        self._feed.begin(np.clip(self._resampler.step(block), -1, 1))
        asked, since = self._playout.asked, time.monotonic()
        while self.active:
            if self._feed.go_on():
                return True
            self._playout.wait(LOOK_S)
            if self._playout.asked != asked:
                asked, since = self._playout.asked, time.monotonic()
            elif time.monotonic() - since > STALLED_S:
                self._report("asks for no more sound")
        if self._stream is not None and not self._stopped:
            self._report("has stopped; is its sound server still running?")
        return False

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        """Fade out, stop and close; leaves a stream that hangs to itself after 2 s."""
        was_active = self.active
        self.stop()
        if was_active:
            self._fade_out()
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is None:
            return
        closer = threading.Thread(target=_close_stream, args=(stream,), daemon=True)
        closer.start()
        closer.join(CLOSE_S)
        if closer.is_alive():
            self._report("does not close; it is left to itself")
            leave_portaudio(self._portaudio)

    def _fade_out(self) -> None:
        """Wait for the fade to be played: two buffers, at most a fifth of a second."""
        self._playout.mute()
        buffers_s = (2 * self._playout.largest + self._rate * FADE_MS / 1000) / self._rate
        deadline = time.monotonic() + min(buffers_s, 0.2)
        while not self._playout.silent and time.monotonic() < deadline:
            time.sleep(0.001)

    def _report(self, what: str) -> None:
        """State the first fault, and log it once."""
        if self._fault is None:
            self._fault = f"audio device {self._device.name!r} {what}"
            _log.error(self._fault)


def _close_stream(stream: OutputStream) -> None:
    """Stop rather than abort: the fade may still be in the device's buffer."""
    stream.stop()
    stream.close()
