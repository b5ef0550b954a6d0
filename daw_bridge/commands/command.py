"""A command as data: its address, its arguments, what can be done with it and what it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, Flag, auto

from daw_bridge.commands.actions import Answer
from daw_bridge.commands.argument import Argument
from daw_bridge.desk.settings import Range

Act = Callable[..., Answer | None]
"""Takes a Session, the time in samples, and the arguments; see actions.py."""

Ask = Callable[..., Answer]
"""Takes a Session and the arguments that are written in the address."""


class Access(Flag):
    """What can be done with an address."""

    READ = auto()
    """It answers when it is sent without arguments."""
    WRITE = auto()
    """It takes values."""
    TRIGGER = auto()
    """It is a push button: it acts without arguments, or with one that is not 0."""


class Files(Enum):
    """What a command does with files."""

    NONE = auto()
    READ = auto()
    CHANGE = auto()
    """It may write or delete some."""


@dataclass(frozen=True, slots=True)
class Command:
    """One verb.

    address: `place` are the arguments that are written in it, as <name>. reply: the address of the
    answer, "" for the address that was sent. timed: whether it waits for the timetag of its
    bundle. files: what it does with files, which takes a while. alias_of: the address of the
    command that it stands for.
    """

    address: str
    help: str
    access: Access
    place: tuple[Argument, ...] = ()
    arguments: tuple[Argument, ...] = ()
    act: Act | None = None
    ask: Ask | None = None
    reply: str = ""
    timed: bool = False
    files: Files = Files.NONE
    alias_of: str = ""

    def for_bank(
        self, knobs: Sequence[str], reach: Sequence[Range], axes: Sequence[str] = ()
    ) -> Command:
        """The command for a bank with these knobs, and coordinates of these ranges and names."""

        def filled(arguments: tuple[Argument, ...]) -> tuple[Argument, ...]:
            return tuple(x for a in arguments for x in a.for_bank(knobs, reach, axes))

        return replace(self, place=filled(self.place), arguments=filled(self.arguments))

    def written(self, address: str) -> list[str] | None:
        """What an address has in the places of <names>; None if it is not of this command."""
        mine, given = self.address.split("/"), address.split("/")
        if len(mine) != len(given):
            return None
        found = []
        for own, word in zip(mine, given, strict=True):
            if own.startswith("<"):
                found.append(word)
            elif own != word:
                return None
        return found


@dataclass(frozen=True, slots=True)
class Group:
    """Commands that belong together, under one title."""

    title: str
    commands: tuple[Command, ...]
