"""Single notes as latency is measured with: sent, found again in what was heard, compared.

Times are seconds on one clock, whichever the caller's is. Notes are short and cut off by all
sound off, so that each begins from silence.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.rigs.live import LiveServer
from daw_bridge.clock import NTP_EPOCH_S
from daw_bridge.osc.packet import encode

KEY, VELOCITY = 60, 100
HELD_S = 0.08
APART_S = 0.15
"""Silence kept between the end of one note's sound and the next note, beside the latency."""
STRAY_S = 0.016
"""Notes stray from an even beat by up to two frames, so that they fall anywhere in one."""
AHEAD_S = (0.05, 0.2)
"""How long before their time timetagged notes are sent."""
AUDIBLE = 0.01
"""First audible: the first sample within 40 dB of its note's own peak."""
SILENT = 1e-4
"""A note whose peak is lower was not heard at all."""
NOTE_ON, CUT = encode("/part/1/note", KEY, VELOCITY), encode("/part/1/cc", 120, 0)


@dataclass(frozen=True, slots=True)
class Take:
    """What was heard: sound (samples,), one channel; times (samples,), never falling."""

    sound: np.ndarray
    times: np.ndarray


def onsets(count: int, start: float, latency_s: float, seed: int) -> np.ndarray:
    """When notes begin (count,): far enough apart for sound that is latency_s late."""
    beat = HELD_S + latency_s + APART_S
    stray = np.random.default_rng(seed).uniform(0, STRAY_S, count)
    return start + np.arange(count) * (beat + STRAY_S) + stray


def send_notes(
    server: LiveServer, wanted: np.ndarray, now: Callable[[], float], ahead: np.ndarray | None
) -> Iterator[float]:
    """Send each note over OSC at its wanted time; yields when it was asked for.

    now: the clock of those times. ahead: seconds before its time that each note is sent, in
    a bundle timetagged with that time; None sends it bare, to be played at once.
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


def heard_at(take: Take, asked: np.ndarray) -> np.ndarray:
    """When each note, in order of time, was first audible: (notes,); NaN if it was not.

    A note is looked for from when it was asked for until the next one is.
    """
    edges = np.searchsorted(take.times, [*asked, np.inf])
    found = np.full(len(asked), np.nan)
    for i, (start, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        index = first_audible(take.sound[start:stop])
        if index is not None:
            found[i] = take.times[start + index]
    return found


def beyond_frame(late: np.ndarray, frame: float) -> np.ndarray:
    """How far each deviation lies outside a span one frame long, laid where that is least.

    late (notes,): heard minus asked. Events act on whole frames, so a faultless player's
    deviations fill just one frame; what lies outside is not the frames' doing.
    """
    centres = np.linspace(late.min(), late.max(), 401)
    outside = np.maximum(np.abs(late[:, None] - centres) - frame / 2, 0)
    return outside[:, outside.mean(axis=0).argmin()]


def _bundle(unix: float, message: bytes) -> bytes:
    """An OSC bundle of one message, for a time in seconds since 1970."""
    timetag = round((unix + NTP_EPOCH_S) * 2**32)
    return b"#bundle\0" + struct.pack(">Qi", timetag, len(message)) + message
