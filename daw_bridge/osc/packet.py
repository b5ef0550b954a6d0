"""Open Sound Control 1.0 datagrams: bytes in, messages out, and back.

Written by hand rather than left to a library: every size is checked before it is believed,
so no packet can make the reader loop, recurse or read beyond its end. A packet is taken
whole or refused whole. (opensoundcontrol.stanford.edu/spec-1_0.html)
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

MAX_PACKET = 65_535
"""The largest UDP datagram, in bytes."""

MAX_DEPTH = 8
"""Bundles within bundles; real senders nest one or two."""

IMMEDIATELY = 1
"""The timetag that means now. 0, which some senders use for it, is taken alike."""

Argument = int | float | str | bytes | bool | None

_NUMBERS = {"i": ">i", "f": ">f", "h": ">q", "d": ">d", "t": ">Q"}
_CONSTANTS: dict[str, Argument] = {"T": True, "F": False, "N": None, "I": math.inf}


class Message(NamedTuple):
    """timetag: 64-bit NTP time of the enclosing bundle, None for now."""

    timetag: int | None
    address: str
    args: tuple[Argument, ...]


def messages(packet: bytes) -> list[Message]:
    """All messages of a packet, in order. ValueError, in one line, if any of it is malformed."""
    return list(_elements(packet, None, MAX_DEPTH))


def encode(address: str, *args: int | float | str) -> bytes:
    """A message as bytes: int -> i (h beyond 32 bits), float -> f, str -> s.

    Floats are 32 bits, which every receiver reads. struct.error or OverflowError for a
    number beyond its type.
    """
    tags, body = ",", b""
    for arg in args:
        if isinstance(arg, str):
            tags, body = tags + "s", body + _padded(arg)
        elif isinstance(arg, int):
            tag = "i" if -(2**31) <= arg < 2**31 else "h"
            tags, body = tags + tag, body + struct.pack(_NUMBERS[tag], arg)
        else:
            tags, body = tags + "f", body + struct.pack(">f", arg)
    return _padded(address) + _padded(tags) + body


def _elements(data: bytes, timetag: int | None, depth: int) -> list[Message]:
    if not data or len(data) % 4:
        raise ValueError(f"{len(data)} bytes: an element has a positive multiple of 4")
    if not data.startswith(b"#bundle\0"):
        return [_message(data, timetag)]
    if depth == 0:
        raise ValueError(f"bundles nested more than {MAX_DEPTH} deep")
    if len(data) < 16:
        raise ValueError("a bundle without a timetag")
    (own,) = struct.unpack_from(">Q", data, 8)
    if own > IMMEDIATELY:
        timetag = own
    found, at = [], 16
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if not 0 < size <= len(data) - at:
            raise ValueError(f"element size {size} where {len(data) - at} bytes are left")
        found += _elements(data[at : at + size], timetag, depth - 1)
        at += size
    return found


def _message(data: bytes, timetag: int | None) -> Message:
    address, at = _string(data, 0)
    if not address.startswith("/") or not address.isprintable():
        raise ValueError(f"address {address[:40]!r} does not start with '/' or is not printable")
    if at == len(data):  # senders older than type tags leave them out
        return Message(timetag, address, ())
    tags, at = _string(data, at)
    if not tags.startswith(","):
        raise ValueError(f"type tags {tags[:40]!r} do not start with ','")
    args = []
    for tag in tags[1:]:
        arg, at = _argument(tag, data, at)
        args.append(arg)
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes left over after the arguments")
    return Message(timetag, address, tuple(args))


def _argument(tag: str, data: bytes, at: int) -> tuple[Argument, int]:
    """The argument at byte `at`, and where the next one starts."""
    if tag in _CONSTANTS:
        return _CONSTANTS[tag], at
    if tag == "s":
        return _string(data, at)
    code = ">i" if tag == "b" else _NUMBERS.get(tag)
    if code is None:
        raise ValueError(f"unknown type tag {tag!r}")
    end = at + struct.calcsize(code)
    if end > len(data):
        raise ValueError(f"the packet ends within an argument of type {tag!r}")
    (value,) = struct.unpack_from(code, data, at)
    if tag != "b":
        return value, end
    following = end + value + -value % 4
    if value < 0 or following > len(data):
        raise ValueError(f"blob of {value} bytes where {len(data) - end} are left")
    return data[end : end + value], following


def _string(data: bytes, at: int) -> tuple[str, int]:
    """The zero-ended, padded string at byte `at`, and where the next item starts."""
    end = data.find(b"\0", at)
    if end < 0:
        raise ValueError("a string without an end")
    try:
        # UnicodeDecodeError is a ValueError, but its text spells out the whole packet.
        text = data[at:end].decode()
    except UnicodeDecodeError:
        raise ValueError("a string that is not UTF-8") from None
    return text, end + 4 - end % 4


def _padded(text: str) -> bytes:
    raw = text.encode()
    return raw + b"\0" * (4 - len(raw) % 4)
