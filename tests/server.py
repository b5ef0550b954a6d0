"""A real server process for tests: spoken to by another OSC library, stopped by signals."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import build_msg

from benchmarks.rigs.live import ROOT, LiveServer
from tests.waiting import PATIENCE_S, PROCESS_S, wait_until


class Server:
    """A `LiveServer` with the same flags. lines: what it printed until it was ready."""

    def __init__(self, *flags: str) -> None:
        self._live = LiveServer(flags)
        self.process, self.lines = self._live.process, self._live.lines
        self.port = self._live.port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)

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

    def tell(self, address: str, *arguments: object) -> None:
        """Send a message, and return when it has been acted on."""
        self.send(address, *arguments)
        assert self.ask("/sync", 1) == [1]

    def status(self) -> dict[str, object]:
        values = self.ask("/status")
        return dict(zip(values[::2], values[1::2], strict=True))

    def play_on(self, seconds: float) -> None:
        """Return when the engine has played so much more."""
        until = self.status()["seconds"] + seconds
        wait_until(lambda: self.status()["seconds"] >= until, self.status)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Signal it; its exit code and what it said last."""
        self.process.send_signal(number)
        rest = self.process.stdout.read()
        self._socket.close()
        return self.process.wait(PROCESS_S), rest

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *failure: object) -> None:
        self._live.__exit__()
        self._socket.close()


def run(*arguments: str) -> subprocess.CompletedProcess:
    """`run_server.py` with arguments that make it end by itself; without learnt controllers."""
    return subprocess.run(
        [sys.executable, "run_server.py", *_alone(arguments)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROCESS_S,
    )


RUN_EACH = """
import contextlib, io, json, sys
import run_server

ended = []
for arguments in json.load(sys.stdin):
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = run_server.main(arguments)
    ended.append([arguments, code, out.getvalue(), errors.getvalue()])
json.dump(ended, sys.stdout)
"""


def run_each(commands: Sequence[Sequence[str]]) -> list[subprocess.CompletedProcess]:
    """As `run` with each of some arguments, one after the other in a single process, which loads
    its libraries once."""
    done = subprocess.run(
        [sys.executable, "-c", RUN_EACH],
        cwd=ROOT,
        input=json.dumps([_alone(arguments) for arguments in commands]),
        capture_output=True,
        text=True,
        timeout=PROCESS_S,
    )
    assert done.returncode == 0, done.stderr
    return [subprocess.CompletedProcess(*ended) for ended in json.loads(done.stdout)]


def _alone(arguments: Sequence[str]) -> list[str]:
    """Arguments that use nothing of the machine that others may use, too."""
    if list(arguments[:1]) == ["render"]:
        return ["render", "--midi-map", "none", "--patches", "none", *arguments[1:]]
    own = ["--midi-map", "none", "--patches", "none", "--desk", "none", "--http", "none"]
    return [*own, "--osc", "127.0.0.1:0", *arguments]
