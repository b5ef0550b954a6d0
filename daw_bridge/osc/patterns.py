"""Address patterns of OSC 1.0: /part/*/pan, /part/{1,2}/note, /part/[1-3]/knob/b?eath.

A pattern reaches the addresses that name a part; those of patches and of the server it does not,
so that no star can delete or save anything. It is compared by positions, not by a regular
expression, so that no pattern takes long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from daw_bridge.commands.argument import Argument, Kind
from daw_bridge.commands.command import Command

SPECIAL = frozenset("*?[]{}")

LONGEST = 128
"""Characters that a pattern may have."""

Piece = tuple[str, ...] | frozenset[str] | None
"""Of a pattern: one of these texts, one of these characters, or (None) any characters.

An empty set is any one character.
"""


def is_pattern(address: str) -> bool:
    """Whether an address has any of the characters that make a pattern."""
    return not SPECIAL.isdisjoint(address)


def matches(pattern: str, commands: Iterable[Command]) -> Iterator[str]:
    """The addresses of these commands that a pattern fits, in their order.

    commands: filled in for a bank. Those without a <name> in their address are left out, and so
    are aliases wherever others fit. ValueError for what is no pattern.
    """
    if len(pattern) > LONGEST:
        raise ValueError(f"address pattern: at most {LONGEST} characters, got {len(pattern)}")
    words = pattern.split("/")
    commands = [c for c in commands if c.place and c.address.count("/") == len(words) - 1]
    parsed = [(word, _pieces(word) if is_pattern(word) else None) for word in words]
    found = False
    for aliases in (False, True):
        if found and aliases:
            return
        for command in commands:
            if bool(command.alias_of) == aliases:
                for address in _addresses(parsed, command):
                    found = True
                    yield address


def fits(pieces: Sequence[Piece], text: str) -> bool:
    """Whether a text is what these pieces say, from its start to its end.

    >>> fits(_pieces("b[!p-q]*s{x,s}"), "brightness")
    True
    """
    at = {0}
    for piece in pieces:
        if piece is None:
            at = set(range(min(at), len(text) + 1))
        elif isinstance(piece, tuple):
            at = {i + len(p) for i in at for p in piece if text.startswith(p, i)}
        else:
            at = {i + 1 for i in at if i < len(text) and (not piece or text[i] in piece)}
        if not at:
            return False
    return len(text) in at


def _addresses(words: Sequence[tuple[str, list[Piece] | None]], command: Command) -> Iterator[str]:
    """The addresses of one command that fit."""
    place = iter(command.place)
    choices = []
    for own, (word, pieces) in zip(command.address.split("/"), words, strict=True):
        argument = next(place) if own.startswith("<") else None
        if pieces is None:
            # Whether a value that is written out is right, the command itself says.
            choices.append([word] if argument or own == word else [])
        else:
            known = _values(argument) if argument else [own]
            choices.append([text for text in known if fits(pieces, text)])
    return map("/".join, product(*choices))


def _values(argument: Argument) -> Iterable[str]:
    """All that may be written in an address for an argument."""
    if argument.kind is Kind.WHOLE:
        return map(str, range(int(argument.low), int(argument.high) + 1))
    return argument.names or ()


def _pieces(word: str) -> list[Piece]:
    """The pieces of one word of a pattern. ValueError for a bracket without its end."""
    pieces: list[Piece] = []
    at = 0
    while at < len(word):
        match word[at]:
            case "*":
                pieces.append(None)
            case "?":
                pieces.append(frozenset())
            case "[":
                end = _end(word, at, "]")
                pieces.append(_characters(word[at + 1 : end]))
                at = end
            case "{":
                end = _end(word, at, "}")
                pieces.append(tuple(word[at + 1 : end].split(",")))
                at = end
            case plain:
                pieces.append((plain,))
        at += 1
    return pieces


def _end(word: str, at: int, closing: str) -> int:
    end = word.find(closing, at + 1)
    if end < 0:
        raise ValueError(f"address pattern: {word[at]!r} without {closing!r}")
    return end


def _characters(inside: str) -> frozenset[str]:
    """What [...] means, of the characters that addresses here have."""
    printable = frozenset(map(chr, range(33, 127)))
    negated, inside = inside.startswith("!"), inside.removeprefix("!")
    chosen, at = set(), 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            chosen |= {c for c in printable if inside[at] <= c <= inside[at + 2]}
            at += 3
        else:
            chosen.add(inside[at])
            at += 1
    if not chosen:
        raise ValueError("address pattern: nothing between '[' and ']'")
    return printable - chosen if negated else frozenset(chosen)
