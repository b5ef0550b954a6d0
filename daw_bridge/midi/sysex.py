"""System exclusive messages that an ear would hear: resets, volume and tuning of all channels, and
which channels are drums.

From General MIDI 1 and 2 (universal, 7E), Roland's GS (41) and Yamaha's XG (43). Bytes here are
those between F0 and F7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

DRUMS = 10
"""The part (MIDI channel, counted from 1) that General MIDI keeps for drums."""

_GS_PARTS = (10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16)
"""Channel of each GS part block: the drums' comes first."""


class Reset(Enum):
    """A message that puts a device back to its start; what it then behaves like."""

    GM = "GM"
    GM2 = "GM2"
    GS = "GS"
    XG = "XG"


@dataclass(frozen=True, slots=True)
class DrumSwitch:
    """A channel 1..16 becomes one for drums, or one for an instrument."""

    channel: int
    drums: bool


@dataclass(frozen=True, slots=True)
class MasterVolume:
    """The level of all channels, 0..1."""

    amount: float


@dataclass(frozen=True, slots=True)
class MasterTuning:
    """The tuning of all channels: either cents, -100..100, or semitones, -64..63."""

    cents: float | None = None
    semitones: int | None = None


Meaning = Reset | DrumSwitch | MasterVolume | MasterTuning


def read_sysex(data: Sequence[int]) -> Meaning | None:
    """What a message says, None if it is none of these. Checksums are not looked at."""
    match tuple(data):
        case (0x7F, _, 0x04, 0x01, lower, upper):
            return MasterVolume((128 * upper + lower) / 16_383)
        case (0x7F, _, 0x04, 0x03, lower, upper):
            return MasterTuning(cents=(128 * upper + lower - 8192) / 8192 * 100)
        case (0x7F, _, 0x04, 0x04, _, upper):
            return MasterTuning(semitones=upper - 64)
        case (0x41, _, 0x42, 0x12, 0x40, 0x00, 0x04, volume, *_):
            return MasterVolume(volume / 127)
        case (0x43, device, 0x4C, 0x00, 0x00, 0x04, volume) if device >> 4 == 1:
            return MasterVolume(volume / 127)
        case (0x7E, _, 0x09, 0x01):
            return Reset.GM
        case (0x7E, _, 0x09, 0x03):
            return Reset.GM2
        case (0x41, _, 0x42, 0x12, 0x40, 0x00, 0x7F, 0x00, *_):
            return Reset.GS
        case (0x41, _, 0x42, 0x12, 0x00, 0x00, 0x7F, 0x00 | 0x01, *_):  # SC-88 mode set
            return Reset.GS
        case (0x41, _, 0x42, 0x12, 0x40, block, 0x15, kit, *_) if block >> 4 == 1:
            return DrumSwitch(_GS_PARTS[block & 15], kit > 0)
        case (0x43, device, 0x4C, 0x00, 0x00, 0x7E | 0x7F, 0x00) if device >> 4 == 1:
            return Reset.XG
        case (0x43, device, 0x4C, 0x08, part, 0x07, mode) if device >> 4 == 1 and part < 16:
            return DrumSwitch(part + 1, mode > 0)
    return None


def missed(data: Sequence[int]) -> str:
    """What a universal message would do that an ear would miss here; "" if it is another one."""
    match tuple(data):
        case (0x7E | 0x7F, _, 0x08, *_):
            return "tuning of single keys (MTS)"
    return ""


LOWEST_KIT = {Reset.GM2: 120, Reset.XG: 126}
"""The upper bank number from which on a bank holds drum kits."""


class DrumChannels:
    """Which channels 1..16 are drums, as messages say one after the other: at first the tenth."""

    def __init__(self) -> None:
        self._drums = {DRUMS}
        self._mode: Reset | None = None
        self._banks: dict[int, int] = {}
        """Upper bank number of each channel, which counts from its next program on."""

    def __contains__(self, channel: int) -> bool:
        return channel in self._drums

    def hear_sysex(self, data: Sequence[int]) -> None:
        """Take a system exclusive message; those that say nothing about drums change nothing."""
        match read_sysex(data):
            case Reset() as mode:
                self._drums, self._mode, self._banks = {DRUMS}, mode, {}
            case DrumSwitch(channel, drums):
                self._set(channel, drums)

    def hear_bank(self, channel: int, upper: int) -> None:
        """Take controller 0, the upper bank number."""
        self._banks[channel] = upper

    def hear_program(self, channel: int) -> None:
        """Take a program change: in XG and GM2 the bank says what the channel is."""
        if self._mode in LOWEST_KIT and channel in self._banks:
            self._set(channel, self._banks[channel] >= LOWEST_KIT[self._mode])

    def _set(self, channel: int, drums: bool) -> None:
        (self._drums.add if drums else self._drums.discard)(channel)
