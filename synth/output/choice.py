"""The sink that a player asks for by name: a device, the system's clock, and a recording of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synth.output.device import DeviceSink
from synth.output.recorder import WavRecorder
from synth.output.sinks import ClockSink, Sink


def open_sink(audio: str, rate: int, spare_ms: float, record: Path | None) -> tuple[Sink, str]:
    """The sink, and, if "auto" found no device, why.

    audio: "auto" for the system's output, or the clock where there is none; "none" for the
    clock; or an output device. rate: Hz of the blocks. spare_ms: how late the renderer may
    be. record: a WAV that keeps what is played. Raises OSError and ValueError as
    `DeviceSink` and `WavRecorder` do.
    """
    sink, found = _output(audio, rate, spare_ms)
    return (WavRecorder(sink, record) if record else sink), found


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hide what ALSA's and JACK's own C code prints while it is asked what there is.

    We say the same in a line of our own; exceptions pass.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _output(audio: str, rate: int, spare_ms: float) -> tuple[Sink, str]:
    clocked = ClockSink(rate, spare_ms=spare_ms)
    if audio == "none":
        return clocked, ""
    with quiet_libraries():
        if audio != "auto":
            return DeviceSink(rate, audio, spare_ms=spare_ms), ""
        try:
            return DeviceSink(rate, spare_ms=spare_ms), ""
        except (OSError, ValueError) as error:
            return clocked, f"{error}; "
