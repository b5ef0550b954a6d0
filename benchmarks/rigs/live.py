"""A real server process for benchmarks: started, sent OSC, asked for its status, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import build_msg

from player.telemetry import Telemetry

ROOT = Path(__file__).resolve().parents[2]
REPLY_S = 60.0
"""A busy machine may take seconds for what takes milliseconds."""
STOP_S = 60.0
MAX_PACKET = 65_535
"""Bytes of the largest UDP packet."""
ALONE = (
    "--audio none --midi none --midi-map none --patches none --desk none --osc 127.0.0.1:0 "
    "--http none"
)
"""Flags of a server that uses nothing of the machine but a free port."""


def osc(address: str, *arguments: int | float | str) -> bytes:
    """An OSC message as a packet."""
    return build_msg(address, list(arguments)).dgram


class LiveServer:
    """A server that plays from construction until `stop`; as a context it always ends.

    flags: as `run_server.py` takes them; without them OSC is on a free port, and there is no
    audio and no MIDI. script: what to run instead of run_server.py, with the same flags after
    its own. Raises OSError, with what the server printed, if it does not start.
    """

    def __init__(
        self,
        flags: Sequence[str],
        environment: Mapping[str, str] | None = None,
        script: Sequence[str] = ("run_server.py",),
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *script, *ALONE.split(), *flags],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self._output = self.process.stdout
        self.lines: list[str] = []
        for line in self._output:
            self.lines.append(line.rstrip())
            if line.startswith("ready"):
                break
        else:
            self.process.wait()
            self._output.close()
            raise OSError(f"the server did not start: {' / '.join(self.lines) or 'no output'}")
        # The only thing that is read from its output: which free port the system gave it.
        stated = next(line for line in self.lines if line.startswith("osc "))
        self.port = int(stated.split()[1].rstrip(",").rpartition(":")[2])
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(REPLY_S)

    def send(self, packet: bytes) -> None:
        """Send one OSC packet."""
        self._socket.sendto(packet, ("127.0.0.1", self.port))

    def status(self) -> Telemetry:
        """The answer to /status; OSError if there is none within a minute."""
        self.send(osc("/status"))
        while True:
            reply = OscMessage(self._socket.recv(MAX_PACKET))
            if reply.address == "/status.reply":
                values = dict(zip(reply.params[::2], reply.params[1::2], strict=True))
                return Telemetry(**{f.name: values[f.name] for f in fields(Telemetry)})

    def stop(self) -> None:
        """End it as Ctrl-C would. OSError unless it ended well."""
        self.process.send_signal(signal.SIGINT)
        printed, _ = self.process.communicate(timeout=STOP_S)
        if self.process.returncode:
            raise OSError(f"the server ended with {self.process.returncode}: {printed.strip()}")

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(self, *failure: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._output.close()
        self._socket.close()
