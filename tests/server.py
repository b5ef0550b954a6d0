"""A real server process for tests: started, asked over OSC, stopped by signals."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import build_msg

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 120.0
"""The first start on a machine compiles."""


class Server:
    """`run_server.py` with no stdin, on a free port; `lines` is what it printed until ready."""

    def __init__(self, *flags: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "run_server.py", "--audio", "none", "--midi", "none"]
            + ["--osc", "127.0.0.1:0", *flags],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith("ready"):
                break
        assert self.lines and self.lines[-1].startswith("ready"), self.lines
        stated = next(line for line in self.lines if line.startswith("osc "))
        self.port = int(stated.split()[1].rstrip(",").rpartition(":")[2])
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(5)

    def send(self, address: str, *arguments: object) -> None:
        self.send_bytes(build_msg(address, list(arguments)).dgram)

    def send_bytes(self, packet: bytes) -> None:
        self._socket.sendto(packet, ("127.0.0.1", self.port))

    def reply(self) -> tuple[str, list]:
        """The next message that came back."""
        message = OscMessage(self._socket.recv(65_535))
        return message.address, list(message.params)

    def ask(self, address: str, *arguments: object) -> list:
        """Arguments of the reply to a message; fails on /error."""
        self.send(address, *arguments)
        name, values = self.reply()
        assert name != "/error", values
        return values

    def status(self) -> dict[str, object]:
        values = self.ask("/status")
        return dict(zip(values[::2], values[1::2], strict=True))

    def play_on(self, seconds: float) -> None:
        """Return when the engine has played so much more."""
        until = self.status()["seconds"] + seconds
        deadline = time.monotonic() + PATIENCE_S
        while self.status()["seconds"] < until:
            assert time.monotonic() < deadline, "the engine stands still"
            # Waits without a busy loop: nothing is sent to this socket meanwhile.
            self._socket.settimeout(0.05)
            try:
                self._socket.recv(1)
            except TimeoutError:
                self._socket.settimeout(5)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Signal it; its exit code and what it said last."""
        self.process.send_signal(number)
        rest = self.process.stdout.read()
        self._socket.close()
        return self.process.wait(PATIENCE_S), rest

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *failure: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._socket.close()


def run(*arguments: str) -> subprocess.CompletedProcess:
    """`run_server.py` with arguments that make it end by itself."""
    return subprocess.run(
        [sys.executable, "run_server.py", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
