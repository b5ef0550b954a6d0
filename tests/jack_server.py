"""A real JACK server without sound hardware, which tests may stop and start again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator

import numpy as np
import pytest

from tests.alone import lock
from tests.waiting import PATIENCE_S, wait_until

NAMES = ("alone", "gw0", "gw1", "gw2", "gw3")


def _own_name() -> str:
    """One that no other process has which runs tests, of this checkout or another. There are few:
    each name that ever ran keeps one of the machine's eight slots."""
    usual = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    names = (f"melstream-test-{name}" for name in dict.fromkeys((usual, *NAMES)))
    return next((name for name in names if lock(name)), f"melstream-test-{usual}")


NAME = _own_name()
RATE = 48_000
ENVIRONMENT = {
    "JACK_NO_AUDIO_RESERVATION": "1",
    "JACK_DEFAULT_SERVER": NAME,
    "JACK_NO_START_SERVER": "1",
}
SETTLED_CYCLES = 10
TOOLS = ("jackd", "jack_wait", "jack_lsp")


class JackServer:
    """Started by construction; `stop` and `start` again as often as wanted."""

    def __init__(self, period: int = 256) -> None:
        self._period = period
        self._process: subprocess.Popen | None = None
        self.start()

    def start(self) -> None:
        if not all(map(shutil.which, TOOLS)):
            pytest.skip("needs jackd (Debian: jackd2, jack-tools)")
        command = ["jackd", "--realtime", "--sync", "-n", NAME]
        command += ["-d", "dummy", "-r", str(RATE), "-p", str(self._period)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = {**os.environ, **ENVIRONMENT}
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env=environment, **quiet
        )
        wait = ["jack_wait", "-w", "-t", f"{PATIENCE_S:.0f}"]
        ready = subprocess.run(wait, env=environment, **quiet)
        if ready.returncode or self._process.poll() is not None:
            pytest.skip("jackd does not start on this machine")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@contextlib.contextmanager
def jack_server(period: int = 256) -> Iterator[JackServer]:
    server = JackServer(period)
    try:
        yield server
    finally:
        server.stop()


class Stranger:
    """Another program on the server: plays MIDI from `out`, hears sound at its inputs.

    inputs: how many. cycles: how many have gone by. heard: one (samples, inputs) array for each.
    sleep_s: how long its next cycle takes, which makes the server late; then 0.
    """

    def __init__(self, name: str = "stranger", inputs: int = 0) -> None:
        jack = pytest.importorskip("jack", reason="needs JACK-Client")
        self._refused = jack.JackError
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._client = jack.Client(name, no_start_server=True, servername=NAME)
                break
            except jack.JackOpenError:  # a server that is busy may refuse a client at first
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self._out = self._client.midi_outports.register("out")
        self._ins = [self._client.inports.register(f"in_{n + 1}") for n in range(inputs)]
        self._waiting: list[bytes] = []
        self._at = 0
        self.sleep_s = 0.0
        self.cycles = 0
        self.heard: list[np.ndarray] = []
        self._client.set_process_callback(self._process)
        self._client.activate()
        self.name = self._client.name

    def send(self, *messages: str, at: int = 0) -> None:
        """Messages as hexadecimal text, in one cycle, from its frame `at` on."""
        self._at = at
        self._waiting += [bytes.fromhex(message) for message in messages]

    @property
    def waiting(self) -> bool:
        """Whether messages have not been sent yet."""
        return bool(self._waiting)

    def connect(self, source: str, target: str) -> None:
        """Connect two ports. JACK refuses until their clients run."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._client.connect(source, target)
                break
            except self._refused:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.settle()

    def wait_for_ear(self) -> None:
        """Return when somebody hears `out`."""
        wait_until(self.connected)
        self.settle()

    def settle(self) -> None:
        """JACK brings clients into the order of their connections some cycles later: what is sent
        before that may be lost."""
        seen = self.cycles
        wait_until(lambda: self.cycles >= seen + SETTLED_CYCLES)

    def connected(self) -> bool:
        """Whether anybody hears `out`."""
        return bool(self._client.get_all_connections(self._out))

    def connections(self, port: str) -> list[str]:
        """Names of the ports that a port is connected to."""
        return [other.name for other in self._client.get_all_connections(port)]

    def disconnect(self, port: str) -> None:
        """From everything."""
        for other in self._client.get_all_connections(port):
            self._client.disconnect(port, other)

    def ports(self, pattern: str) -> list[str]:
        return [port.name for port in self._client.get_ports(pattern)]

    def latency(self, port: str, playback: bool = False) -> int:
        """Frames, as JACK states them for a port."""
        environment = {**os.environ, **ENVIRONMENT}
        asked = subprocess.run(
            ["jack_lsp", "-l", port], env=environment, capture_output=True, text=True
        )
        word = "playback" if playback else "capture"
        (line,) = (x for x in asked.stdout.splitlines() if f"port {word} latency" in x)
        return int(line.partition("[")[2].split()[1])

    def take(self) -> np.ndarray:
        """What was heard since the last call: (samples, inputs)."""
        heard, self.heard = self.heard, []
        return np.concatenate(heard) if heard else np.zeros((0, len(self._ins)), np.float32)

    def close(self) -> None:
        self._client.deactivate()
        self._client.close()

    def _process(self, frames: int) -> None:
        if self.sleep_s:
            time.sleep(self.sleep_s)
            self.sleep_s = 0.0
        self._out.clear_buffer()
        for n in range(min(len(self._waiting), frames - self._at)):
            self._out.write_midi_event(self._at + n, self._waiting.pop(0))
        if self._ins:
            self.heard.append(np.stack([p.get_array() for p in self._ins], 1).copy())
        self.cycles += 1
