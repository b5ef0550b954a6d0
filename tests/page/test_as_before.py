"""The desk after a song: as before it, whatever the song's messages turned."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import mido
import pytest

from daw_bridge.desk.desk import Desk
from daw_bridge.midi.messages import MidiTranslator
from page.as_before import Changes
from synth.bank.bank import load_bank


@pytest.fixture
def desk(toy_bank: Path, tmp_path: Path) -> Desk:
    bank = load_bank(shutil.copytree(toy_bank, tmp_path / "toy"), tmp_path / "own")
    return Desk(bank, lambda event: True, lambda: 0)


def play(desk: Desk, data: str, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Play a song of one message, in hexadecimal, to its end."""
    changes, translator = Changes(desk), MidiTranslator(desk, lambda event: True)
    changes.around(lambda: translator.hear(mido.Message.from_hex(data), 0))
    meanwhile()
    changes.take_back(10)


def test_a_learnt_mute_and_solo_end_with_the_song(desk: Desk) -> None:
    before = desk.parts()
    for controller, knob in ((20, "mute"), (21, "solo")):
        desk.learnt.bind(controller, knob)
        play(desk, f"b0 {controller:02x} 7f")
        assert desk.parts() == before


@pytest.mark.parametrize(
    "change", [lambda desk: desk.rename("mine", "yours"), lambda desk: desk.delete("mine")]
)
def test_a_part_stands_on_no_patch_that_is_gone(
    desk: Desk, change: Callable[[Desk], object]
) -> None:
    desk.pan(1, 0.75)
    before = desk.save(1, "mine")
    play(desk, "c0 13", lambda: change(desk))
    after = desk.settings(1)
    assert {after.patch, after.towards} <= set(desk.names)
    assert (after.pan, after.embedding) == (0.75, before.embedding)
    # It once raised KeyError, and so did each move after it.
    MidiTranslator(desk, lambda event: True).hear(mido.Message.from_hex("b0 01 40"), 20)
