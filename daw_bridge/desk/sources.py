"""What can turn a knob: a controller or a parameter (NRPN), on every channel or on one.

21                   controller 21 on any channel
nrpn/300             a parameter that a maker has of its own
channel/3/21         controller 21 on channel 3 alone
channel/3/nrpn/300   likewise
"""

from __future__ import annotations

from collections.abc import Iterable

from common.checks import brief, whole
from common.window import PARTS

TAKEN = {0, 6, 32, 38, 64, 66, 67, *range(96, 102), *range(120, 128)}
"""Controllers that keep their meaning: bank select, data entry, pedals, parameters, modes."""

NRPN = "nrpn/"
"""Before the number 0..16382 of a parameter that a maker has of its own."""
MOST_NRPN = 16_382
CHANNEL = "channel/"
"""Before a channel, and what is meant on it."""
NEXT_MOVED = "next"
"""Stands for the next source that moves, in `read_wanted`."""

Source = int | str
"""What turns a knob: a controller 0..127, or a text as above."""


def read_source(value: object) -> Source:
    """What a value means as a source. ValueError in one line if it is none.

    >>> read_source(21), read_source("nrpn/300"), read_source("channel/03/21")
    (21, 'nrpn/300', 'channel/3/21')
    """
    channel, what = _parted(value)
    if isinstance(what, str) and what.startswith(NRPN):
        number = _decimal(what.removeprefix(NRPN))
        if not 0 <= number <= MOST_NRPN:
            raise ValueError(f"controller: expected nrpn/0 to nrpn/{MOST_NRPN}, got {brief(value)}")
        return on_channel(channel, f"{NRPN}{number}")
    if isinstance(what, str) and what.isdecimal():
        what = _decimal(what)
    return on_channel(channel, whole("controller", what, 0, 127))


def read_wanted(value: object) -> tuple[int | None, Source]:
    """Channel and source that a knob is to be turned by, as `MidiMap.learn` takes them.

    The source may be "next"; "channel/next" is the next one that moves, for its channel alone, and
    then the channel is None. ValueError in one line for anything else.

    >>> read_wanted("next"), read_wanted("channel/3/next"), read_wanted("channel/next")
    ((0, 'next'), (3, 'next'), (None, 'next'))
    """
    if value == f"{CHANNEL}{NEXT_MOVED}":
        return None, NEXT_MOVED
    channel, what = _parted(value)
    return channel, NEXT_MOVED if what == NEXT_MOVED else read_source(value)


def on_channel(channel: int, source: Source) -> Source:
    """A source of every channel as one of this channel; 0 leaves it as it is."""
    return f"{CHANNEL}{channel}/{source}" if channel else source


def parted(source: Source) -> tuple[int, Source]:
    """The channel of a source, 0 for every channel, and the source without it.

    >>> parted("channel/3/21"), parted(21)
    ((3, 21), (0, 21))
    """
    if isinstance(source, str) and source.startswith(CHANNEL):
        channel, _, rest = source.removeprefix(CHANNEL).partition("/")
        return int(channel), int(rest) if rest.isdecimal() else rest
    return 0, source


def in_order(sources: Iterable[Source]) -> list[Source]:
    """Those of every channel first; controllers by their numbers, then the others by theirs."""

    def place(source: Source) -> tuple[int, bool, int]:
        channel, rest = parted(source)
        if isinstance(rest, int):
            return channel, False, rest
        return channel, True, int(rest.removeprefix(NRPN))

    return sorted(sources, key=place)


def _parted(value: object) -> tuple[int, object]:
    """Channel, 0 for every channel, and what is meant on it, which has not been checked."""
    if not (isinstance(value, str) and value.startswith(CHANNEL)):
        return 0, value
    number, _, rest = value.removeprefix(CHANNEL).partition("/")
    channel = _decimal(number)
    if not PARTS[0] <= channel <= PARTS[-1] or not rest:
        raise ValueError(
            f"controller: expected channel/{PARTS[0]}/... to channel/{PARTS[-1]}/..., "
            f"got {brief(value)}"
        )
    return channel, rest


def _decimal(text: str) -> int:
    """A number of up to five digits, -1 for what is none."""
    return int(text) if text.isdecimal() and len(text) <= 5 else -1
