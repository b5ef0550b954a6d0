"""The table of commands as OSCQuery describes it: a tree of addresses, types, ranges and values.

Control surfaces read it over HTTP (page/query.py) and lay themselves out.
(OSCQuery Proposal: https://github.com/Vidvox/OSCQueryProposal)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from typing import Any

from daw_bridge.commands.actions import Session
from daw_bridge.commands.argument import Argument, FromBank, Kind, Value
from daw_bridge.commands.command import Access, Command
from daw_bridge.commands.table import ALIASES, COMMANDS

Node = dict[str, Any]
"""One address, as JSON has it."""

TYPES = {
    Kind.WHOLE: "i",
    Kind.NUMBER: "f",
    Kind.TEXT: "s",
    Kind.SWITCH: "i",
    Kind.SOURCE: "s",
    Kind.WANTED: "s",
}
"""OSC's type of each kind. A controller may be sent as a number or as a text."""

READ, WRITE = 1, 2
"""OSCQuery's ACCESS: both are 3."""

ATTRIBUTES = ("VALUE", "TYPE", "RANGE", "DESCRIPTION", "ACCESS")
"""What a leaf of the tree may be asked for alone."""


def tree(session: Session) -> Node:
    """Every address but those of other programs, with its value now."""
    root: Node = {"FULL_PATH": "/", "CONTENTS": {}}
    book, reach = session.desk.book, session.desk.reach
    for command in COMMANDS:
        if command in ALIASES.commands:
            continue
        of_bank = command.for_bank(list(book.knobs), reach, book.axes)
        for address, place in addresses(of_bank):
            node = root
            for word in address.split("/")[1:]:
                contents = node.setdefault("CONTENTS", {})
                path = f"{node['FULL_PATH'].rstrip('/')}/{word}"
                node = contents.setdefault(word, {"FULL_PATH": path})
            node.update(_leaf(session, of_bank, place))
    return root


def find_node(root: Node, address: str) -> Node | None:
    """The node of an address in a tree, None if there is none."""
    node = root
    for word in filter(None, address.split("/")):
        if word not in node.get("CONTENTS", {}):
            return None
        node = node["CONTENTS"][word]
    return node


def addresses(command: Command) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """Every address of a command, with what is written in it.

    command: as `Command.for_bank` fills it in.
    """
    for place in product(*map(_choices, command.place)):
        address = command.address
        for argument, chosen in zip(command.place, place, strict=True):
            address = address.replace(f"<{argument.name}>", str(chosen))
        yield address, place


def _choices(argument: Argument) -> tuple[Value, ...]:
    """All that may be written in a place of an address."""
    if argument.names is not None:
        return argument.names
    return tuple(range(int(argument.low), int(argument.high) + 1))


def _leaf(session: Session, command: Command, place: tuple[Value, ...]) -> Node:
    reads = command.ask is not None and Access.WRITE in command.access
    node: Node = {
        "DESCRIPTION": command.help,
        "ACCESS": WRITE + READ * reads,
        "TYPE": "".join(TYPES[argument.kind] for argument in command.arguments),
    }
    if command.arguments:
        node["RANGE"] = [_range(session, argument) for argument in command.arguments]
    if reads and command.ask is not None:
        with suppress(ValueError):  # such as the morph of a part that is on none
            node["VALUE"] = list(command.ask(session, *place))
    return node


def _range(session: Session, argument: Argument) -> Node:
    if argument.kind is Kind.SWITCH:
        return {"VALS": [0, 1]}
    if argument.from_bank is FromBank.PATCH:
        return {"VALS": session.desk.names}
    if argument.from_bank is FromBank.REACH:
        low = min(low for low, _ in session.desk.reach)
        return {"MIN": low, "MAX": max(high for _, high in session.desk.reach)}
    if argument.names is not None:
        return {"VALS": list(argument.names)}
    if not math.isfinite(argument.low):
        return {}
    return {"MIN": argument.low, "MAX": argument.high}
