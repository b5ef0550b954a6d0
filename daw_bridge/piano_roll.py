"""The score as the network reads it: events in, one column of 176 numbers for each frame out.

Channels 0-87 hold velocity / 127 of keys 21-108 while they sound (also while only a pedal holds
them), channels 88-175 the same value on the frame of the onset only. Training and playing share
this definition. An event acts on the whole frame that its time falls into; of onsets it is also
known where within it they fell. Playing heeds it; training does not: what a network learns from
has them anywhere in their frames, on the whole in the middle.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from common.window import KEYS, LOWEST_KEY, ROLL_CHANNELS
from daw_bridge.events import (
    SOFT,
    SOSTENUTO,
    SUSTAIN,
    AllNotesOff,
    AllSoundOff,
    Event,
    NoteOff,
    NoteOn,
    Pedal,
)

SOFT_PEDAL = 0.7
"""Factor on the velocity while the soft pedal is down: about -6 dB, as level follows its square."""


class PianoRoll:
    """One part's keys and pedals, written into columns frame by frame.

    hop: samples for each frame. Keys outside 21..108 are ignored.
    """

    def __init__(self, hop: int) -> None:
        self.hop = hop
        self._reset()

    def _reset(self) -> None:
        """Release every key and pedal."""
        self._sounding = np.zeros(KEYS, np.float32)
        self._onset = np.zeros(KEYS, np.float32)
        self._late = np.zeros(KEYS, np.float32)
        self._down = np.zeros(KEYS, bool)
        self._captured = np.zeros(KEYS, bool)
        self._pedals: set[int] = set()
        self._release_due = False

    @property
    def silent(self) -> bool:
        """Whether no key sounds."""
        return not self._sounding.any()

    def frames(self, events: Iterable[Event], start: int, count: int) -> np.ndarray:
        """The columns alone, as `play` makes them."""
        return self.play(events, start, count)[0]

    def play(
        self, events: Iterable[Event], start: int, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Columns of frames start .. start + count: (count, 176), float32 in 0..1; and how late
        each onset came in its frame: (count, 88), float32, as in `Window`.

        events: those of this part, in time order, none after the last frame. An event from
        before `start` acts on the first frame.
        """
        roll = np.empty((count, ROLL_CHANNELS), np.float32)
        late = np.zeros((count, KEYS), np.float32)
        done = 0
        for event in events:
            frame = max(event.time // self.hop - start, done)
            self._write(roll[done:frame], late[done:frame])
            done = frame
            self._apply(event, max(event.time / self.hop - start - frame, 0.0))
        self._write(roll[done:], late[done:])
        return roll, late

    def _write(self, roll: np.ndarray, late: np.ndarray) -> None:
        """Fill roll with the keys as they are now; onsets show on its first frame only."""
        if not len(roll):
            return
        roll[0, :KEYS], roll[0, KEYS:], late[0] = self._sounding, self._onset, self._late
        self._onset[:], self._late[:] = 0, 0
        if self._release_due:
            self._release()
        roll[1:, :KEYS], roll[1:, KEYS:] = self._sounding, 0

    def _apply(self, event: Event, late: float) -> None:
        """Let an event act. late: how many frames after the start of its own it came, 0..1."""
        match event:
            case NoteOn(key=key, velocity=velocity) if 0 <= key - LOWEST_KEY < KEYS:
                level = velocity / 127 * (SOFT_PEDAL if SOFT in self._pedals else 1)
                at = key - LOWEST_KEY
                if not self._onset[at]:
                    self._late[at] = late
                self._onset[at] = max(level, self._onset[at])
                self._sounding[at] = self._onset[at]
                self._down[at] = True
            case NoteOff(key=key) if 0 <= key - LOWEST_KEY < KEYS:
                self._down[key - LOWEST_KEY] = False
                self._release()
            case Pedal(number=number, down=True):
                if number == SOSTENUTO and SOSTENUTO not in self._pedals:
                    self._captured = self._down.copy()
                self._pedals.add(number)
            case Pedal(number=number):
                self._pedals.discard(number)
                if number == SOSTENUTO:
                    self._captured[:] = False
                self._release()
            case AllNotesOff():
                self._down[:] = False
                self._release()
            case AllSoundOff():
                self._reset()

    def _release(self) -> None:
        """Silence keys that nothing holds; a key struck in this frame sounds until it ends."""
        held = self._down | self._captured | (SUSTAIN in self._pedals)
        self._release_due = bool((~held & (self._onset > 0)).any())
        self._sounding[~held & (self._onset == 0)] = 0
