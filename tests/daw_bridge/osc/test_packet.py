"""Datagrams are read exactly, or refused before python-osc sees a size that is wrong."""

from __future__ import annotations

import math
import random
import struct

import pytest
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from daw_bridge.osc.packet import MAX_DEPTH, Message, encode, messages


def built(address: str, *args: tuple[str, object]) -> bytes:
    """A message by python-osc; args are (type tag, value)."""
    builder = OscMessageBuilder(address)
    for tag, value in args:
        builder.add_arg(value, tag)
    return builder.build().dgram


def bundle(timetag: int, *elements: bytes) -> bytes:
    sized = b"".join(struct.pack(">i", len(e)) + e for e in elements)
    return b"#bundle\0" + struct.pack(">Q", timetag) + sized


NOTE = built("/part/1/note", ("i", 60), ("i", 100))


def test_every_type_is_read_as_python_osc_wrote_it():
    packet = built(
        "/all",
        *[("i", -5), ("f", 0.25), ("s", "grün"), ("b", b"\1\2\3"), ("h", 2**40)],
        *[("d", math.pi), ("T", True), ("F", False), ("N", None), ("s", "")],
    )
    expected = (-5, 0.25, "grün", b"\1\2\3", 2**40, math.pi, True, False, None, "")
    assert messages(packet) == [Message(None, "/all", expected)]


def test_an_impulse_is_true():
    packet = b"/a\0\0,iIs\0\0\0\0" + struct.pack(">i", 7) + b"I\0\0\0"
    assert messages(packet) == [Message(None, "/a", (7, True, "I"))]


@pytest.mark.parametrize("tags", ["z", "iz", "[i]", "t", "m", "r", "c"])
def test_a_message_with_an_unknown_type_is_refused_alone(tags):
    odd = b"/odd\0\0\0\0" + f",{tags}".encode().ljust(8, b"\0") + struct.pack(">Q", 1)
    before, refused, after = messages(bundle(9 << 32, NOTE, odd, NOTE))
    assert before == after == Message(9 << 32, "/part/1/note", (60, 100))
    assert (refused.address, refused.args) == ("/odd", ())
    bad = tags.strip("i")[0]
    assert refused.problem.startswith(f"arguments of type {bad!r} are not taken; types taken are i")


@pytest.mark.parametrize("packet", [b"/old\0\0\0\0", b"/old\0\0\0\0,\0\0\0"])
def test_type_tags_may_be_missing_or_empty(packet):
    assert messages(packet) == [Message(None, "/old", ())]


def test_replies_are_read_by_python_osc():
    reply = encode("/status.reply", "blocks", 12, "big", 2**33, "load", 0.5, "name", "grün")
    parsed = OscMessage(reply)
    assert parsed.address == "/status.reply"
    assert parsed.params == ["blocks", 12, "big", 2**33, "load", 0.5, "name", "grün"]


@pytest.mark.parametrize("value", [10**30, 1e39, -(2**63) - 1])
def test_a_number_that_no_type_holds_is_refused(value):
    with pytest.raises(ValueError, match="^/x: cannot be sent as OSC") as refused:
        encode("/x", value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "a", "abc", "abcd", "abcde"])
def test_what_is_encoded_is_read_back(text):
    assert messages(encode("/x" + text, text, 1)) == [Message(None, "/x" + text, (text, 1))]


def test_bundles_hand_their_timetags_down():
    inner = bundle(9 << 32, NOTE)
    prompt = bundle(1, NOTE)
    found = messages(bundle(5 << 32, NOTE, inner, prompt))
    assert [m.timetag for m in found] == [5 << 32, 9 << 32, 5 << 32]
    assert [m.timetag for m in messages(bundle(1, NOTE)) + messages(bundle(0, NOTE))] == [None] * 2
    assert messages(bundle(1)) == []


def test_a_bundle_by_python_osc():
    builder = OscBundleBuilder(1_800_000_000.5)
    builder.add_content(OscMessage(NOTE))
    (found,) = messages(builder.build().dgram)
    assert found == Message(
        (1_800_000_000 + 2_208_988_800) << 32 | 1 << 31, "/part/1/note", (60, 100)
    )


def nested(depth: int) -> bytes:
    packet = NOTE
    for _ in range(depth):
        packet = bundle(1, packet)
    return packet


def test_nesting_is_bounded():
    assert len(messages(nested(MAX_DEPTH))) == 1
    for depth in (MAX_DEPTH + 1, 2000):
        with pytest.raises(ValueError, match="nested"):
            messages(nested(depth))


HEAD = b"#bundle\0" + struct.pack(">Q", 1)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"/a",
        b"\0\0\0\0",
        b"abc\0,\0\0\0",
        b"/abc",
        b"/a\n\0,\0\0\0",
        b"/a\xff\0,\0\0\0",
        b"/a\0\0i\0\0\0\0\0\0\1",
        b"/a\0\0,i\0\0",
        b"/a\0\0,d\0\0\0\0\0\0",
        b"/a\0\0,s\0\0abcd",
        b"/a\0\0,s\0\0",
        b"/a\0\0,b\0\0\0\0",
        b"/a\0\0,\0\0\0\0\0\0\1",
        b"/a\0\0,b\0\0" + struct.pack(">i", -4),
        b"/a\0\0,b\0\0" + struct.pack(">i", 2**31 - 1) + b"data",
        b"#bundle\0\0\0\0\0",
        HEAD + struct.pack(">i", -4),
        HEAD + struct.pack(">i", 0) + NOTE,
        HEAD + struct.pack(">i", 3) + NOTE,
        HEAD + struct.pack(">i", len(NOTE) + 4) + NOTE,
        HEAD + struct.pack(">i", 2**31 - 1) + NOTE,
        bundle(1, NOTE, b"junk"),
        b"#bundle\0" * 8000,
    ],
)
def test_malformed_packets_are_refused_whole(packet):
    with pytest.raises(ValueError) as refused:
        messages(packet)
    assert type(refused.value) is ValueError
    assert len(str(refused.value)) < 200


def test_every_truncation_is_refused():
    packet = bundle(1, NOTE, built("/x", ("s", "name"), ("b", b"12345"), ("d", 1.0)))
    for end in range(17, len(packet)):
        # A cut after a whole element leaves a shorter bundle that is sound.
        if end != 16 + 4 + len(NOTE):
            with pytest.raises(ValueError):
                messages(packet[:end])


def test_noise_is_read_or_refused_and_nothing_else():
    draw = random.Random(4)
    seeds = [NOTE, bundle(1, NOTE, nested(3)), built("/b", ("b", bytes(40)), ("s", "x" * 30))]
    outcomes = {True: 0, False: 0}
    for _ in range(30_000):
        packet = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 4)):
            packet[draw.randrange(len(packet))] = draw.choice([0, 1, 4, 44, 47, 127, 255])
        if draw.random() < 0.2:
            packet = packet[: draw.randrange(len(packet))]
        try:
            found = messages(bytes(packet))
        except ValueError:
            outcomes[False] += 1
        else:
            outcomes[True] += 1
            assert all(m.address.startswith("/") for m in found)
    assert min(outcomes.values()) > 1000  # the noise reaches both ends
