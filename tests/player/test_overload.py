"""A real overload: what gives way, in which order, how it sounds, and that it all comes back."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from common.threads import RENDERER, go_before_others
from daw_bridge.events import NoteOn
from player.live import Player
from player.overload import PAGES, PARTS, VOCODER
from synth.bank.bank import Bank, load_bank
from synth.engine import Engine
from synth.instrument import Instrument
from synth.output.sinks import ClockSink, Samples
from synth.vocoders.spectral.vocoder import SpectralVocoder
from synth.vocoders.wavenet.vocoder import wavenet_vocoder
from tests.toy_bank import GUIDED, make_toy_bank
from tests.waiting import wait_until


class Slow:
    """A vocoder that computes for so many milliseconds more, for each part and frame.

    costs_ms: by the name of the method.
    """

    def __init__(self, vocoder, **costs_ms: float) -> None:
        self._vocoder, self.costs_ms = vocoder, costs_ms
        for name in ("head", "hop", "lookahead", "draws_per_frame", "initial_state"):
            setattr(self, name, getattr(vocoder, name))
        if hasattr(vocoder, "step_spared"):
            self.step_spared = lambda *inputs: self._play("step_spared", *inputs)

    def step(self, *inputs):
        return self._play("step", *inputs)

    def _play(self, name: str, frames, *others):
        until = time.thread_time() + self.costs_ms.get(name, 0) / 1000 * frames[..., 0].numel()
        while time.thread_time() < until:
            pass
        return getattr(self._vocoder, name)(frames, *others)


class Recorded(ClockSink):
    """A sink that keeps what it takes."""

    def __init__(self, rate: int) -> None:
        super().__init__(rate)
        self.blocks: list[np.ndarray] = []

    def write(self, block: Samples) -> bool:
        self.blocks.append(block.copy())
        return super().write(block)


class Stage:
    """A player of a slow vocoder, with a key held on so many parts, until the block ends."""

    def __init__(self, bank: Bank, vocoder: Slow, parts: int) -> None:
        self.slow = vocoder
        self.engine: Engine = Instrument(bank, vocoder).engine(0)
        self.sink = Recorded(bank.analysis.rate)
        self.player = Player(bank, self.engine, self.sink)
        for part in range(1, parts + 1):
            self.player.desk.gain_db(part, 6.0 * (part - parts), 0)
            self.player.inbox.post(NoteOn(0, part, 40 + 2 * part, 100))
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        # As a server does, and so that other programs do not disturb it.
        self.first = go_before_others(RENDERER)
        self.player.run()

    def until(self, what) -> None:
        wait_until(what, self.player.status)

    def __enter__(self) -> Stage:
        self.sink.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.player.stop()
        self._thread.join()


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> Bank:
    return load_bank(make_toy_bank(tmp_path_factory.mktemp("bank"), GUIDED))


@pytest.fixture(scope="module", autouse=True)
def compiled(bank: Bank) -> None:
    """So that nothing is compiled while it plays."""
    for vocoder in (spectral(bank), wavenet(bank)):
        engine = Instrument(bank, vocoder).engine(0)
        with Stage(bank, vocoder, 7) as stage:
            stage.until(lambda: len(stage.sink.blocks) > 20)
        assert engine.can_be_spared == hasattr(vocoder, "step_spared")


def spectral(bank: Bank, **costs_ms: float) -> Slow:
    return Slow(SpectralVocoder(bank.analysis), **costs_ms)


def wavenet(bank: Bank, **costs_ms: float) -> Slow:
    return Slow(wavenet_vocoder(bank.wavenet(), "cpu", bank.analysis), **costs_ms)


def largest_step(sound: np.ndarray) -> float:
    return float(np.abs(np.diff(sound, axis=0)).max())


def test_parts_fade_until_there_is_time_and_all_come_back(bank):
    with Stage(bank, spectral(bank), 10) as stage:
        stage.until(lambda: len(stage.sink.blocks) > 100)
        calm = largest_step(np.concatenate(stage.sink.blocks[50:]))
        stage.slow.costs_ms["step"] = 2.0  # ten parts: 20 ms for a block of 8
        stage.until(lambda: stage.player.status()["given_up"] >= 5)
        stage.until(lambda: stage.player.status()["overload"] == PARTS)
        assert stage.player.tap.scarce
        # The quietest went first.
        assert {1, 2, 3, 4} <= set(stage.engine.given_up) <= set(range(1, 10))
        begun = len(stage.sink.blocks)
        stage.until(lambda: len(stage.sink.blocks) > begun + 40)
        underruns = stage.sink.underruns
        stage.until(lambda: len(stage.sink.blocks) > begun + 140)
        # A busy machine may break it once more; an engine that is too slow would each time.
        assert stage.sink.underruns - underruns < 10
        assert 1 <= stage.player.status()["parts"] < 5
        stage.slow.costs_ms["step"] = 0.0
        stage.until(
            lambda: not stage.player.status()["overload"] and stage.player.status()["parts"] == 10
        )
        assert stage.player.status()["overloads"] >= 1
        played = np.concatenate(stage.sink.blocks[50:])
    # No clicks: fading out and in is no rougher than the sound itself.
    assert largest_step(played) < 2 * calm


def test_the_wavenet_gives_way_first_and_is_back_first_of_all(bank):
    with Stage(bank, wavenet(bank), 1) as stage:
        stage.until(lambda: len(stage.sink.blocks) > 60 and not stage.player.status()["overload"])
        stage.slow.costs_ms["step"] = 16.0
        seen = set()

        def spared() -> bool:
            seen.add(stage.player.status()["overload"])
            return stage.engine.spared

        stage.until(spared)
        assert seen <= {0, PAGES, VOCODER} and not stage.engine.given_up
        begun = len(stage.sink.blocks)
        stage.until(lambda: len(stage.sink.blocks) > begun + 60)
        stage.slow.costs_ms["step"] = 0.0
        stage.until(lambda: not stage.player.status()["overload"] and not stage.engine.spared)


@pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="no real-time priorities here")
def test_no_core_is_taken_at_a_real_time_priority(bank):
    with Stage(bank, spectral(bank, step=150.0), 1) as stage:
        stage.until(lambda: stage.sink.blocks)
        if not stage.first:
            pytest.skip("no real-time priorities for this user")
        thread = stage._thread.native_id
        # One part alone that takes far longer than it lasts: it is given up, but not at once.
        stage.until(lambda: stage.player.status()["ordinary"] == 1)
        stage.until(lambda: stage.player.status()["given_up"] == 1)
        stage.until(lambda: os.sched_getparam(thread).sched_priority == RENDERER)
