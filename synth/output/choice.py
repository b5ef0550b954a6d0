"""The sink that a player asks for by name: a device, the system's clock, and a recording of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.jack.library import load_jack
from common.jack.link import LOOK_S, JackLink
from common.plugin.link import PluginLink
from synth.output.device import DeviceSink
from synth.output.jack import MIX, JackSound
from synth.output.lasting import LastingSink
from synth.output.pairs import NAMES
from synth.output.plugin import PluginSink
from synth.output.portaudio import restart_portaudio
from synth.output.recorder import WavRecorder
from synth.output.sinks import ClockSink, Sink

AGAIN_S = 0.5
"""How often a device of PortAudio that was lost is tried again."""

JACK, PLUGIN = "jack", "plugin"
"""What `--audio` calls JACK, and an LV2 plug-in."""


def open_sink(
    audio: str,
    rate: int,
    spare_ms: float,
    record: Path | None,
    link: JackLink | None,
    pairs: bool = False,
    plugin: PluginLink | None = None,
) -> tuple[Sink, str]:
    """The sink, and, if "auto" found no device, why.

    audio: "auto" for JACK if its server runs, else the system's output, or the clock where there
    is none; "none" for the clock; "jack" or "plugin", which are awaited if they are not there yet;
    or an output device. rate: Hz of the blocks. spare_ms: how late the renderer may be. record: a
    WAV that keeps what is played. link: to be started before the sink is; None where there is no
    JACK library. pairs: blocks hold a pair for each part. plugin: where "plugin" finds one. Raises
    OSError and ValueError as `DeviceSink` and `WavRecorder` do.
    """
    sink, found = _output(audio, rate, spare_ms, link, pairs, plugin)
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


def _output(
    audio: str,
    rate: int,
    spare_ms: float,
    link: JackLink | None,
    pairs: bool,
    plugin: PluginLink | None,
) -> tuple[Sink, str]:
    if plugin is not None:
        if pairs:
            raise ValueError("--outputs parts: the plug-in plays the mix only")

        def taken() -> Sink:
            return PluginSink(plugin.take(), rate, spare_ms)

        return LastingSink(rate, taken, LOOK_S, awaited=True, spare_ms=spare_ms), ""
    if audio == "none":
        return ClockSink(rate, spare_ms=spare_ms), ""
    if audio == JACK and link is None:
        load_jack()
    if link is not None and (audio == JACK or (audio == "auto" and link.seek())):
        sound = JackSound(rate, NAMES if pairs else MIX, spare_ms)
        link.add(sound)
        return LastingSink(rate, sound.take, LOOK_S, awaited=True, spare_ms=spare_ms), ""
    with quiet_libraries():
        try:
            finder = _DeviceFinder(rate, audio, spare_ms, pairs)
        except (OSError, ValueError) as error:
            if audio != "auto" or pairs:
                raise
            return ClockSink(rate, spare_ms=spare_ms), f"{error}; "
    return LastingSink(rate, finder, AGAIN_S, spare_ms=spare_ms), ""


class _DeviceFinder:
    """Opens a device of PortAudio: the first time the one found here, later as it is then.

    Raises OSError and ValueError as `DeviceSink` does.
    """

    def __init__(self, rate: int, device: str, spare_ms: float, pairs: bool) -> None:
        self._make = lambda: DeviceSink(rate, device, spare_ms=spare_ms, pairs=pairs)
        self._next: DeviceSink | None = self._make()
        self._last: DeviceSink | None = None

    def __call__(self) -> DeviceSink:
        with quiet_libraries():
            if self._last is not None and not self._last.hangs:
                # It looks for devices when it starts, and only then.
                restart_portaudio()
            sink = self._next or self._make()
            self._next = None
            sink.start()
        self._last = sink
        return sink
