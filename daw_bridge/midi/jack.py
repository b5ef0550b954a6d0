"""MIDI of JACK: the port `in` of a client of ours, and one more for each input that is wanted.

JACK says at which sample of a cycle a message lies, so notes keep their places, whatever the size
of its buffers.
"""

from __future__ import annotations

import time
from collections import deque

from common.jack.client import NAME, JackClient
from daw_bridge.midi.port import LEFT

CLIENT = f"{NAME}-midi"
"""What the client is called."""
OWN = "in"
"""The port that others connect to; those that we connect are called in_2, in_3 and so on."""


class JackMidi:
    """Inputs of a JACK server, as a member of a `JackLink`; none while there is no server.

    hardware: whether "auto" takes the server's hardware ports: only where nothing else does.
    """

    def __init__(self, hardware: bool) -> None:
        self._hardware = hardware
        self._client: JackClient | None = None
        self._physical: list[str] = []
        self._queues: dict[int, deque[tuple[bytes, float]]] = {}
        """Of each port of ours: messages, and when they were due."""
        self._free: list[int] = []
        self._own = JackPort(self, 0, None)

    @property
    def label(self) -> str:
        client = self._client
        return f"{client.name}:{OWN} (JACK)" if client else "of JACK as soon as it runs"

    @property
    def client_name(self) -> str:
        return CLIENT

    def join(self, client: JackClient) -> None:
        client.listen(OWN)

    def joined(self, client: JackClient) -> None:
        client.find_speakers()
        # Whoever played on the server before is gone, whether or not that has been read yet.
        self._queues, self._free = {0: deque([(LEFT, 0.0)])}, []
        self._client = client

    def left(self, why: str) -> None:
        self._client = None
        if self._queues:
            self._queues[0].append((LEFT, 0.0))

    def names(self) -> list[str]:
        client = self._client
        if client is None:
            return []
        self._physical = client.ports(midi=True, output=True, physical=True)
        return client.ports(midi=True, output=True)

    def is_hardware(self, name: str) -> bool:
        return self._hardware and name in self._physical

    def open(self, name: str) -> JackPort:
        client = self._client
        if client is None:
            raise OSError("the JACK server has gone")
        number = len(self._queues)
        if self._free:
            number = self._free.pop()
        else:
            client.listen(f"{OWN}_{number + 1}")
        self._queues[number] = deque()
        if not client.connect(name, f"{OWN}_{number + 1}"):
            self._free.append(number)
            raise OSError("JACK refuses to connect it")
        return JackPort(self, number, client)

    def open_virtual(self) -> JackPort:
        return self._own

    def close(self) -> None:
        self._client = None

    def take(self, number: int) -> tuple[bytes, float] | None:
        """The oldest message at a port, and how many seconds it lies ahead."""
        client, now = self._client, time.perf_counter()
        if client is not None:
            for port, message, age in client.messages():
                if port in self._queues:
                    self._queues[port].append((message, now - age))
        queue = self._queues.get(number)
        if not queue:
            return None
        message, due = queue.popleft()
        return message, max(due - now, 0.0)

    @property
    def lost(self) -> int:
        client = self._client
        return client.midi_lost if client else 0

    def uses(self, client: JackClient) -> bool:
        """Whether a port that was opened on a client is still of use."""
        return client is self._client

    def give_back(self, number: int, client: JackClient) -> None:
        if self.uses(client):
            self._free.append(number)


class JackPort:
    """An input of ours. client: the one it was opened on; None for our own, which stays."""

    def __init__(self, midi: JackMidi, number: int, client: JackClient | None) -> None:
        self._midi, self._number, self._client = midi, number, client

    @property
    def lost(self) -> int:
        return self._midi.lost

    @property
    def gone(self) -> bool:
        return self._client is not None and not self._midi.uses(self._client)

    def read(self) -> tuple[bytes, float] | None:
        return self._midi.take(self._number)

    def close(self) -> None:
        if self._client is not None:
            self._midi.give_back(self._number, self._client)
