"""Single notes to measure latency with: sent, then found in the recorded sound.

All times are seconds on one clock, chosen by the caller. Notes are short and ended by "all sound
off", so that each begins from silence; but not so short that they end before they are heard.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from pythonosc.parsing.ntp import system_time_to_ntp

from benchmarks.rigs.live import LiveServer, osc

KEY, VELOCITY = 60, 100
HELD_S = 0.25
APART_S = 0.15
"""Silence between the end of one note's sound and the next note, beside the latency."""
STRAY_S = 0.016
"""Notes are moved from an even beat by up to two frames, so that they fall anywhere in one."""
AHEAD_S = (0.05, 0.2)
"""How long before their time notes with a timetag are sent."""
AUDIBLE = 0.01
"""First audible: the first sample within 40 dB of its note's own peak."""
SILENT = 1e-4
"""A note whose peak is lower was not heard at all."""
RISEN = 0.7
"""Its rise: when its level comes to this share of the highest that it has while it is new."""
LEVEL_S, NEW_S = 0.02, 1 / 12
"""The span, a Hann window, over which a level is read, and how long a note is new."""
NOTE_ON, CUT = osc("/part/1/note", KEY, VELOCITY), osc("/part/1/cc", 120, 0)


@dataclass(frozen=True, slots=True)
class Recording:
    """Recorded sound (samples,), one channel, and the time of each sample, which never falls."""

    sound: np.ndarray
    times: np.ndarray


def onsets(count: int, start: float, latency_s: float, seed: int) -> np.ndarray:
    """When notes begin (count,), with enough room for sound that is latency_s late."""
    beat = HELD_S + latency_s + APART_S
    stray = np.random.default_rng(seed).uniform(0, STRAY_S, count)
    return start + np.arange(count) * (beat + STRAY_S) + stray


def send_notes(
    server: LiveServer, wanted: np.ndarray, now: Callable[[], float], ahead: np.ndarray | None
) -> Iterator[float]:
    """Send each note over OSC at its wanted time; yields the time for which it was asked.

    now: the clock of those times. ahead: how many seconds before its time each note is sent, in
    a bundle with that time as timetag; None sends it without one, to be played at once.
    """
    early = np.zeros(len(wanted)) if ahead is None else ahead
    actions = [(t - e, t, "on") for t, e in zip(wanted, early, strict=True)]
    actions += [(t + HELD_S, t, "cut") for t in wanted]
    for send_at, wanted_at, what in sorted(actions):
        while (left := send_at - now()) > 0:
            time.sleep(left)
        if what == "cut":
            server.send(CUT)
        elif ahead is None:
            asked = now()
            server.send(NOTE_ON)
            yield asked
        else:
            server.send(_bundle(time.time() + wanted_at - now(), NOTE_ON))
            yield wanted_at


def first_audible(sound: np.ndarray) -> int | None:
    """Index of the first sample within 40 dB of the peak; None in silence.

    >>> first_audible(np.array([0.0, 1e-3, -0.02, 1.0, 0.5]))
    2
    """
    level = np.abs(sound)
    peak = level.max(initial=0.0)
    return None if peak < SILENT else int(np.argmax(level >= AUDIBLE * peak))


def heard_at(recording: Recording, asked: np.ndarray) -> np.ndarray:
    """When each note, in order of time, was first audible: (notes,); NaN if it never was.

    A note is looked for between its own time and that of the next one.
    """
    edges = np.searchsorted(recording.times, [*asked, np.inf])
    found = np.full(len(asked), np.nan)
    for i, (start, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        index = first_audible(recording.sound[start:stop])
        if index is not None:
            found[i] = recording.times[start + index]
    return found


def rises_at(recording: Recording, asked: np.ndarray, rate: int) -> np.ndarray:
    """When each note's level has risen: (notes,), NaN if it was not heard; see `RISEN`.

    The level shows a note's place better than its first audible sample does: windows of sound are
    far longer than a frame, and where the first sample rises above a limit depends on the patch.
    rate: samples a second of the recording.
    """
    span = np.hanning(round(LEVEL_S * rate))
    risen = np.full(len(asked), np.nan)
    for i, at in enumerate(heard_at(recording, asked)):
        if np.isnan(at):
            continue
        start = int(np.searchsorted(recording.times, at))
        around = recording.sound[start : start + round(NEW_S * rate)]
        before = len(span) // 2
        level = np.convolve(np.pad(around, before) ** 2, span, "valid")[: len(around)]
        risen[i] = recording.times[start + int((level >= RISEN**2 * level.max()).argmax())]
    return risen


def _bundle(unix: float, message: bytes) -> bytes:
    """An OSC bundle of one message, for a time in seconds since 1970."""
    size = len(message).to_bytes(4, "big")
    return b"#bundle\0" + system_time_to_ntp(unix) + size + message
