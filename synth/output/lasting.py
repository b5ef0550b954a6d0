"""A sink that outlives its device: goes on by the system's clock, and takes the device back.

A sound server that is restarted, or a sound card that is unplugged, must not end the music: notes,
recording and page go on, and the sound is back when the device is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from synth.output.ring import Samples
from synth.output.sinks import SPARE_MS, ClockSink, Sink

_log = logging.getLogger(__name__)


class LastingSink(Sink):
    """Plays on the device that `find` returns, as long as there is one.

    find: a sink that takes sound already; OSError or ValueError, with the reason, where there is
    none now. It is called by `start`, whose errors it then is, and after a loss every `look_s`
    seconds, in a thread of its own. awaited: start without a device, too, and wait for it.
    """

    def __init__(
        self,
        engine_rate: int,
        find: Callable[[], Sink],
        look_s: float,
        awaited: bool = False,
        spare_ms: float = SPARE_MS,
    ) -> None:
        self.engine_rate = engine_rate
        self._find, self._look_s, self._awaited = find, look_s, awaited
        self._spare_ms = spare_ms
        self._device: Sink | None = None
        self._found: Sink | None = None
        """A device that is back, until the next block takes it."""
        self._clock = self._new_clock()
        self._why = ""
        self._gaps = self._xruns = 0
        """Underruns of what has played before."""
        self._closing = threading.Event()
        self._stopped = False
        self._seeker: threading.Thread | None = None

    @property
    def rate(self) -> int:
        return self._playing.rate

    @property
    def latency_ms(self) -> float:
        return self._playing.latency_ms

    @property
    def port_ms(self) -> float:
        return self._playing.port_ms

    @property
    def underruns(self) -> int:
        return self._gaps + self._playing.underruns

    @property
    def xruns(self) -> int:
        return self._xruns + self._playing.xruns

    @property
    def active(self) -> bool:
        return not self._stopped and self._playing.active

    @property
    def fault(self) -> str | None:
        """Why there is no device now."""
        return None if self._device else self._why

    def describe(self) -> str:
        if self._device:
            return self._device.describe()
        return f"{self._why}; waiting for it, by the system's clock until then"

    def start(self) -> None:
        self._clock.start()
        try:
            self._device = self._find()
        except (OSError, ValueError) as error:
            if not self._awaited:
                raise
            self._seek(str(error), None)

    def write(self, block: Samples) -> bool:
        found, self._found = self._found, None
        if found is not None:
            self._gaps += self._clock.underruns
            self._device = found
            self._clock.close()
            _log.warning("the sound comes from %s now", found.describe())
        device = self._device
        if device is not None:
            if device.write(block):
                return True
            if self._stopped:
                return False
            self._lose(device)
        return self._clock.write(block)

    def stop(self) -> None:
        self._stopped = True
        self._playing.stop()
        self._clock.stop()

    def close(self) -> None:
        self.stop()
        self._closing.set()
        if self._seeker is not None:
            self._seeker.join(self._look_s)
        for sink in (self._device, self._found):
            if sink is not None:
                sink.close()

    @property
    def _playing(self) -> Sink:
        return self._device or self._clock

    def _new_clock(self) -> ClockSink:
        return ClockSink(self.engine_rate, spare_ms=self._spare_ms)

    def _lose(self, device: Sink) -> None:
        """Go on by the clock; the loss counts as one gap in the sound."""
        clock = self._new_clock()
        clock.start()
        self._clock = clock
        self._gaps += device.underruns + 1
        self._xruns += device.xruns
        self._seek(device.fault or "the audio device has stopped", device)
        self._device = None
        if self._stopped:  # meanwhile, by a signal
            clock.stop()
        _log.warning("%s; playing on by the system's clock until it is back", self._why)

    def _seek(self, why: str, lost: Sink | None) -> None:
        self._why = why
        self._seeker = threading.Thread(
            target=self._look, args=(lost,), name="audio device", daemon=True
        )
        self._seeker.start()

    def _look(self, lost: Sink | None) -> None:
        if lost is not None:
            lost.close()
        while not self._closing.wait(self._look_s):
            try:
                self._found = self._find()
                return
            except (OSError, ValueError):
                continue
            except Exception:
                _log.exception("the audio device cannot be looked for")
                return
