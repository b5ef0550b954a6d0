"""A sink whose device comes and goes: with real JACK servers that are stopped and started."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from common.jack.link import JackLink
from synth.output.jack import MIX, JackSound
from synth.output.lasting import LastingSink
from synth.output.pairs import NAMES
from tests.jack_server import ENVIRONMENT, RATE, Stranger, jack_server
from tests.waiting import PATIENCE_S, wait_until, wait_until_equal

BLOCK = 384
LEVEL = np.float32(0.25)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


class Playing:
    """A thread that writes blocks of a level for each channel, as the renderer does."""

    def __init__(self, names: tuple[str, ...] = MIX) -> None:
        self.link, sound = JackLink(), JackSound(RATE, names)
        self.link.add(sound)
        self.sink = LastingSink(RATE, sound.take, 0.25, awaited=True)
        self.blocks = 0
        self._block = np.full((BLOCK, len(names)), LEVEL) * (1 + np.arange(len(names))) / len(names)
        self._block = self._block.astype(np.float32)
        self._thread = threading.Thread(target=self._write)

    def start(self) -> None:
        self.link.start()
        self.sink.start()
        self._thread.start()

    def close(self) -> None:
        self.sink.stop()
        if self._thread.ident is not None:
            self._thread.join(PATIENCE_S)
        self.sink.close()
        self.link.close()

    def _write(self) -> None:
        while self.sink.write(self._block):
            self.blocks += 1


@pytest.fixture
def playing() -> Iterator[Playing]:
    with contextlib.closing(Playing()) as playing:
        yield playing


def heard_by_another(sources: list[str]) -> np.ndarray:
    """A moment of what ports play once it is steady: (sources,)."""
    with contextlib.closing(Stranger("ear", inputs=len(sources))) as ear:
        for n, source in enumerate(sources, 1):
            ear.connect(source, f"ear:in_{n}")
        moment = np.zeros(len(sources), np.float32)

        def steady() -> bool:
            nonlocal moment
            heard = ear.take()
            if len(heard) > 1 and heard[-1].all() and np.ptp(heard, axis=0).max() == 0:
                moment = heard[-1]
            return bool(moment.any())

        wait_until(steady)
    return moment


def test_a_restarted_server_is_heard_again_and_the_time_between_goes_by_the_clock(
    playing: Playing, caplog: pytest.LogCaptureFixture
) -> None:
    with jack_server() as server:
        playing.start()
        # A server that is busy may refuse a client at first.
        wait_until_equal(lambda: playing.sink.fault, None)
        assert playing.sink.describe().startswith("JACK client 'melstream' at 48000 Hz, ")
        np.testing.assert_array_equal(
            heard_by_another(["melstream:left", "melstream:right"]), [LEVEL / 2, LEVEL]
        )
        server.stop()
        wait_until_equal(lambda: playing.sink.fault, "JACK has stopped")
        wait_until_equal(
            lambda: caplog.messages,
            ["JACK has stopped; playing on by the system's clock until it is back"],
        )
        gaps = playing.sink.underruns
        began, blocks = time.monotonic(), playing.blocks
        wait_until(lambda: playing.blocks > blocks + 60)
        took, passed = playing.blocks - blocks, time.monotonic() - began
        # A busy machine may be late, but never early.
        assert took <= passed * RATE / BLOCK + 5
        server.start()
        wait_until_equal(lambda: playing.sink.fault, None)
        assert heard_by_another(["melstream:left"])[0] == LEVEL / 2
        assert playing.sink.underruns >= gaps >= 1
        wait_until(
            lambda: [m for m in caplog.messages if "comes from JACK client 'melstream'" in m],
            lambda: caplog.messages,
        )


def test_gaps_that_others_made_still_count_when_the_server_is_gone(playing: Playing) -> None:
    with jack_server() as server:
        playing.start()
        with contextlib.closing(Stranger("late")) as stranger:

            def late_once_more() -> bool:
                stranger.sleep_s = stranger.sleep_s or 0.1
                return playing.sink.xruns > 0

            wait_until(late_once_more)
        before = playing.sink.xruns
        server.stop()
        wait_until_equal(lambda: playing.sink.fault, "JACK has stopped")
        assert playing.sink.xruns >= before
        server.start()
        wait_until_equal(lambda: playing.sink.fault, None)
        assert playing.sink.xruns >= before


def test_a_server_that_comes_later_is_joined(playing: Playing) -> None:
    playing.start()
    assert playing.sink.fault == "no JACK server is running"
    assert "waiting for it" in playing.sink.describe()
    wait_until(lambda: playing.blocks > 10)
    with jack_server():
        wait_until_equal(lambda: playing.sink.fault, None)
        assert heard_by_another(["melstream:right"])[0] == LEVEL


def test_a_missing_device_that_is_not_awaited_is_an_error() -> None:
    def find():
        raise OSError("audio device 'x': will not open")

    with pytest.raises(OSError, match="will not open"):
        LastingSink(RATE, find, 0.25).start()


def test_each_part_has_a_pair_of_ports_and_the_mix_goes_to_the_speakers() -> None:
    with jack_server(), contextlib.closing(Playing(NAMES)) as playing:
        playing.start()
        wait_until(lambda: "17 pairs" in playing.sink.describe())
        names = ["melstream:left", "melstream:part_01_left", "melstream:part_16_right"]
        expected = LEVEL * np.array([1, 3, 34], np.float32) / 34
        np.testing.assert_allclose(heard_by_another(names), expected, rtol=1e-6)
        with contextlib.closing(Stranger("ear")) as ear:
            assert ear.connections("system:playback_1") == ["melstream:left"]
            assert ear.connections("system:playback_2") == ["melstream:right"]
            assert ear.connections("melstream:part_01_left") == []


def test_a_frozen_server_is_given_up_and_taken_back(playing: Playing) -> None:
    with jack_server() as server:
        playing.start()
        wait_until(lambda: playing.blocks > 10 and playing.sink.fault is None)
        try:
            server.signal(signal.SIGSTOP)
            wait_until(lambda: playing.sink.fault)
            blocks = playing.blocks
            wait_until(lambda: playing.blocks > blocks + 20)
        finally:
            server.signal(signal.SIGCONT)
        wait_until_equal(lambda: playing.sink.fault, None)
        assert heard_by_another(["melstream:left"])[0] == LEVEL / 2
