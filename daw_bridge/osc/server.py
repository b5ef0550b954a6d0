"""Open Sound Control over UDP: one socket, one thread, answers to whoever sent.

daw_bridge/commands holds what the addresses mean. A malformed packet is dropped and counted; a
mistake in a message is answered by /error <address> <message>. The thread does not wait for
timetags (they become times of events), and no packet can end it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from daw_bridge.clock import AudioClock
from daw_bridge.commands.actions import Session, Status
from daw_bridge.desk.desk import Desk
from daw_bridge.inbox import Inbox
from daw_bridge.osc.addresses import Addresses
from daw_bridge.osc.packet import MAX_PACKET, Message, encode, messages

_WAKE_S = 0.25
"""How often the listener checks whether it should end."""

_RECEIVE_BYTES = 1 << 20
"""Room for a burst of notes while other threads run; the system may give less."""


class OscServer:
    """Listens on a UDP address, in a thread of its own, from construction to `close`.

    status: called for each /status, in the listener's thread; version: what /version answers. Port
    0 takes any free port; `port` says which. watch: called with each message, its sender's host and
    port, and "" or why it was refused, in the listener's thread; it must not raise. OSError, in
    one line, if it cannot listen there. malformed: packets dropped; refused: messages answered by
    /error. Both counters only grow.
    """

    def __init__(
        self,
        desk: Desk,
        inbox: Inbox,
        clock: AudioClock,
        status: Status,
        version: str,
        host: str = "127.0.0.1",
        port: int = 9000,
        watch: Callable[[Message, str, str], object] | None = None,
    ) -> None:
        self.malformed = 0
        self.refused = 0
        self._clock = clock
        self._watch = watch
        self._addresses = Addresses(Session(desk, inbox, status, version), clock)
        self._socket = _bound(host, port)
        self.host, self.port = self._socket.getsockname()[:2]
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="osc", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and free the port."""
        self._closing.set()
        self._thread.join()
        self._socket.close()

    def __enter__(self) -> OscServer:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                packet, sender = self._socket.recvfrom(MAX_PACKET)
            except TimeoutError:
                continue
            except OSError:
                # Windows reports here that nobody received an earlier reply. The pause keeps an
                # error that does not go away from becoming a busy loop.
                self._closing.wait(0.01)
                continue
            arrival = self._clock.now()
            try:
                received = messages(packet)
            except ValueError:
                self.malformed += 1
                continue
            for message in self._addresses.spread(received):
                self._answer(message, arrival, sender)

    def _answer(self, message: Message, arrival: int, sender: tuple) -> None:
        """Act on a message and reply; nothing that happens here may end the listener."""
        try:
            reply = self._addresses.act(message, arrival)
            if reply is not None:
                self._reply(sender, *reply)
            self._tell(message, sender)
        except Exception as error:
            self.refused += 1
            self._tell(message, sender, str(error) or repr(error))
            if message.address == "/error" or message.address.endswith(".reply"):
                return  # two servers that answer each other's errors would never stop
            # A ValueError is written for the sender. Any other error (a full disk, a mistake of
            # ours) needs its type to be understood.
            text = str(error) if isinstance(error, ValueError) else repr(error)
            packet = encode("/error", message.address[:1000], text[:1000])
            try:
                self._socket.sendto(packet, sender)
            except OSError:
                return  # the sender cannot be reached

    def _tell(self, message: Message, sender: tuple, problem: str = "") -> None:
        if self._watch:
            self._watch(message, f"{sender[0]}:{sender[1]}", problem)

    def _reply(self, sender: tuple, address: str, args: tuple[int | float | str, ...]) -> None:
        try:
            self._socket.sendto(encode(address, *args), sender)
        except (OSError, ValueError) as error:
            raise ValueError(f"the reply could not be sent: {error}") from error


def _bound(host: str, port: int) -> socket.socket:
    """A UDP socket bound to host (a name, IPv4 or IPv6) and port 0..65535."""
    try:
        if not 0 <= port <= 65_535:
            raise OSError("a port is 0..65535")
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"OSC cannot listen on {host}:{port}: {reason}") from error
    bound.settimeout(_WAKE_S)
    return bound
