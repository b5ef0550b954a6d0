"""The whole server on JACK: a real process, a server that comes and goes, a keyboard likewise."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable

import numpy as np
import pytest

from tests.jack_server import ENVIRONMENT, RATE, Stranger, jack_server
from tests.server import Server

PATIENCE_S = 30.0


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def loudest(ear: Stranger) -> np.ndarray:
    """Of each input, since the last call."""
    heard = ear.take()
    return np.abs(heard).max(axis=0) if len(heard) else np.zeros(heard.shape[1])


def test_a_server_waits_for_jack_and_its_keyboard_and_outlives_both() -> None:
    flags = ["--audio", "jack", "--outputs", "parts", "--midi", "keyboard", "--midi", "pads"]
    with Server(*flags) as server:
        told = "\n".join(server.lines)
        assert "no JACK server is running; waiting for it" in told
        assert "waiting for 'keyboard', waiting for 'pads'" in told
        status = server.status()
        assert status["fault"] == "no JACK server is running"
        assert status["waiting"] == "keyboard, pads"
        server.play_on(0.1)
        with jack_server() as jack:
            for turn in range(2):
                if turn:
                    jack.stop()
                    wait_until(lambda: server.status()["fault"])
                    server.play_on(0.1)
                    jack.start()
                began = time.monotonic()
                wait_until(lambda: server.status()["fault"] == "")
                assert time.monotonic() - began < 2
                with contextlib.closing(Stranger("keyboard", inputs=3)) as stranger:
                    wait_until(stranger.connected)
                    assert server.status()["waiting"] == "pads"
                    for n, port in enumerate(("left", "part_02_left", "part_01_left"), 1):
                        stranger.connect(f"melstream:{port}", f"keyboard:in_{n}")
                    stranger.send("91 3c 64")
                    wait_until(lambda s=stranger: (loudest(s)[:2] > 0.01).all())
                    status = server.status()
                    frames = stranger.latency("melstream:left")
                    # The server's own part of it; JACK adds what lies behind.
                    told_s = (status["latency_ms"] - status["output_ms"]) / 1000
                    assert told_s * RATE < frames < status["latency_samples"]
                    assert loudest(stranger)[2] == 0
                # The keyboard has gone, and its note with it.
                wait_until(lambda: server.status()["waiting"] == "keyboard, pads")
                wait_until(lambda: server.status()["parts"] == 0)
        code, said = server.stop(signal.SIGTERM)
    assert code == 0
    for line in (
        "JACK has stopped; playing on by the system's clock until it is back",
        "the sound comes from JACK client 'melstream', 17 pairs at 48000 Hz",
        "MIDI: keyboard:out has gone; waiting for it",
        "MIDI: keyboard:out has come",
    ):
        assert line in said, said


def test_a_server_that_is_late_again_and_again_silences_no_part() -> None:
    """Its gaps are counted, but no part of ours gives way for them."""
    with (
        jack_server(),
        Server("--audio", "jack", "--midi", "keyboard") as server,
        contextlib.closing(Stranger("keyboard", inputs=1)) as stranger,
    ):
        wait_until(stranger.connected)
        stranger.connect("melstream:left", "keyboard:in_1")
        stranger.send("90 3c 64")
        wait_until(lambda: loudest(stranger)[0] > 0.01)
        before = server.status()["underruns"]
        for _ in range(8):
            stranger.sleep_s = 0.03
            time.sleep(0.06)
        wait_until(lambda: server.status()["underruns"] >= before + 6)
        time.sleep(0.5)
        status = server.status()
        assert status["given_up"] == 0 and status["parts"] == 1
        assert loudest(stranger)[0] > 0.001
        server.stop(signal.SIGTERM)
