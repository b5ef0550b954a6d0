"""The LV2 plug-in with a real server: sound, MIDI, knobs, latency, and the state of a session."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from common.plugin.link import PluginLink
from common.plugin.memory import FOLDER, LAYOUT, PluginMemory
from tests.jack_server import ENVIRONMENT, Stranger, jack_server
from tests.plugin.host import RATE, Host, built
from tests.server import PATIENCE_S, Server

QUIET = 1e-4
PLUGIN = ("--audio", "plugin")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not FOLDER.is_dir():
        pytest.skip("needs /dev/shm")
    return built(tmp_path_factory.mktemp("plugin") / "built")


@pytest.fixture
def host(library: Path) -> Iterator[Host]:
    made = Host(library)
    yield made
    made.close()


def until(done: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.02)


def peak(host: Host, seconds: float) -> float:
    """The loudest sample of what is played in so many seconds."""
    host.sound()
    time.sleep(seconds)
    return float(np.abs(host.sound()).max())


def test_a_note_is_heard_as_late_as_is_stated(host: Host) -> None:
    with Server(*PLUGIN, "--patch", "trumpet") as server:
        until(lambda: host.served and host.latency)
        until(lambda: server.status()["fault"] == "")
        assert server.status()["rate"] == RATE
        for at in (0, 200):
            assert peak(host, 0.5) < QUIET
            cycle = len(host.heard)
            host.sound()
            cycle = host.send("90 48 7f", at)
            time.sleep(0.6)
            sound = np.abs(host.sound()).max(axis=1)
            # A tone rises within some ms, and a busy machine calls late.
            heard = int(np.argmax(sound > 0.1 * sound.max()))
            late_ms = 1000 * (heard - cycle * 256 - at - host.latency) / RATE
            assert sound.max() > 0.01 and -10 < late_ms < 60, late_ms
            host.send("80 48 00")
            time.sleep(0.8)
        assert server.stop()[0] == 0
    until(lambda: not host.served)
    assert peak(host, 0.2) == 0.0


def test_a_session_comes_back_and_knobs_turn(library: Path) -> None:
    first = Host(library)
    with Server(*PLUGIN) as server:
        until(lambda: first.served)
        server.send("/part/1/patch", "trumpet")
        server.send("/part/3/pan", -0.5)
        first.turn(0, 0.75)  # brightness
        until(lambda: server.ask("/part/1/knob/brightness") == [0.75])
        until(lambda: b"trumpet" in first.saved() and b"0.75" in first.saved())
        session = first.saved()
        # The host has ended; another one takes its place.
        first.close()
        until(lambda: server.status()["fault"] != "")
        server.send("/part/1/patch", "church-organ")
        second = Host(library)
        second.restore(session)
        try:
            until(lambda: server.ask("/part/1/patch") == ["trumpet"])
            assert server.ask("/part/3/pan") == [-0.5]
            assert server.ask("/part/1/knob/brightness") == [0.75]
            until(lambda: b"trumpet" in second.saved())
        finally:
            second.close()


def test_keys_go_up_when_the_host_ends_and_silence_ends_nothing(library: Path) -> None:
    host = Host(library)
    with Server(*PLUGIN, "--patch", "church-organ") as server:
        until(lambda: host.served)
        host.send("90 3c 7f")
        until(lambda: peak(host, 0.1) > 0.01)
        host.close()
        until(lambda: server.status()["fault"] != "")
        other = Host(library)
        try:
            until(lambda: other.served)
            until(lambda: server.status()["fault"] == "")
            until(lambda: peak(other, 0.2) < QUIET)
        finally:
            other.close()


@pytest.mark.skipif(not shutil.which("jalv"), reason="needs the host jalv")
def test_a_host_that_others_made_plays_it(library: Path) -> None:
    environment = {**os.environ, **ENVIRONMENT, "LV2_PATH": str(library.parents[1])}
    with jack_server() as _, Server(*PLUGIN, "--patch", "trumpet") as server:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        jalv = subprocess.Popen(
            ["jalv", "-i", "-n", "hosted", "urn:melstream:instrument"],
            stdin=subprocess.PIPE,
            env=environment,
            **quiet,
        )
        player = Stranger(inputs=2)
        try:
            until(lambda: player.ports("hosted:left"))
            player.connect(f"{player.name}:out", "hosted:midi")
            for n, side in ((1, "left"), (2, "right")):
                player.connect(f"hosted:{side}", f"{player.name}:in_{n}")
            until(lambda: server.status()["fault"] == "")
            time.sleep(0.5)
            player.take()
            player.send("90 48 7f")
            until(lambda: float(np.abs(player.take()).max(initial=0)) > 0.01)
            player.send("80 48 00")
            until(lambda: time.sleep(0.2) or float(np.abs(player.take()).max(initial=0)) < QUIET)
        finally:
            player.close()
            jalv.terminate()
            jalv.wait(PATIENCE_S)


def test_a_session_without_a_server_keeps_what_it_was_given(host: Host) -> None:
    assert host.saved() == b""
    host.restore(b"parts: {}\n")
    assert host.saved() == b"parts: {}\n"
    assert not host.served and peak(host, 0.1) == 0.0


def test_plugins_have_places_of_their_own_and_give_them_back(library: Path, host: Host) -> None:
    def places() -> set[str]:
        return {path.name for path in FOLDER.glob(f"melstream-plugin-{os.getuid()}-*")}

    before = places()
    other = Host(library)
    (name,) = places() - before
    assert (FOLDER / name).stat().st_size == LAYOUT.itemsize
    other.close()
    assert places() == before
    with pytest.raises(ValueError, match="refuses"):
        Host(library, rate=400_000)


def test_a_host_that_rests_is_not_taken(host: Host) -> None:
    link = PluginLink()
    host.rest(True)
    time.sleep(0.05)
    for _ in range(3):
        with pytest.raises(OSError, match="does not play"):
            link.take()
    host.sound()
    host.rest(False)
    until(lambda: host.heard)
    memory = link.take()
    assert memory.rate == RATE and link.memory is memory and not memory.gone
    link.close()
    assert memory.gone and link.memory is None


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (b"", 0o600, "another version"),
        (bytes(LAYOUT.itemsize), 0o644, "somebody else"),
        (bytes(LAYOUT.itemsize), 0o600, "has gone"),
    ],
)
def test_what_is_no_plugin_is_refused(
    tmp_path: Path, content: bytes, mode: int, reason: str
) -> None:
    path = tmp_path / "melstream-plugin-0-1"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(OSError, match=reason):
        PluginMemory(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(OSError):
        PluginMemory(link)
