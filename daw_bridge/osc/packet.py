"""Open Sound Control 1.0 datagrams: bytes in, messages out, and back.

python-osc decodes and encodes messages; those of only numbers are decoded here, for speed. Its
parser believes the sizes that a packet states, so every size is checked first; no packet can make
it loop, recurse or read beyond the end. A packet with a wrong size is refused whole; a message with
an argument of an unknown type is refused alone. (opensoundcontrol.stanford.edu/spec-1_0.html)
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import BuildError, OscMessageBuilder

MAX_PACKET = 65_535
"""The largest UDP datagram, in bytes."""

MAX_DEPTH = 8
"""Bundles within bundles; real senders nest one or two."""

IMMEDIATELY = 1
"""The timetag that means now. 0, which some senders use for it, counts as the same."""

SIZES = dict(zip(b"ifhdTFNI", (4, 4, 8, 8, 0, 0, 0, 0), strict=True))
"""Bytes of an argument, by type tag."""

PLAIN_BYTES = 256
"""Addresses with type tags are remembered up to this length; real ones are far shorter."""

STRING, BLOB = STATED = b"sb"
"""Type tags of arguments that state their own size."""

Argument = int | float | str | bytes | bool | None


class Message(NamedTuple):
    """A message. timetag: 64-bit NTP time of its bundle, None for now.

    problem: "", or why the message must be refused, in one line; args is empty then.
    """

    timetag: int | None
    address: str
    args: tuple[Argument, ...]
    problem: str = ""


def messages(packet: bytes) -> list[Message]:
    """All messages of a packet, in order. ValueError, in one line, if a size in it is wrong."""
    return _elements(packet, None, MAX_DEPTH)


def encode(address: str, *args: int | float | str) -> bytes:
    """A message as bytes: int -> i (h beyond 32 bits), float -> f, str -> s, bool -> T or F.

    Floats are sent with 32 bits, which every receiver reads. ValueError for a number that does not
    fit its type.
    """
    builder = OscMessageBuilder(address)
    for arg in args:
        builder.add_arg(arg)
    try:
        return builder.build().dgram
    except (BuildError, OverflowError) as error:
        raise ValueError(f"{address}: cannot be sent as OSC ({error})") from None


def _elements(data: bytes, timetag: int | None, depth: int) -> list[Message]:
    if not data or len(data) % 4:
        raise ValueError(f"expected an element of a positive multiple of 4 bytes, got {len(data)}")
    if not data.startswith(b"#bundle\0"):
        return [_message(data, timetag)]
    if depth == 0:
        raise ValueError(f"bundles are nested more than {MAX_DEPTH} deep")
    if len(data) < 16:
        raise ValueError("a bundle has no timetag")
    (own,) = struct.unpack_from(">Q", data, 8)
    if own > IMMEDIATELY:
        timetag = own
    found: list[Message] = []
    at = 16
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if not 0 < size <= len(data) - at:
            raise ValueError(f"element of {size} bytes, but {len(data) - at} are left")
        found += _elements(data[at : at + size], timetag, depth - 1)
        at += size
    return found


def _message(data: bytes, timetag: int | None) -> Message:
    """The message that data is. ValueError if it is cut short, too long or not text."""
    start = _text_end(data, 0)
    if start == len(data):  # senders older than type tags leave them out
        return Message(timetag, _decoded(data).address, ())
    at = end = _text_end(data, start)
    plain = _plain(data[:end], start) if end <= PLAIN_BYTES else None
    # If the size is wrong, the checks below say why.
    if plain and plain[1].size == len(data) - end:
        return Message(timetag, plain[0], plain[1].unpack_from(data, end))
    tags = data[start : data.index(b"\0", start)]
    if not tags.startswith(b","):
        raise ValueError(f"type tags {tags[:40]!r} do not start with ','")
    for tag in tags[1:]:
        if tag not in SIZES and tag not in STATED:
            known = bytes((*SIZES, *STATED)).decode()
            problem = f"arguments of type {chr(tag)!r} are not taken; types taken are {known}"
            return Message(timetag, _decoded(data[:start]).address, (), problem)
        at = _after(tag, data, at)
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes are left after the arguments")
    if b"I" in tags:
        # python-osc does not know the impulse: it is taken as true, which has no bytes either.
        data = data[:start] + data[start:end].replace(b"I", b"T") + data[end:]
    message = _decoded(data)
    return Message(timetag, message.address, tuple(message))


@lru_cache(1_024)
def _plain(head: bytes, start: int) -> tuple[str, struct.Struct] | None:
    """Address and layout of a message that has only ints and floats; None if it has others.

    head: its address and, from byte `start`, its type tags. Notes and knobs are such messages, and
    a DAW sends the same heads again and again. Reading them this way takes 1 us instead of 4: with
    4, a flood of 18,000 notes a second lost some on a busy machine.
    """
    comma, tags = head[start : start + 1], head[start + 1 :].rstrip(b"\0")
    if comma != b"," or tags.strip(b"ifd"):
        return None
    return _decoded(head[:start]).address, struct.Struct(b">" + tags)


def _decoded(data: bytes) -> OscMessage:
    """What python-osc reads in a message whose sizes are right. ValueError if it is not text."""
    try:
        message = OscMessage(data)
    except UnicodeDecodeError:  # a ValueError, but its text holds the whole packet
        raise ValueError("a text is not UTF-8") from None
    address = message.address
    if not address.startswith("/") or not address.isprintable():
        raise ValueError(f"address {address[:40]!r} does not start with '/' or is not printable")
    return message


def _after(tag: int, data: bytes, at: int) -> int:
    """Where the argument ends that starts at byte `at`. ValueError if that is beyond the data."""
    size = SIZES.get(tag)
    if size is None and tag == STRING:
        return _text_end(data, at)
    end = at + (4 if size is None else size)
    if end > len(data):
        raise ValueError(f"the message ends within an argument of type {chr(tag)!r}")
    if size is not None:
        return end
    (size,) = struct.unpack_from(">i", data, at)
    after = end + size + -size % 4
    if size < 0 or after > len(data):
        raise ValueError(f"blob of {size} bytes, but {len(data) - end} are left")
    return after


def _text_end(data: bytes, at: int) -> int:
    """Where the text at byte `at` ends: after its zero, and the zeros up to a multiple of 4."""
    end = data.find(b"\0", at)
    if end < 0:
        raise ValueError("a text has no end")
    return end + 4 - end % 4
