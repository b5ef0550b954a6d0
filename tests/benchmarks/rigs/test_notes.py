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


def test_a_rise_is_where_the_level_comes_up_whatever_came_first():
    """A tone with a faint beginning of another length before each note."""
    rate = 8_000
    sound, places = np.zeros(3 * rate, np.float32), np.array([0.5, 1.2, 2.0])
    tone = np.sin(2 * np.pi * 500 * np.arange(rate // 2) / rate)
    for place, faint_s in zip(places, (0.004, 0.012, 0.02), strict=True):
        at, faint = round(place * rate), round(faint_s * rate)
        sound[at : at + len(tone)] = tone
        sound[at - faint : at] = 0.02 * tone[:faint]
    heard = notes.Recording(sound, np.arange(len(sound)) / rate)
    asked = places - 0.1
    first = notes.heard_at(heard, asked) - places
    assert np.ptp(first) > 0.01
    assert np.ptp(notes.rises_at(heard, asked, rate) - places) < 0.0005
    assert np.isnan(notes.rises_at(heard, np.array([2.9]), rate)).all()


class Ear(LiveServer):
    """Keeps packets instead of a server to send them to."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def send(self, packet: bytes) -> None:
        self.packets.append(packet)


def test_bare_notes_are_sent_at_their_times_each_followed_by_its_cut():
    ear, start = Ear(), time.perf_counter()
    wanted = np.array([start + 0.01, start + 0.3])
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
