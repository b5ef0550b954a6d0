"""What a port delivers at once, as messages; and what it holds down."""

from __future__ import annotations

import random

import pytest

from daw_bridge.midi.stream import Hands, whole_messages


def told(text: str) -> list[str]:
    return [bytes(m).hex(" ") for m in whole_messages(list(bytes.fromhex(text)))]


@pytest.mark.parametrize(
    ("delivered", "messages"),
    [
        ("90 3c 64", ["90 3c 64"]),
        ("e0", ["e0"]),
        ("", [""]),
        ("f7", ["f7"]),
        ("f0 7e 01 f7", ["f0 7e 01 f7"]),
        ("f0 7e fe 01 f7", ["f0 7e 01 f7"]),
        ("f0 f7", ["f0 f7"]),
        ("f0 7e 01", []),
        ("f0 7e 01 80 3c 00 90 40 64 f7", ["80 3c 00", "90 40 64"]),
        ("f0 7e f8 01 80 f8 3c 00 f7", ["80 3c 00"]),
        ("f0 01 f0 02 c0 05 f7", ["c0 05"]),
        ("f0 01 80 3c 90 40 64 f7", ["80 3c", "90 40 64"]),
        ("f0 01 f2 01 02 f6 d1 07 f7", ["f2 01 02", "f6", "d1 07"]),
        ("f0 01 80 3c", ["80 3c"]),
    ],
)
def test_a_status_byte_ends_a_sysex(delivered, messages):
    assert told(delivered) == messages


def test_any_bytes_are_taken():
    draw = random.Random(11)
    for _ in range(3_000):
        data = [0xF0, *(draw.randrange(256) for _ in range(draw.randrange(30)))]
        assert all(message[0] >= 0x80 for message in whole_messages(data))


def test_hands_let_go_of_what_is_held_and_no_more():
    hands = Hands()
    notes = ("90 3c 64", "91 3c 64", "91 3c 00", "92 40 64", "82 40 10")
    for text in (*notes, "b0 40 7f", "b1 40 00"):
        hands.note(list(bytes.fromhex(text)))
    hands.note([0x90])
    assert hands.let_go() == [[0x80, 60, 0], [0xB0, 64, 0]]
    assert hands.let_go() == []
