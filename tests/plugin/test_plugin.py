"""The LV2 plug-in with a real server: sound, MIDI, knobs, latency, and the state of a session."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from common.plugin.link import PluginLink
from common.plugin.memory import FOLDER, LAYOUT, PluginMemory
from tests.alone import locked
from tests.jack_server import ENVIRONMENT, Stranger, jack_server
from tests.plugin.host import RATE, Host, built
from tests.server import Server
from tests.waiting import PATIENCE_S, wait_until, wait_until_equal

QUIET = 1e-4
PLUGIN = ("--audio", "plugin")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if not FOLDER.is_dir():
        pytest.skip("needs /dev/shm")
    # A server takes any plug-in of its user.
    with locked("melstream-test-plugin"):
        yield built(tmp_path_factory.mktemp("plugin") / "built")


@pytest.fixture
def host(library: Path) -> Iterator[Host]:
    made = Host(library)
    yield made
    made.close()


def peak(host: Host, seconds: float) -> float:
    """The loudest sample of the next so many seconds that are played."""
    return float(np.abs(host.play(seconds)).max())


def test_a_note_is_heard_as_late_as_is_stated(host: Host) -> None:
    with Server(*PLUGIN, "--patch", "trumpet") as server:
        wait_until(lambda: host.served and host.latency)
        wait_until_equal(lambda: server.status()["fault"], "")
        assert server.status()["rate"] == RATE
        late_ms: list[float] = []
        # A busy machine calls late now and then, but no note is early.
        while len(late_ms) < 2 or (min(late_ms) > 60 and len(late_ms) < 30):
            wait_until(lambda: peak(host, 0.2) < QUIET)
            at = 200 * (len(late_ms) % 2)
            cycle = host.send("90 48 7f", at)
            sound = np.abs(host.play(0.6, cycle)).max(axis=1)
            assert sound.max() > 0.01
            # A tone rises within some ms.
            heard = int(np.argmax(sound > 0.1 * sound.max()))
            late_ms.append(1000 * (heard - at - host.latency) / RATE)
            host.send("80 48 00")
        assert -10 < min(late_ms) < 60, late_ms
        assert server.stop()[0] == 0
    wait_until(lambda: not host.served)
    assert peak(host, 0.2) == 0.0


def test_a_session_comes_back_and_knobs_turn(library: Path) -> None:
    first = Host(library)
    with Server(*PLUGIN) as server:
        wait_until(lambda: first.served)
        server.send("/part/1/patch", "trumpet")
        server.send("/part/3/pan", -0.5)
        first.turn(0, 0.75)  # brightness
        wait_until_equal(lambda: server.ask("/part/1/knob/brightness"), [0.75])
        wait_until(lambda: b"trumpet" in first.saved() and b"0.75" in first.saved())
        session = first.saved()
        # The host has ended; another one takes its place.
        first.close()
        wait_until(lambda: server.status()["fault"] != "")
        server.tell("/part/1/patch", "church-organ")
        second = Host(library)
        second.restore(session)
        try:
            for address, value in (
                ("/part/1/patch", "trumpet"),
                ("/part/3/pan", -0.5),
                ("/part/1/knob/brightness", 0.75),
            ):
                wait_until_equal(lambda a=address: server.ask(a), [value])
            wait_until(lambda: b"trumpet" in second.saved())
        finally:
            second.close()


def test_keys_go_up_when_the_host_ends_and_silence_ends_nothing(library: Path) -> None:
    host = Host(library)
    with Server(*PLUGIN, "--patch", "church-organ") as server:
        wait_until(lambda: host.served)
        host.send("90 3c 7f")
        wait_until(lambda: peak(host, 0.1) > 0.01)
        host.close()
        wait_until(lambda: server.status()["fault"] != "")
        other = Host(library)
        try:
            wait_until(lambda: other.served)
            wait_until_equal(lambda: server.status()["fault"], "")
            wait_until(lambda: peak(other, 0.2) < QUIET)
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
            wait_until(lambda: player.ports("hosted:left"))
            player.connect(f"{player.name}:out", "hosted:midi")
            for n, side in ((1, "left"), (2, "right")):
                player.connect(f"hosted:{side}", f"{player.name}:in_{n}")
            wait_until_equal(lambda: server.status()["fault"], "")
            server.play_on(0.5)
            player.take()
            player.send("90 48 7f")
            wait_until(lambda: float(np.abs(player.take()).max(initial=0)) > 0.01)
            player.send("80 48 00")
            wait_until(lambda: player.settle() or float(np.abs(player.take()).max()) < QUIET)
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
    for _ in range(3):
        with pytest.raises(OSError, match="does not play"):
            link.take()
    host.rest(False)
    host.play(0.1)
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
