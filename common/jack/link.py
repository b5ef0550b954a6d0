"""The bond with JACK: joins a server when there is one, and again when it has come back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from common.jack.client import JackClient
from common.jack.library import load_jack

LOOK_S = 0.25
"""How often it is looked whether a server has come or gone."""
STALLED_S = 2.0
"""A server that runs no cycle for so long is gone, though it may not say so."""

_log = logging.getLogger(__name__)


class Member(Protocol):
    """What has ports on the client. All calls come from one thread."""

    def join(self, client: JackClient) -> None:
        """Add ports to a client that does not run yet. OSError if that fails."""

    def joined(self, client: JackClient) -> None:
        """The client runs: connect its ports."""

    def left(self, why: str) -> None:
        """The server has gone; the client must not be used any more."""


class JackLink:
    """Keeps a client on the server, if there is one, until `close`.

    Members are added before `start`. latency_s: asked a few times a second, and told to JACK: the
    seconds from a MIDI message to its sound at our ports. missing: why there is no server, "" as
    long as there is one.
    """

    def __init__(self) -> None:
        self.missing = ""
        self.latency_s: Callable[[], float] = lambda: 0.0
        self._members: list[Member] = []
        self._found: JackClient | None = None
        self._client: JackClient | None = None
        self._last: JackClient | None = None
        """The one that was left last."""
        self._cycles, self._since = 0, 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="jack", daemon=True)

    def add(self, member: Member) -> None:
        """Let a member join whenever there is a server."""
        self._members.append(member)

    def seek(self) -> bool:
        """Whether there is a server now; it then keeps a client for `start`."""
        if self._last is not None and self._last.hangs:
            return False
        if self._found is None:
            try:
                self._found = JackClient()
                self.missing = ""
            except OSError as error:
                self.missing = str(error)
        return self._found is not None

    def inputs(self) -> list[str]:
        """Names of the MIDI inputs of the server that `seek` has found."""
        return self._found.ports(midi=True, output=True) if self._found else []

    def start(self) -> None:
        """Join the server, if there is one, and go on looking for it."""
        self._join()
        self._thread.start()

    def close(self) -> None:
        """Leave the server."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()
        for client in (self._client, self._found):
            if client is not None:
                client.close()
        self._client = self._found = None

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_S):
            try:
                if self._client is None:
                    self._join()
                else:
                    self._tend(self._client)
            except Exception:
                _log.exception("JACK: a mistake of ours")

    def _join(self) -> None:
        if not self.seek():
            return
        client, self._found = self._found, None
        assert client is not None
        try:
            for member in self._members:
                member.join(client)
            client.activate()
        except OSError as error:
            self.missing = str(error)
            client.close()
            return
        self._client, self._cycles, self._since = client, 0, time.monotonic()
        for member in self._members:
            member.joined(client)

    def _tend(self, client: JackClient) -> None:
        """Tell JACK the latency, and see whether the server is still there."""
        if client.gone:
            self._leave(client, "the JACK server has ended")
        elif client.cycles != self._cycles:
            self._cycles, self._since = client.cycles, time.monotonic()
            client.state_latency(round(self.latency_s() * client.rate))
        elif time.monotonic() - self._since > STALLED_S:
            self._leave(client, "the JACK server does not run any more")

    def _leave(self, client: JackClient, why: str) -> None:
        self._client, self._last, self.missing = None, client, why
        for member in self._members:
            member.left(why)
        client.close()


def jack_link() -> JackLink | None:
    """A bond with JACK, None where there is no JACK library."""
    try:
        load_jack()
    except OSError:
        return None
    return JackLink()
