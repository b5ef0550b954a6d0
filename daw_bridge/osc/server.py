"""Open Sound Control over UDP: one socket, one thread, answers to whoever sent.

daw_bridge/commands holds what the addresses mean. A malformed packet is dropped and counted; a
mistake in a message is answered by /error <address> <message>. The thread does not wait for
timetags (they become times of events), and no packet can end it.

What reads or changes files waits for the disk in a second thread. So does all that its sender sends
meanwhile, so that it is done and answered in order; only notes, controllers and panic go ahead.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from daw_bridge.clock import AudioClock
from daw_bridge.commands.actions import Answer, Session, Status
from daw_bridge.commands.argument import check_all
from daw_bridge.commands.command import Files
from daw_bridge.commands.table import COMMANDS, GO_AHEAD, find
from daw_bridge.desk.desk import Desk
from daw_bridge.desk.sources import Source
from daw_bridge.events import Event
from daw_bridge.inbox import Inbox
from daw_bridge.osc.addresses import Addresses
from daw_bridge.osc.holders import Holders, Sender
from daw_bridge.osc.notify import LASTS_S, Meter, Notifier
from daw_bridge.osc.packet import MAX_PACKET, Message, encode, messages
from daw_bridge.osc.replies import Replies, is_this_machine, unmapped

_log = logging.getLogger(__name__)

_WAKE_S = 0.25
"""How often the listener checks whether it should end."""

_LOOK_S = 1.0
"""How often it looks for senders that are gone."""

_RECEIVE_BYTES = 1 << 20
"""Room for a burst of notes while other threads run; the system may give less."""

_REPLY_BYTES = 60_000
"""Of a list in one packet; a longer one is answered in several."""

_MOST_WAITING = 1_024
"""Messages that wait for files."""

NOTIFY, LEARN = "/notify", "/midi/learn"
"""Commands that are about their sender: it is told changes, or what has been learnt."""

_USE_FILES = {command.address for command in COMMANDS if command.files is not Files.NONE}
_CHANGE_FILES = {command.address for command in COMMANDS if command.files is Files.CHANGE}


@dataclass(slots=True)
class _Packet:
    """Where a message came from. answered: bytes, so far."""

    sender: tuple
    arrival: int
    bundle: bool
    answered: int = 0


class OscServer:
    """Listens on a UDP address, in a thread of its own, from construction to `close`.

    status: called for each /status, in the listener's thread; version: what /version answers. Port
    0 takes any free port; `port` says which. watch: called with each message, its sender's host and
    port, and "" or why it was refused, in the thread that acts on it; it must not raise. peers:
    other machines, by their numeric addresses, that may change files as this one may. OSError, in
    one line, if it cannot listen there. malformed: packets dropped; refused: messages answered by
    /error; withheld: answers not sent because they were too many; let_go: keys and pedals released
    because their sender was gone, as holders tells. The counters only grow. meter: levels for those
    who ask for them.
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
        peers: Collection[str] = (),
        holders: Holders | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.malformed = 0
        self.refused = 0
        self.let_go = 0
        self._inbox, self._panics = inbox, inbox.panics
        self._holders = holders or Holders()
        self._sender: Sender = ()
        """Of the packet that is being acted on, in the listener's thread."""
        self._clock = clock
        self._watch, self._peers = watch, frozenset(map(unmapped, peers))
        self._replies = Replies()
        self._answering = threading.Lock()
        self._files: queue.Queue[tuple[Message, _Packet] | None] = queue.Queue(_MOST_WAITING)
        self._pending: Counter[tuple] = Counter()
        """Of each sender: how many messages wait in that queue."""
        session = Session(desk, inbox, status, version)
        self._addresses = Addresses(session, clock)
        self._notifier = Notifier(session, self._send_to, meter)
        self._learner: Sender | None = None
        """Who let a knob wait for a controller."""
        desk.learnt.watch = self._tell_learner
        self._socket = _bound(host, port)
        self.host, self.port = self._socket.getsockname()[:2]
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="osc", daemon=True)
        self._filing = threading.Thread(target=self._write_files, name="osc files", daemon=True)
        self._filing.start()
        self._thread.start()

    @property
    def withheld(self) -> int:
        return self._replies.withheld

    def close(self) -> None:
        """Stop listening, do what still waits, and free the port."""
        self._closing.set()
        self._thread.join()
        self._files.put(None)
        self._filing.join()
        self._notifier.close()
        self._socket.close()

    def __enter__(self) -> OscServer:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def _listen(self) -> None:
        self._inbox.tell_here(self._note)
        looked = time.monotonic()
        while not self._closing.is_set():
            if time.monotonic() - looked > _LOOK_S:
                looked = time.monotonic()
                self._let_go()
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
            self._notifier.hear(sender[0])
            try:
                received = messages(packet)
            except ValueError:
                self.malformed += 1
                continue
            self._sender = sender
            self._holders.heard(sender)
            meant = list(self._addresses.spread(received))
            origin = _Packet(sender, arrival, len(meant) > 1)
            for message in meant:
                self._take(message, origin)

    def _note(self, event: Event) -> None:
        """Take in what the sender has just done."""
        self._look_for_panic()
        self._holders.note(self._sender, event)

    def _let_go(self) -> None:
        """Release what senders hold that are gone."""
        self._look_for_panic()
        for sender, events in self._holders.gone(self._clock.now()).items():
            for event in events:
                self._inbox.post(event)
            self.let_go += len(events)
            _log.warning(
                "OSC: %s:%d is gone with %d keys and pedals down; they are released",
                *(*sender[:2], len(events)),
            )

    def _look_for_panic(self) -> None:
        if self._inbox.panics != self._panics:
            self._panics = self._inbox.panics
            self._holders.forget()

    def _take(self, message: Message, packet: _Packet) -> None:
        """Act on a message now, or after what waits for files."""
        address = _template(message.address)
        waits = address in _USE_FILES or (
            address not in GO_AHEAD and self._pending[packet.sender] > 0
        )
        if not waits:
            self._answer(message, packet)
            return
        with self._answering:
            self._pending[packet.sender] += 1
        try:
            self._files.put_nowait((message, packet))
        except queue.Full:
            self._served(packet)
            self._refuse(message, packet, ValueError("too much waits for files to be written"))

    def _write_files(self) -> None:
        while (waiting := self._files.get()) is not None:
            self._answer(*waiting)
            self._served(waiting[1])

    def _served(self, packet: _Packet) -> None:
        with self._answering:
            self._pending[packet.sender] -= 1
            if not self._pending[packet.sender]:
                del self._pending[packet.sender]

    def _answer(self, message: Message, packet: _Packet) -> None:
        """Act on a message and reply; nothing that happens here may end its thread."""
        try:
            self._check_sender(message, packet.sender[0])
            if message.address == NOTIFY:
                reply = self._subscribe(message, packet.sender)
            elif message.address == LEARN:
                reply = self._learn(message, packet)
            else:
                reply = self._addresses.act(message, packet.arrival)
            if reply is not None:
                self._reply(packet, *reply)
            self._tell(message, packet.sender)
        except Exception as error:
            self._refuse(message, packet, error)

    def _subscribe(self, message: Message, sender: tuple) -> tuple[str, Answer] | None:
        """Tell a sender what changes, at the port in its message, or no longer."""
        if message.problem:
            raise ValueError(message.problem)
        told, levels = check_all(find(NOTIFY)[0].arguments, message.args)
        port = sender[1] if told is None else told
        if port:
            self._notifier.subscribe((sender[0], port, *sender[2:]), bool(levels))
        else:
            self._notifier.end(sender[0])
        return f"{NOTIFY}.reply", (port, LASTS_S if port else 0.0)

    def _learn(self, message: Message, packet: _Packet) -> tuple[str, Answer] | None:
        """Let a knob wait for a controller; the sender will be told which one it was."""
        # Beforehand: it may move at once.
        before, self._learner = self._learner, packet.sender
        try:
            return self._addresses.act(message, packet.arrival)
        except ValueError:
            self._learner = before
            raise

    def _tell_learner(self, knob: str, source: Source, problem: str) -> None:
        """Tell who let a knob wait what turns it now."""
        learner, self._learner = self._learner, None
        if learner is None:
            return
        if problem:
            self._send_to(learner, encode("/error", LEARN, problem[:1000]))
        else:
            self._send_to(learner, encode("/midi/learnt", source, knob))

    def _send_to(self, address: tuple, content: bytes) -> None:
        """Tell somebody who is not waiting for it; what cannot be sent is left out."""
        with self._answering:
            if not self._replies.allow(address[0], len(content), 0, False):
                return
        with suppress(OSError):
            self._socket.sendto(content, address)

    def _check_sender(self, message: Message, host: str) -> None:
        """Raises ValueError for a change of files from a machine that may not."""
        host = unmapped(host)
        changes = _template(message.address) in _CHANGE_FILES
        if changes and not is_this_machine(host) and host not in self._peers:
            raise ValueError(
                f"{host} may not change files of the server; it may with --osc-peers {host}"
            )

    def _refuse(self, message: Message, packet: _Packet, error: Exception) -> None:
        with self._answering:
            self.refused += 1
        self._tell(message, packet.sender, str(error) or repr(error))
        if message.address == "/error" or message.address.endswith(".reply"):
            return  # two servers that answer each other's errors would never stop
        # A ValueError is written for the sender. Any other error (a full disk, a mistake of
        # ours) needs its type to be understood.
        text = str(error) if isinstance(error, ValueError) else repr(error)
        try:
            self._send(packet, encode("/error", message.address[:1000], text[:1000]))
        except OSError:
            return  # the sender cannot be reached

    def _tell(self, message: Message, sender: tuple, problem: str = "") -> None:
        if self._watch:
            self._watch(message, f"{sender[0]}:{sender[1]}", problem)

    def _reply(self, packet: _Packet, address: str, args: tuple[int | float | str, ...]) -> None:
        """Answer, with a list that is too long for one packet in several of the same address."""
        try:
            content = encode(address, *args)
            if len(content) > _REPLY_BYTES and len(args) > 1:
                half = len(args) // 2
                self._reply(packet, address, args[:half])
                self._reply(packet, address, args[half:])
            else:
                self._send(packet, content)
        except (OSError, ValueError) as error:
            raise ValueError(f"the reply could not be sent: {error}") from error

    def _send(self, packet: _Packet, content: bytes) -> None:
        host, size = packet.sender[0], len(content)
        with self._answering:
            if not self._replies.allow(host, size, packet.answered, packet.bundle):
                return
            packet.answered += size
        self._socket.sendto(content, packet.sender)


@lru_cache(1_024)
def _template(address: str) -> str:
    """The address in the table that an address is of, "" if it is of none."""
    try:
        return find(address)[0].address
    except ValueError:
        return ""


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
