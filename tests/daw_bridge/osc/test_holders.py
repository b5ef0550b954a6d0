"""Keys of OSC senders that are gone are released; those that are held on purpose are not."""

from __future__ import annotations

import socket

import pytest

from daw_bridge.events import AllNotesOff, AllSoundOff, NoteOff, NoteOn, Pedal
from daw_bridge.osc.holders import CLOSED_S, LASTING_S, REMEMBERED, Holders, is_closed
from tests.alone import own_port

HERE = "127.0.0.1"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def speak(holders: Holders, clock: Clock, sender: tuple, lasting_s: float = LASTING_S + 1) -> None:
    """A sender holds two keys and a pedal, and says something later."""
    holders.heard(sender)
    holders.note(sender, NoteOn(10, 1, 60, 100))
    holders.note(sender, NoteOn(10, 1, 64, 100))
    holders.note(sender, Pedal(20, 2, 64, True))
    clock.now += lasting_s
    holders.heard(sender)


RELEASES = [NoteOff(99, 1, 60), NoteOff(99, 1, 64), Pedal(99, 2, 64, False)]


def test_a_program_that_has_ended_lets_go(clock):
    holders, sender = Holders(clock=clock), (HERE, own_port())
    speak(holders, clock, sender)
    clock.now += CLOSED_S - 1
    assert not holders.gone(99)
    clock.now += 2
    assert holders.gone(99) == {sender: RELEASES}
    assert not holders.gone(99)


@pytest.mark.parametrize("family, address", [(socket.AF_INET, HERE), (socket.AF_INET6, "::1")])
@pytest.mark.parametrize("every", [False, True])
def test_a_program_that_lives_may_hold_a_drone_for_ever(clock, family, address, every):
    with socket.socket(family, socket.SOCK_DGRAM) as living:
        try:
            living.bind(("" if every else address, 0))
        except OSError:
            pytest.skip(f"this machine has no {address}")
        holders, sender = Holders(clock=clock), (address, living.getsockname()[1])
        assert not is_closed(*sender)
        speak(holders, clock, sender)
        clock.now += 1e6
        assert not holders.gone(99)
    assert holders.gone(99) == {sender: RELEASES}


def test_a_port_for_one_message_says_nothing_of_its_sender(clock):
    holders = Holders(clock=clock)
    speak(holders, clock, (HERE, own_port()), lasting_s=0)
    clock.now += 1e6
    assert not holders.gone(99)


def test_of_other_machines_only_a_stated_silence_is_known(clock):
    sender = ("192.0.2.1", 9)
    for silence_s, wanted in ((None, {}), (60.0, {sender: RELEASES})):
        holders = Holders(silence_s, clock=clock)
        speak(holders, clock, sender)
        clock.now += 59
        assert not holders.gone(99)
        clock.now += 2
        assert holders.gone(99) == wanted


def test_never_means_never(clock):
    holders = Holders(closed=False, clock=clock)
    speak(holders, clock, (HERE, own_port()))
    clock.now += 1e6
    assert not holders.gone(99)


@pytest.mark.parametrize(
    "event, left",
    [
        (NoteOff(30, 1, 60), RELEASES[1:]),
        (NoteOff(5, 1, 60), RELEASES),  # an earlier one than the press
        (Pedal(30, 2, 64, False), RELEASES[:2]),
        (AllNotesOff(30, 1), RELEASES[2:]),
        (AllSoundOff(30, 1), RELEASES[2:]),
        (AllSoundOff(30, 2), RELEASES[:2]),
    ],
)
def test_what_has_been_released_is_not_released_again(clock, event, left):
    holders, sender, other = Holders(60.0, clock=clock), (HERE, 1), (HERE, 2)
    speak(holders, clock, sender)
    holders.heard(other)
    holders.note(other, event)  # whoever does it
    clock.now += 61
    assert holders.gone(99).get(sender, []) == left


def test_a_key_belongs_to_whom_pressed_it_last_and_a_panic_ends_all(clock):
    holders, sender, other = Holders(60.0, clock=clock), (HERE, 1), (HERE, 2)
    speak(holders, clock, sender)
    clock.now += 50
    holders.heard(other)
    holders.note(other, NoteOn(200, 1, 60, 1))
    clock.now += 11
    assert holders.gone(99) == {sender: RELEASES[1:]}
    clock.now += 50
    # It was pressed for later than now.
    assert holders.gone(99) == {other: [NoteOff(200, 1, 60)]}
    speak(holders, clock, sender)
    holders.forget()
    clock.now += 61
    assert not holders.gone(99)


def test_many_ports_cannot_make_it_forget_who_holds(clock):
    holders, sender = Holders(60.0, clock=clock), (HERE, 1)
    speak(holders, clock, sender)
    for port in range(2, 2 * REMEMBERED):
        holders.heard((HERE, port))
    clock.now += 61
    assert holders.gone(99) == {sender: RELEASES}
