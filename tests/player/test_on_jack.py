"""The whole server on JACK: a real process, a server that comes and goes, a keyboard likewise."""

from __future__ import annotations

import contextlib
import signal

import numpy as np
import pytest

from tests.jack_server import ENVIRONMENT, RATE, Stranger, jack_server
from tests.server import Server
from tests.waiting import wait_until, wait_until_equal


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def loudest(ear: Stranger) -> np.ndarray:
    """Of each input, since the last call."""
    heard = ear.take()
    return np.abs(heard).max(axis=0) if len(heard) else np.zeros(heard.shape[1])


def states_its_latency(server: Server, ear: Stranger) -> bool:
    """Whether JACK knows the server's own part of the latency; JACK adds what lies behind."""
    status = server.status()
    own_s = (status["latency_ms"] - status["output_ms"]) / 1000
    return own_s * RATE < ear.latency("melstream:left") < status["latency_samples"]


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
                wait_until_equal(lambda: server.status()["fault"], "")
                with contextlib.closing(Stranger("keyboard", inputs=3)) as stranger:
                    stranger.wait_for_ear()
                    wait_until_equal(lambda: server.status()["waiting"], "pads")
                    for n, port in enumerate(("left", "part_02_left", "part_01_left"), 1):
                        stranger.connect(f"melstream:{port}", f"keyboard:in_{n}")
                    stranger.send("91 3c 64")
                    wait_until(lambda s=stranger: (loudest(s)[:2] > 0.01).all())
                    assert loudest(stranger)[2] == 0
                    # JACK is told of it some times a second.
                    wait_until(lambda s=stranger: states_its_latency(server, s), server.status)
                # The keyboard has gone, and its note with it.
                wait_until_equal(lambda: server.status()["waiting"], "keyboard, pads")
                wait_until_equal(lambda: server.status()["parts"], 0)
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
        Server("--audio", "jack", "--midi", "keyboard", "--patch", "church-organ") as server,
        contextlib.closing(Stranger("keyboard", inputs=1)) as stranger,
    ):
        stranger.wait_for_ear()
        stranger.connect("melstream:left", "keyboard:in_1")
        stranger.send("90 3c 64")
        wait_until(lambda: loudest(stranger)[0] > 0.01)
        before = server.status()["underruns"]

        def late_once_more() -> bool:
            stranger.sleep_s = stranger.sleep_s or 0.03
            return server.status()["underruns"] >= before + 6

        wait_until(late_once_more, server.status)
        server.play_on(0.5)
        status = server.status()
        assert status["given_up"] == 0 and status["parts"] == 1
        stranger.take()
        wait_until(lambda: loudest(stranger)[0] > 0.01)
        server.stop(signal.SIGTERM)
