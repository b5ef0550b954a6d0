"""The sound card, by PortAudio.

A sound server that dies leaves its stream inactive, and PortAudio then hangs in stop, abort, close
and terminate. So the stream is watched while writing, and closed by a thread that can be left
behind.
"""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Protocol

from synth.output.fed import FedSink
from synth.output.pairs import CHANNELS, LEAST, folded, only_mix
from synth.output.portaudio import (
    OutputDevice,
    choose_rate,
    find_device,
    leave_portaudio,
    load_portaudio,
)
from synth.output.ring import Samples
from synth.output.sinks import SPARE_MS

CLOSE_S = 2.0
"""How long a stream may take to close before it is left behind."""


class OutputStream(Protocol):
    """What is used of sounddevice's stream. latency: seconds behind the callback."""

    @property
    def active(self) -> bool: ...

    @property
    def latency(self) -> float: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


class DeviceSink(FedSink):
    """Plays on an output device, at the rate the device likes.

    engine_rate: Hz of the blocks written. device: "auto" (the system's default), an index,
    or a name or part of one. rate: Hz to open it at; None for its default. spare_ms: how
    late the renderer may be before the sound breaks. pairs: play a
    stereo pair for each part (pairs.py) on a device with more than two channels.

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
        pairs: bool = False,
    ) -> None:
        self._portaudio: ModuleType = load_portaudio()
        self._device: OutputDevice = find_device(self._portaudio, device)
        rate = choose_rate(self._portaudio, self._device, rate)
        self._pairs = pairs
        channels = self._device.channels
        if pairs and channels < LEAST:
            raise ValueError(
                f"audio device {self._device.name!r}: has {channels} channels; pairs of parts need "
                f"at least {LEAST}"
            )
        channels = min(channels // 2 * 2, CHANNELS - 2) if pairs else min(channels, 2)
        super().__init__(engine_rate, rate, channels, spare_ms)
        self._stream: OutputStream | None = None
        self.hangs = False
        """Whether the stream could not be closed."""
        self._lock = threading.Lock()
        """Held to use or take away the stream: a closed one must not be asked anything."""

    def _behind_s(self) -> float:
        with self._lock:
            behind_s = self._stream.latency if self._stream else 0.0
        if self._device.host.startswith("JACK"):
            # PortAudio takes one buffer off what JACK states.
            behind_s += self._playout.largest / self._rate
        return behind_s

    def _runs(self) -> bool:
        with self._lock:
            return self._stream is not None and self._stream.active

    def _called(self) -> str:
        return f"audio device {self._device.name!r}"

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
        self._started = True

    def _taken(self, block: Samples) -> Samples:
        if self._pairs:
            return folded(block, self._channels)
        mix = only_mix(block)
        return mix.mean(axis=1, keepdims=True) if self._channels == 1 else mix

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
            self.hangs = True
            leave_portaudio(self._portaudio)


def _close_stream(stream: OutputStream) -> None:
    """Stop rather than abort: the fade may still be in the device's buffer."""
    stream.stop()
    stream.close()
