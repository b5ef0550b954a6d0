"""What one part plays during some frames: the one contract between bridge and synth.

The bridge makes windows from notes, pedals and knobs; the synth turns them into sound. Neither
knows the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

KEYS = 88
LOWEST_KEY = 21
HIGHEST_KEY = LOWEST_KEY + KEYS - 1
"""MIDI key numbers of a piano: A0 to C8."""
ROLL_CHANNELS = 2 * KEYS
"""Channels 0-87 of a roll hold the keys that sound, 88-175 those struck on this very frame."""
PARTS = range(1, 17)
"""Part numbers: MIDI channels as a DAW counts them."""
VOICES = 2
"""Voices of a part: while notes of one patch sound on, the next patch can be played."""


@dataclass(frozen=True, slots=True)
class Window:
    """One voice of one part for some frames.

    part 1..16; voice 0..1; roll (frames, 176) float32, velocity / 127 in 0..1; embedding (frames,
    size) float32; gain (frames, 2) float32, linear, left and right; bend (frames,) float32,
    semitones; cut (frames,) bool, true where all sound ends. late (frames, 88) float32: how
    many frames after the start of its frame the onset of a key came, 0..1, and 0 where there is no
    onset; None where all came with it.
    """

    part: int
    roll: np.ndarray
    embedding: np.ndarray
    gain: np.ndarray
    bend: np.ndarray
    cut: np.ndarray
    voice: int = 0
    late: np.ndarray | None = None

    @property
    def lateness(self) -> np.ndarray:
        """`late`, or as many zeros: (frames, 88) float32."""
        # Cut off of the roll, so that numpy, which only the roll's maker needs, stays unimported.
        return self.roll[:, :KEYS] * 0 if self.late is None else self.late

    @property
    def row(self) -> int:
        """A number of its own for each voice of each part, as `row_of` gives it."""
        return row_of(self.part, self.voice)

    def span(self, start: int, count: int) -> Window:
        """Frames start .. start + count of this window, as views."""
        at = slice(start, start + count)
        return Window(
            self.part,
            self.roll[at],
            self.embedding[at],
            self.gain[at],
            self.bend[at],
            self.cut[at],
            self.voice,
            None if self.late is None else self.late[at],
        )


def row_of(part: int, voice: int) -> int:
    """The row of a voice: of the first one, that of its part.

    >>> row_of(1, 0), row_of(16, 0), row_of(1, 1)
    (1, 16, 17)
    """
    return part + voice * len(PARTS)


def part_of(row: int) -> int:
    """The part that a row belongs to.

    >>> part_of(1), part_of(16), part_of(17)
    (1, 16, 1)
    """
    return (row - 1) % len(PARTS) + 1
