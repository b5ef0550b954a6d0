"""The bond with JACK: joins a server when there is one, and again when it has come back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from common.jack.client import JackClient
from common.jack.library import load_jack

LOOK_S = 0.25
"""How often it is looked whether a server has come or gone."""
STALLED_S = 2.0
"""A server that runs no cycle for so long is gone, though it may not say so. Counted in looks: if
this program has stood still itself, the server may be well."""

_log = logging.getLogger(__name__)


class Member(Protocol):
    """What has ports on a client of its own. All calls come from one thread.

    Sound and MIDI have a client each: a DAW plays MIDI to us and hears our sound, and JACK would
    delay one of the two by a cycle if both went through one client. client_name: what it is
    called.
    """

    @property
    def client_name(self) -> str: ...

    def join(self, client: JackClient) -> None:
        """Add ports to a client that does not run yet. OSError if that fails."""

    def joined(self, client: JackClient) -> None:
        """The client runs: connect its ports."""

    def left(self, why: str) -> None:
        """The server has gone; the client must not be used any more."""


class JackLink:
    """Keeps a client for each member on the server, if there is one, until `close`.

    Members are added before `start`. latency_s: asked a few times a second, and told to JACK: the
    seconds from a MIDI message to its sound at our ports. missing: why there is no server, "" as
    long as there is one.
    """

    def __init__(self) -> None:
        self.missing = ""
        self.latency_s: Callable[[], float] = lambda: 0.0
        self._members: list[Member] = []
        self._clients: list[JackClient] = []
        self._leaving: list[JackClient] = []
        """Those that were left last, some of which may hang."""
        self._cycles: list[int] = []
        self._still = 0
        """Looks since the last cycle that was seen."""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="jack", daemon=True)

    def add(self, member: Member) -> None:
        """Let a member join whenever there is a server."""
        self._members.append(member)

    def seek(self) -> bool:
        """Whether there is a server now. Before `start` only."""
        try:
            JackClient().close()
        except OSError as error:
            self.missing = str(error)
            return False
        return True

    def inputs(self) -> list[str]:
        """Names of the server's MIDI inputs, none where there is no server. Before `start` only."""
        try:
            client = JackClient()
        except OSError:
            return []
        names = client.ports(midi=True, output=True)
        client.close()
        return names

    def start(self) -> None:
        """Join the server, if there is one, and go on looking for it."""
        self._join()
        self._thread.start()

    def close(self) -> None:
        """Leave the server."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()
        for client in self._clients:
            client.close()
        self._clients = []

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_S):
            try:
                if self._clients:
                    self._tend()
                else:
                    self._join()
            except Exception:
                _log.exception("JACK: a mistake of ours")

    def _join(self) -> None:
        # libjack keeps things in common for all clients of a process: first the old ones must go.
        if any(client.hangs for client in self._leaving):
            return
        clients: list[JackClient] = []
        try:
            for member in self._members:
                clients.append(JackClient(member.client_name))
                member.join(clients[-1])
                clients[-1].activate()
        except OSError as error:
            self.missing = str(error)
            self._leaving = clients
            for client in clients:
                client.close()
            return
        self.missing = ""
        self._clients, self._cycles, self._still = clients, [], 0
        for member, client in zip(self._members, clients, strict=True):
            member.joined(client)

    def _tend(self) -> None:
        """Tell JACK the latency, and see whether the server is still there."""
        cycles = [client.cycles for client in self._clients]
        if any(client.gone for client in self._clients):
            self._leave("the JACK server has ended")
        elif cycles != self._cycles:
            self._cycles, self._still = cycles, 0
            for client in self._clients:
                client.state_latency(round(self.latency_s() * client.rate))
        else:
            self._still += 1
            if self._still * LOOK_S >= STALLED_S:
                self._leave("the JACK server does not run any more")

    def _leave(self, why: str) -> None:
        self._clients, self._leaving, self.missing = [], self._clients, why
        for member in self._members:
            member.left(why)
        for client in self._leaving:
            client.close()


def jack_link() -> JackLink | None:
    """A bond with JACK, None where there is no JACK library."""
    try:
        load_jack()
    except OSError:
        return None
    return JackLink()
