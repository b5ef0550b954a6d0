"""Commands carried out: an address and its arguments in, an answer out.

Whatever brings commands (OSC now, a page) calls this; the time of a command is its caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from daw_bridge.commands.actions import Answer, Session
from daw_bridge.commands.argument import Value, check_all
from daw_bridge.commands.command import Access, Command
from daw_bridge.commands.table import find

REMEMBERED = 1_024
"""Addresses that are kept once they have been read: a DAW sends the same few again and again."""


class Does(Enum):
    """What running a call does."""

    ACT = auto()
    ASK = auto()
    NOTHING = auto()
    """It is the release of a push button."""


class Call(NamedTuple):
    """A command with checked arguments, ready to run.

    address: as it was sent; place: the arguments that are written in it; values: the others.
    """

    command: Command
    address: str
    does: Does
    place: tuple[Value, ...]
    values: tuple[Value | None, ...]

    @property
    def timed(self) -> bool:
        """Whether it may have a time of its own; others act at once."""
        return self.command.timed and self.does is Does.ACT


class Console:
    """Reads and runs the commands of a session. Any thread may use it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._found = lru_cache(REMEMBERED)(self._find)

    def read(self, address: str, values: Sequence[object]) -> Call:
        """The call that an address and its arguments make. ValueError, in one line, if none."""
        command, place, is_button = self._found(address)
        if is_button:
            # Only the first counts: liblo's oscsendfile repeats arguments of messages before.
            (pressed,) = check_all(command.arguments, values[:1])
            does = Does.ASK if command.ask else Does.ACT
            return Call(command, address, does if pressed else Does.NOTHING, place, ())
        if command.ask and not values:
            return Call(command, address, Does.ASK, place, ())
        return Call(command, address, Does.ACT, place, check_all(command.arguments, values))

    def run(self, call: Call, time: int) -> tuple[str, Answer] | None:
        """Carry out a call at a time in samples. Returns the answer's address and values, if any.

        ValueError, in one line for the sender, if it cannot be done; then it changed nothing, but
        for settings that found the inbox full (`Inbox.post`).
        """
        command, answer = call.command, None
        dropped = self._session.inbox.dropped_here
        if call.does is Does.ASK and command.ask:
            answer = command.ask(self._session, *call.place)
        elif call.does is Does.ACT and command.act:
            answer = command.act(self._session, time, *call.place, *call.values)
        if self._session.inbox.dropped_here != dropped:
            raise ValueError("too much waits for its time: there was no room for all of this")
        return None if answer is None else (command.reply or call.address, answer)

    def _find(self, address: str) -> tuple[Command, tuple[Value, ...], bool]:
        """A command of this bank, the arguments in its address, and whether it is a button."""
        command, written = find(address)
        desk = self._session.desk
        command = command.for_bank(list(desk.book.knobs), desk.reach)
        places = zip(command.place, written, strict=True)
        place = tuple(argument.check_written(text) for argument, text in places)
        return command, place, Access.TRIGGER in command.access
