"""Sound through an LV2 plug-in: its host takes it out of a ring in shared memory."""

from __future__ import annotations

import time

from common.jack.playing import MUTED, READ, WRITTEN
from common.plugin.memory import PluginMemory
from synth.output.fed import FedSink
from synth.output.pairs import SIDES
from synth.output.ring import Samples
from synth.output.sinks import SPARE_MS

POLL_S = 0.001
"""How often it is looked whether the host has taken a buffer: nothing can wake us from there."""


class PluginSink(FedSink):
    """Plays through a plug-in whose host runs, at the host's rate."""

    def __init__(self, memory: PluginMemory, engine_rate: int, spare_ms: float = SPARE_MS) -> None:
        super().__init__(engine_rate, memory.rate, len(SIDES), spare_ms)
        self._memory = memory
        playout, ring = self._playout, self._playout.ring
        counts = memory.field("ring")
        # What a server before us left in the ring is not played.
        counts[WRITTEN] = counts[READ]
        memory.field("fall")[: len(playout.fall)] = playout.fall
        memory.say("fall_length", len(playout.fall))
        reserve = playout.reserve
        ring.counts, ring.samples = counts, memory.field("samples")[: ring.capacity]
        playout.counts = memory.field("playout")
        playout.reserve = reserve
        self._gaps_before = playout.underruns
        playout.counts[MUTED] = 0
        self._started = True

    @property
    def underruns(self) -> int:
        return super().underruns - self._gaps_before

    def describe(self) -> str:
        resampled = "" if self._rate == self.engine_rate else f" from {self.engine_rate}"
        return f"the plug-in at {self._rate} Hz{resampled}, {self.latency_ms:.0f} ms"

    def start(self) -> None:
        """It has begun."""

    def close(self) -> None:
        """Fade out; the memory belongs to whoever took it."""
        was_active = self.active
        self.stop()
        if was_active:
            self._fade_out()

    def _runs(self) -> bool:
        return not self._memory.gone

    def _behind_s(self) -> float:
        return 0.0  # the host knows what lies behind a plug-in, and tells nobody

    def _called(self) -> str:
        return "the plug-in"

    def _taken(self, block: Samples) -> Samples:
        return block[:, : self._channels]

    def _wait(self, timeout: float) -> None:
        time.sleep(min(timeout, POLL_S))
