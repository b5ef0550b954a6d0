"""The demo plays every patch, and leaves nothing behind."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from daw_bridge.clock import AudioClock
from daw_bridge.commands.actions import Session
from daw_bridge.desk.desk import Desk
from daw_bridge.events import Event, Timbre
from daw_bridge.inbox import Inbox
from player.demo import PHRASE_S, Demo, score
from synth.bank.bank import load_bank
from tests.server import Server
from tests.waiting import wait_until


def test_every_key_that_is_struck_is_released_and_all_is_in_time_order():
    steps = score(["a", "b", "c"])
    assert [s.arguments[0] for s in steps if s.address.endswith("patch")] == ["a", "b", "c", "a"]
    assert [s.seconds for s in steps] == sorted(s.seconds for s in steps)
    down: set[object] = set()
    for step in steps:
        if step.address.endswith("note"):
            key, velocity = step.arguments
            if velocity:
                assert key not in down or velocity
                down.add(key)
            else:
                down.remove(key)
    assert not down
    amounts = [s.arguments[2] for s in steps if s.address.endswith("morph")]
    assert amounts[0] == 0 and amounts[-1] == 1 and amounts == sorted(amounts)
    assert len([s for s in score([str(i) for i in range(40)]) if s.address.endswith("patch")]) == 11


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "played"])
def test_the_part_is_as_before_when_the_demo_is_over(
    toy_bank: Path, tmp_path: Path, closed: bool
) -> None:
    posted: list[Event] = []
    clock, inbox = AudioClock(16_000), Inbox()
    bank = load_bank(shutil.copytree(toy_bank, tmp_path / "toy"), tmp_path / "own")
    desk = Desk(bank, posted.append, clock.now)
    desk.patch(1, "organ")
    desk.pan(1, 0.75)
    before = desk.save(1, "mine")
    clock.tick(1, time.perf_counter())
    demo = Demo(Session(desk, inbox, dict, ""), clock)
    wait_until(lambda: desk.settings(1).patch == "piano")
    desk.delete("mine")
    if not closed:
        clock.tick(16_000 * 60, time.perf_counter())  # all of it is due
        wait_until(lambda: desk.settings(1).pan == 0.75)
    demo.close()
    after = desk.settings(1)
    assert after.chosen > before.chosen and after.patch in desk.names
    kept = replace(before, chosen=after.chosen, patch=after.patch, towards=after.towards)
    assert after == kept
    # What it counts only grows: else notes that are held would take up later patches.
    counts = [event.chosen for event in posted if isinstance(event, Timbre)]
    assert counts == sorted(counts)


def test_the_demo_is_heard_and_a_panic_ends_it(tmp_path):
    take = tmp_path / "demo.wav"
    with Server("--demo", "--record", str(take), "--patch", "trumpet") as server:
        server.play_on(PHRASE_S + 1)
        assert server.ask("/part/1/patch") == ["electric-piano"]
        server.send("/panic")
        server.play_on(1.0)
        assert server.ask("/part/1/patch") == ["trumpet"]
        assert server.stop()[0] == 0
    audio, rate = soundfile.read(take)
    assert abs(audio[: int(2 * rate)]).max() > 0.01
