"""The measuring of single notes, on sound that is known to the sample."""

from __future__ import annotations

import time

import numpy as np
import pytest
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage

from benchmarks.rigs import notes
from benchmarks.rigs.live import LiveServer

RATE = 1_000


def recording(*sounds: tuple[int, float]) -> notes.Recording:
    """Four seconds of silence from second 10 on, with a click of a level at each sample."""
    sound = np.zeros(4 * RATE, np.float32)
    for index, level in sounds:
        sound[index] = level
    return notes.Recording(sound, 10 + np.arange(len(sound)) / RATE)


@pytest.mark.parametrize("peak", [1.0, 0.05])
def test_the_first_sample_within_40_db_of_the_peak_is_the_first_audible(peak):
    sound = peak * np.array([0, 0.009, -0.011, 0.5, -1, 0.3])
    assert notes.first_audible(sound) == 2


@pytest.mark.parametrize("sound", [[], [0.0, 0.0], [5e-5, -5e-5]])
def test_silence_has_no_first_audible_sample(sound):
    assert notes.first_audible(np.array(sound)) is None


def test_each_note_is_found_by_its_own_peak_between_its_time_and_the_next():
    asked = np.array([10.1, 11.0, 12.0])
    loud, soft, none = notes.heard_at(recording((150, 1), (151, 0.5), (1_030, 0.002)), asked)
    assert (loud, soft) == pytest.approx((10.15, 11.03))
    assert np.isnan(none)


def test_notes_are_apart_by_more_than_they_last_and_stray_over_two_frames():
    times = notes.onsets(500, 7.0, 0.1, seed=3)
    apart = np.diff(times)
    assert times[0] >= 7.0 and apart.min() >= notes.HELD_S + 0.1 + notes.APART_S
    within = (times - 7.0) % 0.008
    assert np.histogram(within, 4, (0, 0.008))[0].min() > 50
    np.testing.assert_array_equal(times, notes.onsets(500, 7.0, 0.1, seed=3))


def test_what_frames_explain_is_no_deviation_and_what_they_do_not_is():
    late = 50 + np.linspace(0, 8, 101)
    assert notes.beyond_frame(late, 8).max() == pytest.approx(0, abs=0.05)
    late[3] = 63
    outside = notes.beyond_frame(late, 8)
    assert outside[3] == pytest.approx(5, abs=0.3) and np.sort(outside)[-2] < 0.3


class Ear(LiveServer):
    """Keeps packets instead of a server to send them to."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def send(self, packet: bytes) -> None:
        self.packets.append(packet)


def test_bare_notes_are_sent_at_their_times_each_followed_by_its_cut():
    ear, start = Ear(), time.perf_counter()
    wanted = np.array([start + 0.01, start + 0.2])
    asked = list(notes.send_notes(ear, wanted, time.perf_counter, None))
    assert ear.packets == [notes.NOTE_ON, notes.CUT] * 2
    assert all(a >= w for a, w in zip(asked, wanted, strict=True))


def test_timetagged_notes_carry_their_time():
    ear, start = Ear(), time.perf_counter()
    wanted = np.array([start + 30.0])
    sent = notes.send_notes(ear, wanted, time.perf_counter, np.array([30.0]))
    assert next(sent) == wanted[0]
    bundle, bare = OscBundle(ear.packets[0]), OscMessage(notes.NOTE_ON)
    (message,) = bundle
    assert (message.address, message.params) == (bare.address, bare.params)
    assert 0 < bundle.timestamp - time.time() <= 30.001
