"""Sound through JACK: a port for each channel of our client, joined to the loudspeakers."""

from __future__ import annotations

from collections.abc import Sequence

from common.jack.client import NAME, JackClient
from synth.output.fed import FedSink
from synth.output.pairs import SIDES as MIX
from synth.output.ring import Samples
from synth.output.sinks import SPARE_MS, Sink


class JackSink(FedSink):
    """Plays through ports of a client that does not run yet, at the server's rate.

    names: of the ports, one for each channel of the blocks. OSError if the server refuses one.
    """

    def __init__(
        self,
        client: JackClient,
        engine_rate: int,
        names: Sequence[str] = MIX,
        spare_ms: float = SPARE_MS,
    ) -> None:
        self._client, self._names, self._before = client, names, 0
        super().__init__(engine_rate, client.rate, len(names), spare_ms)
        ring, playout = self._playout.ring, self._playout
        fades = (playout.fall, playout.held, playout.last)
        client.play(names, ring.counts, ring.samples, playout.counts, fades)

    def start(self) -> None:
        """Connect the mix to the first two loudspeakers. The client must run."""
        speakers = self._client.find_speakers()
        self._client.play_on((speakers * len(MIX) if len(speakers) == 1 else speakers)[: len(MIX)])
        # A program that joins may make the server late: nobody has heard us before.
        self._before = self._client.xruns
        self._started = True

    def close(self) -> None:
        """Fade out; the client belongs to whoever opened it.

        After a fault it is given up, so that a new one takes its place.
        """
        was_active = self.active
        self.stop()
        if was_active:
            self._fade_out()
        if self.fault:
            self._client.give_up()

    def describe(self) -> str:
        resampled = "" if self._rate == self.engine_rate else f" from {self.engine_rate}"
        pairs = f", {self._channels // 2} pairs" if self._channels > len(MIX) else ""
        return (
            f"JACK client {self._client.name!r}{pairs} at {self._rate} Hz{resampled}, "
            f"{self.latency_ms:.0f} ms"
        )

    @property
    def xruns(self) -> int:
        return self._client.xruns - self._before

    def _runs(self) -> bool:
        return self._started and not self._client.gone

    def _behind_s(self) -> float:
        return self._client.playback_latency() / self._rate

    def _called(self) -> str:
        return "JACK"

    def _now(self) -> float:
        return self._client.now_s

    def _taken(self, block: Samples) -> Samples:
        return block[:, : self._channels]

    def _wait(self, timeout: float) -> None:
        self._client.wait(timeout)


class JackSound:
    """Our sound as a member of a `JackLink`: a new `JackSink` for each server that comes."""

    def __init__(
        self, engine_rate: int, names: Sequence[str] = MIX, spare_ms: float = SPARE_MS
    ) -> None:
        self._engine_rate, self._names, self._spare_ms = engine_rate, names, spare_ms
        self._joining: JackSink | None = None
        self._sink: JackSink | None = None
        self._why = "no JACK server is running"

    @property
    def client_name(self) -> str:
        return NAME

    def take(self) -> Sink:
        """The sink of the server that runs now, once; OSError where none does."""
        sink, self._sink = self._sink, None
        if sink is None:
            raise OSError(self._why)
        return sink

    def join(self, client: JackClient) -> None:
        self._joining = JackSink(client, self._engine_rate, self._names, self._spare_ms)

    def joined(self, client: JackClient) -> None:
        sink, self._joining = self._joining, None
        assert sink is not None
        sink.start()
        self._sink = sink

    def left(self, why: str) -> None:
        self._sink, self._why = None, why
