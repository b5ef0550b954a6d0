"""A real JACK server without sound hardware, and a client that plays on it and listens.

The client sends MIDI and hears audio in one process callback, so both have their place on one
clock: JACK's frames. It hears what the sound card's ports are sent.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterator

import numpy as np

NAME = "melstream-bench"
"""One fixed name: every name that was ever used keeps one of the machine's eight slots."""

RATE = 48_000
TOOLS = ("jackd", "jack_wait", "jack_lsp")
START_S = 20
ENVIRONMENT = {
    "JACK_DEFAULT_SERVER": NAME,
    "JACK_NO_START_SERVER": "1",
    "JACK_NO_AUDIO_RESERVATION": "1",
}
"""What a process needs in its environment to find the server."""


def missing() -> str:
    """What this machine lacks to run a JACK server, in words; empty if nothing."""
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    try:
        importlib.import_module("jack")
    except (ImportError, OSError):
        lacking.append("Python's JACK-Client")
    return ", ".join(lacking)


@contextlib.contextmanager
def jack_server(period: int) -> Iterator[None]:
    """A JACK server with the dummy driver, in real time; OSError if it does not start."""
    command = ["jackd", "--realtime", "--sync", "-n", NAME]
    command += ["-d", "dummy", "-r", str(RATE), "-p", str(period)]
    nowhere, environment = subprocess.DEVNULL, {**os.environ, **ENVIRONMENT}
    server = subprocess.Popen(
        command, stdin=nowhere, stdout=nowhere, stderr=nowhere, env=environment
    )
    try:
        wait = ["jack_wait", "-w", "-t", str(START_S), "-s", NAME]
        waited = subprocess.run(wait, stdout=nowhere, stderr=nowhere, env=environment)
        if waited.returncode or server.poll() is not None:
            raise OSError(f"jackd does not start here; is another {NAME} running?")
        yield
    finally:
        server.terminate()
        try:
            server.wait(START_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


class JackPlayer:
    """Plays MIDI into `midi`, a port's name or part of it, and hears what `system` plays.

    heard: one (frame, samples) for each cycle, left channel; sent: one (frame, bytes) for each
    message: the frame at which it really went out. xruns: so
    many the server had. Raises OSError if no program plays, or there is no such port.
    """

    def __init__(self, midi: str) -> None:
        jack = importlib.import_module("jack")
        self.heard: list[tuple[int, np.ndarray]] = []
        self.sent: list[tuple[int, bytes]] = []
        self.xruns = 0
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._client = jack.Client("listener", no_start_server=True, servername=NAME)
        self._in = self._client.inports.register("in")
        self._out = self._client.midi_outports.register("out")
        self._client.set_process_callback(self._process)
        self._client.set_xrun_callback(self._count_xrun)
        self._client.activate()
        try:
            playing = self._client.get_all_connections("system:playback_1")
            if not playing:
                raise OSError("JACK: no program plays on system:playback_1")
            self._client.connect(playing[0], self._in)
            ports = self._client.get_ports(midi, is_midi=True, is_input=True)
            if not ports:
                raise OSError(f"JACK: no MIDI input named {midi!r}")
            self._client.connect(self._out, ports[0])
        except BaseException:
            self._client.close()
            raise

    @property
    def now(self) -> int:
        """The frame that JACK's clock shows now, between two cycles too."""
        return self._client.frame_time

    def play(self, messages: list[tuple[int, bytes]]) -> None:
        """Send each message at its frame; in order, and later than those that still wait."""
        self._waiting.extend(messages)

    def wait_until(self, frame: int) -> None:
        """Return when JACK's clock has passed frame."""
        while (left := frame - self.now) > 0:
            time.sleep(left / RATE)

    def sound(self) -> tuple[int, np.ndarray]:
        """The first frame, and everything heard since (samples,); silence in cycles missed."""
        heard = list(self.heard)
        first = heard[0][0]
        sound = np.zeros(heard[-1][0] + len(heard[-1][1]) - first, np.float32)
        for frame, samples in heard:
            sound[frame - first : frame - first + len(samples)] = samples
        return first, sound

    def __enter__(self) -> JackPlayer:
        # It keeps one object for each cycle. Looking through so many would cost whole cycles, of
        # which all clients lose the sound.
        gc.collect()
        gc.disable()
        return self

    def __exit__(self, *failure: object) -> None:
        gc.enable()
        self._client.deactivate()
        self._client.close()

    def _process(self, frames: int) -> None:
        """JACK's thread, once a cycle."""
        start = self._client.last_frame_time
        self.heard.append((start, self._in.get_array().copy()))
        self._out.clear_buffer()
        while self._waiting and self._waiting[0][0] < start + frames:
            frame, message = self._waiting.popleft()
            frame = max(frame, start)
            self._out.write_midi_event(frame - start, message)
            self.sent.append((frame, message))

    def _count_xrun(self, delayed_usecs: float) -> None:
        self.xruns += 1


def playback_latency() -> int:
    """Frames from the sound card's port to its plug, as JACK states them.

    The dummy driver has no plug, but a server that adds up its latency includes these frames.
    """
    asked = ["jack_lsp", "-s", NAME, "-l", "system:playback_1"]
    environment = {**os.environ, **ENVIRONMENT}
    answer = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True)
    (line,) = (x for x in answer.stdout.splitlines() if "playback latency" in x)
    # port playback latency = [ 256 256 ] frames
    return int(line.partition("[")[2].split()[1])
