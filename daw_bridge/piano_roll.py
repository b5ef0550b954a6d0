"""The score as the network reads it: events in, one column of 176 numbers for each frame out.

Channels 0-87 hold velocity / 127 of keys 21-108 while they sound (a pedal counts as holding
them), channels 88-175 the same on the onset's frame only. Training and playing share this
definition. An event acts on the whole frame that its time falls into.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

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

KEYS = 88
LOWEST_KEY = 21
HIGHEST_KEY = LOWEST_KEY + KEYS - 1
CHANNELS = 2 * KEYS
SOFT_PEDAL = 0.7
"""What the soft pedal makes of a velocity: about 6 dB less, as level follows its square."""


class PianoRoll:
    """One part's keys and pedals, played into columns frame by frame.

    `silent` is true when no key sounds. Keys outside 21..108 are ignored.
    """

    def __init__(self, hop: int) -> None:
        self.hop = hop
        self._sounding = np.zeros(KEYS, np.float32)
        self._onset = np.zeros(KEYS, np.float32)
        self._down = np.zeros(KEYS, bool)
        self._captured = np.zeros(KEYS, bool)
        self._pedals: set[int] = set()
        self._release_due = False

    @property
    def silent(self) -> bool:
        return not self._sounding.any()

    def frames(self, events: Iterable[Event], start: int, count: int) -> np.ndarray:
        """Columns of frames start .. start + count: (count, 176), float32 in 0..1.

        events: this part's, in time order, none beyond the last frame; one from before
        `start` acts on the first.
        """
        roll = np.empty((count, CHANNELS), np.float32)
        done = 0
        for event in events:
            frame = max(event.time // self.hop - start, done)
            self._write(roll[done:frame])
            done = frame
            self._apply(event)
        self._write(roll[done:])
        return roll

    def _write(self, roll: np.ndarray) -> None:
        """Fill roll with the keys as they stand; onsets show on its first frame only."""
        if not len(roll):
            return
        roll[0, :KEYS], roll[0, KEYS:] = self._sounding, self._onset
        self._onset[:] = 0
        if self._release_due:
            self._release()
        roll[1:, :KEYS], roll[1:, KEYS:] = self._sounding, 0

    def _apply(self, event: Event) -> None:
        match event:
            case NoteOn(key=key, velocity=velocity) if 0 <= key - LOWEST_KEY < KEYS:
                level = velocity / 127 * (SOFT_PEDAL if SOFT in self._pedals else 1)
                at = key - LOWEST_KEY
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
                self.__init__(self.hop)

    def _release(self) -> None:
        """Silence what nothing holds; a key struck in this very frame sounds for its length."""
        held = self._down | self._captured | (SUSTAIN in self._pedals)
        self._release_due = bool((~held & (self._onset > 0)).any())
        self._sounding[~held & (self._onset == 0)] = 0
