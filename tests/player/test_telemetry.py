"""One record of how the instrument is doing."""

from __future__ import annotations

from dataclasses import replace

from player.telemetry import Telemetry

MOMENT = Telemetry(
    seconds=12.345678,
    load=0.25,
    peak_load=0.5,
    parts=3,
    overload=3,
    overloads=16,
    spared=1,
    given_up=17,
    faded="3, 5",
    ordinary=18,
    underruns=1,
    limited_s=0.123,
    limited_db=4.06,
    late=2,
    dropped=4,
    malformed=5,
    refused=6,
    withheld=14,
    let_go=15,
    ignored=7,
    malformed_midi=8,
    midi_lost=12,
    midi_faults=13,
    outside=9,
    page_dropped=10,
    page_refused=11,
    fault="recording take.wav: stopped: No space left on device",
    waiting="Keystation",
    rate=48_000,
    block_ms=4.0,
    lookahead_ms=32.0,
    vocoder_ms=24.0,
    output_ms=10.4,
)


def test_the_latency_is_the_sum_of_its_terms():
    assert MOMENT.latency_ms == 70.4
    assert MOMENT.latency_samples == 3379
    assert MOMENT.latency_line() == (
        "70 ms (3379 samples at 48000 Hz) = block 4 + lookahead 32 + vocoder 24 + output 10"
    )


def test_a_status_tells_every_field():
    status = MOMENT.as_status()
    assert status["seconds"] == 12.3457 and status["latency_ms"] == 70.4
    assert set(status) == set(Telemetry.__slots__) | {"latency_ms", "latency_samples"}


def test_the_last_line_tells_every_count():
    assert MOMENT.counters_line() == (
        "load 25% (peak 50%), limiter on 1.0% of samples, at most 4.1 dB, overloads 16, "
        "underruns 1, late events 2, dropped events 4, malformed packets 5, refused messages 6, "
        "answers withheld 14, keys of senders that are gone 15, ignored MIDI messages 7, "
        "malformed MIDI messages 8, "
        "floods of MIDI 12, faults of the MIDI input 13, notes with keys out of range 9, "
        "blocks missed by pages 10, refused messages of pages 11"
    )
    assert "limiter at rest" in replace(MOMENT, limited_s=0.0, limited_db=0.0).counters_line()
