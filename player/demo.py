"""`--demo`: a phrase on each of ten patches, then one patch that turns into another."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from daw_bridge.clock import AudioClock
from daw_bridge.commands.actions import Session
from daw_bridge.commands.console import Console

PART = 1
MOST_PATCHES = 10
PHRASE = ((0.0, 48), (0.0, 55), (0.0, 64), (0.35, 67), (0.7, 72), (1.05, 76), (1.4, 72))
"""When each key is struck, s, and which."""
KEY_UP_S = 2.0
PHRASE_S = 2.6
MORPH_S = 8.0
MORPH_STEPS = 160
CHORD = (48, 55, 60, 64)
VELOCITY = 80
RING_S = 1.0
"""How long the last chord may ring before the part is as it was."""
AHEAD_S, STEP_S = 0.2, 0.05
"""How long before they are due steps are handed on, and how often it is looked."""


class Step(NamedTuple):
    """A command at a time. seconds: from the start."""

    seconds: float
    address: str
    arguments: tuple[object, ...]


def score(patches: Sequence[str]) -> list[Step]:
    """The demo of a bank with these patches, in time order."""
    shown = list(patches)[:MOST_PATCHES]
    steps = []
    for i, name in enumerate(shown):
        begin = i * PHRASE_S
        steps.append(Step(begin, f"/part/{PART}/patch", (name,)))
        steps += [Step(begin + at, f"/part/{PART}/note", (key, VELOCITY)) for at, key in PHRASE]
        keys = sorted({key for _, key in PHRASE})
        steps += [Step(begin + KEY_UP_S, f"/part/{PART}/note", (key, 0)) for key in keys]
    begin, first, last = len(shown) * PHRASE_S, shown[0], shown[-1]
    steps.append(Step(begin, f"/part/{PART}/patch", (first,)))
    for key in CHORD:
        # Struck again half way, for what decays.
        for at in (0.0, MORPH_S / 2):
            steps.append(Step(begin + at, f"/part/{PART}/note", (key, VELOCITY)))
            steps.append(Step(begin + at + MORPH_S / 2 - 0.1, f"/part/{PART}/note", (key, 0)))
    for i in range(MORPH_STEPS + 1):
        at = begin + MORPH_S * i / MORPH_STEPS
        steps.append(Step(at, f"/part/{PART}/morph", (first, last, i / MORPH_STEPS)))
    return sorted(steps, key=lambda step: step.seconds)


class Demo:
    """Plays the demo once, in a thread of its own, then leaves the part as it was.

    A panic, or `close`, ends it.
    """

    def __init__(self, session: Session, clock: AudioClock) -> None:
        self._session, self._clock = session, clock
        self._steps = score(session.desk.names)
        self._before = session.desk.settings(PART)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._play, name="demo", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it now. May be called again."""
        self._closing.set()
        self._thread.join()

    def _play(self) -> None:
        console, inbox, rate = Console(self._session), self._session.inbox, self._clock.rate
        while not self._clock.now():  # the engine has not begun
            if self._closing.wait(STEP_S):
                return
        panics, start = inbox.panics, self._clock.now() + round(AHEAD_S * rate)
        waiting = list(self._steps)
        while waiting and inbox.panics == panics:
            horizon = self._clock.now() + AHEAD_S * rate
            while waiting and start + waiting[0].seconds * rate < horizon:
                step = waiting.pop(0)
                time = start + round(step.seconds * rate)
                with suppress(ValueError):  # its patch may have been deleted meanwhile
                    console.run(console.read(step.address, step.arguments), time)
            if self._closing.wait(STEP_S):
                break
        last = start + round((self._steps[-1].seconds + RING_S) * rate)
        time = self._clock.now() if waiting else last
        desk = self._session.desk
        # Notes that still ring keep the demo's sound.
        desk.turn(PART, time, lambda s: replace(self._before, chosen=s.chosen + 1), post_all=True)
        desk.settle()  # the patch from before may be gone, too
