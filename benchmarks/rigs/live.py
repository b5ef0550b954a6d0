"""A real server process for benchmarks: started, sent OSC, asked for its status, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from daw_bridge.osc.packet import MAX_PACKET, encode, messages

ROOT = Path(__file__).resolve().parents[2]
REPLY_S = 10.0
STOP_S = 60.0

Told = dict[str, int | float | str]
ALONE = "--audio none --midi none --midi-map none --osc 127.0.0.1:0"
"""Flags of a server that takes nothing of the machine but a free port."""


class LiveServer:
    """A server that plays from construction to `stop`; a context that never leaves one behind.

    flags: as `run_server.py` takes them; OSC is on a free port, and there is no audio and no
    MIDI unless they say so. script: what to run instead of it, with the same flags after its
    own. Raises OSError, with what the server said, if it does not come up.
    """

    def __init__(
        self,
        flags: list[str],
        environment: Mapping[str, str] | None = None,
        script: list[str] | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *(script or ["run_server.py"])] + [*ALONE.split(), *flags],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
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
        else:
            self.process.wait()
            self.process.stdout.close()
            raise OSError(f"the server did not start: {' / '.join(self.lines) or 'no word'}")
        stated = next(line for line in self.lines if line.startswith("osc "))
        self.port = int(stated.split()[1].rstrip(",").rpartition(":")[2])
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(REPLY_S)

    def send(self, packet: bytes) -> None:
        """Send one OSC packet."""
        self._socket.sendto(packet, ("127.0.0.1", self.port))

    def status(self) -> Told:
        """The answer to /status; OSError if there is none within 10 s."""
        self.send(encode("/status"))
        while True:
            for message in messages(self._socket.recv(MAX_PACKET)):
                if message.address == "/status.reply":
                    return dict(zip(message.args[::2], message.args[1::2], strict=True))

    def stop(self) -> str:
        """End it as Ctrl-C would; what it said last. OSError unless it ended well."""
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=STOP_S)
        if self.process.returncode:
            raise OSError(f"the server ended with {self.process.returncode}: {said.strip()}")
        return said.strip()

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(self, *failure: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._socket.close()
