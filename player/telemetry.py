"""How the instrument is doing, as one record: for /status, the last line, and benchmarks."""

from __future__ import annotations

from dataclasses import asdict, dataclass

LATENCY = ("block_ms", "lookahead_ms", "vocoder_ms", "output_ms")
"""The terms of the time from a note to its sound."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """One moment of a live instrument; every count only grows.

    seconds: rendered so far; load, peak_load: render time over block time, lately and at most;
    parts: that cost something now; overload: 0 while there is time enough, else what gives way: 1
    pages, 2 the WaveNet, 3 parts; overloads: how often that has begun; spared: 1 while the spectral
    vocoder plays for the WaveNet because of it, else 0; given_up, faded: how many parts are silent
    because of it now, and which, e.g. "3, 5"; ordinary: how often the renderer has lost its
    real-time priority because it took too much; underruns: gaps in the sound; limited_s,
    limited_db: for how long the limiter turned the sound down, and by how much at most; late,
    dropped: events that came after their block, and that found the inbox full; malformed, refused:
    OSC packets that are none, and messages that were answered with an error; withheld: answers not
    sent because they were too many; let_go: keys and pedals released because their OSC sender was
    gone; ignored: MIDI messages that mean nothing here; malformed_midi: bytes that are no whole
    MIDI message; midi_lost, midi_faults: as `MidiInput` counts them; outside: MIDI notes of keys
    outside 21..108, or outside those of the patch, which do not sound; fault: why there is no
    recording or device now, "" while all is well; waiting: MIDI ports that are awaited; rate: Hz of
    the output. A note waits block_ms for its block, and is heard lookahead_ms, vocoder_ms and
    output_ms later.
    """

    seconds: float
    load: float
    peak_load: float
    parts: int
    overload: int
    overloads: int
    spared: int
    given_up: int
    faded: str
    ordinary: int
    underruns: int
    limited_s: float
    limited_db: float
    late: int
    dropped: int
    malformed: int
    refused: int
    withheld: int
    let_go: int
    ignored: int
    malformed_midi: int
    midi_lost: int
    midi_faults: int
    outside: int
    page_dropped: int
    page_refused: int
    fault: str
    waiting: str
    rate: int
    block_ms: float
    lookahead_ms: float
    vocoder_ms: float
    output_ms: float

    @property
    def latency_ms(self) -> float:
        """From a note to its sound."""
        return sum(getattr(self, term) for term in LATENCY)

    @property
    def latency_samples(self) -> int:
        """The same in samples of the output: what a DAW calls the track's delay."""
        return round(self.latency_ms * self.rate / 1000)

    def as_status(self) -> dict[str, int | float | str]:
        """Every field by name, and latency_ms and latency_samples, rounded for reading."""
        fields = asdict(self) | {
            "latency_ms": self.latency_ms,
            "latency_samples": self.latency_samples,
        }
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in fields.items()}

    def latency_line(self) -> str:
        """Each term of the latency, in words."""
        terms = " + ".join(f"{t.removesuffix('_ms')} {getattr(self, t):.0f}" for t in LATENCY)
        samples = f"{self.latency_samples} samples at {self.rate} Hz"
        return f"{self.latency_ms:.0f} ms ({samples}) = {terms}"

    def counters_line(self) -> str:
        """The load and every count, in words."""
        counted = {
            "overloads": self.overloads,
            "underruns": self.underruns,
            "late events": self.late,
            "dropped events": self.dropped,
            "malformed packets": self.malformed,
            "refused messages": self.refused,
            "answers withheld": self.withheld,
            "keys of senders that are gone": self.let_go,
            "ignored MIDI messages": self.ignored,
            "malformed MIDI messages": self.malformed_midi,
            "floods of MIDI": self.midi_lost,
            "faults of the MIDI input": self.midi_faults,
            "notes with keys out of range": self.outside,
            "blocks missed by pages": self.page_dropped,
            "refused messages of pages": self.page_refused,
        }
        listed = ", ".join(f"{name} {count}" for name, count in counted.items())
        share = self.limited_s / self.seconds if self.seconds else 0.0
        limiter = limited(share, self.limited_db)
        return f"load {self.load:.0%} (peak {self.peak_load:.0%}), {limiter}, {listed}"


def limited(share: float, most_db: float) -> str:
    """What a limiter did, in words: to which share of the samples, and by how much at most."""
    if not share:
        return "limiter at rest"
    return f"limiter on {share:.1%} of samples, at most {most_db:.1f} dB"
