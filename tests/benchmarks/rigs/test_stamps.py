"""When blocks were due, told from when a sink took them."""

from __future__ import annotations

import numpy as np

from benchmarks.rigs.stamps import StampedSink, due_times
from synth.output.sinks import ClockSink

RATE = 16_000


def test_late_returns_do_not_make_the_sound_late():
    took = 5 + np.arange(6) * 0.008
    took[[1, 4]] += 0.003
    due = due_times(took, np.full(6, 128), np.zeros(6), 0.010, RATE)
    np.testing.assert_allclose(due, 5.002 + np.arange(6) * 0.008)


def test_an_underrun_starts_a_new_line():
    took = np.array([0.0, 0.008, 0.1, 0.109])
    due = due_times(took, np.full(4, 128), np.array([0, 0, 1, 1]), 0.008, RATE)
    np.testing.assert_allclose(due, [0.0, 0.008, 0.1, 0.108])


def test_a_stamped_sink_keeps_what_was_taken_and_nothing_else(tmp_path):
    sink = StampedSink(ClockSink(RATE), tmp_path / "stamps.npz")
    with sink:
        for samples in (10, 20, 30):
            assert sink.write(np.zeros((samples, 2), np.float32))
        sink.stop()
        assert not sink.write(np.zeros((40, 2), np.float32))
    kept = np.load(tmp_path / "stamps.npz")
    assert kept["samples"].tolist() == [10, 20, 30]
    assert (np.diff(kept["took"]) > 0).all() and (np.diff(kept["underruns"]) >= 0).all()
    assert kept["underruns"][-1] == sink.underruns
    assert kept["reserve"] == sink.latency_ms / 1000 == 0.010
    assert (sink.rate, sink.engine_rate, sink.fault) == (RATE, RATE, None)


def test_a_sink_that_took_nothing_leaves_empty_stamps(tmp_path):
    with StampedSink(ClockSink(RATE), tmp_path / "stamps.npz"):
        pass
    assert len(np.load(tmp_path / "stamps.npz")["took"]) == 0
