"""A client on a JACK server: ports of sound and of MIDI, for as long as the server lives.

A server that dies takes its clients along, and calls to it may then hang. So nothing here waits
for one: closing happens in a thread that can be left behind.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import threading
import weakref
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.jack.library import (
    AUDIO,
    INPUT,
    MIDI,
    NO_START,
    OUTPUT,
    PHYSICAL,
    PLAYBACK,
    load_jack,
)
from common.jack.process import (
    CHANNELS,
    CLIENT,
    CYCLES,
    EVENT,
    FALL,
    FALL_LENGTH,
    FIRST_PORT,
    GONE,
    HEADER,
    HELD,
    LAST,
    MIDI_CAPACITY,
    MIDI_LOST,
    MIDI_PORTS,
    MIDI_READ,
    MIDI_RING,
    MIDI_WRITTEN,
    MOST_CHANNELS,
    MOST_MIDI,
    OWN_LATENCY,
    PIPE,
    PLAYOUT,
    RANGE,
    RING,
    RING_AT,
    RING_CAPACITY,
    SCRATCH,
    SCRATCH_CAPACITY,
    SPEAKER,
    TABLE,
    XRUNS,
    callbacks,
)
from common.steady import steadied

NAME = "melstream"
"""What the client is called, unless another one is."""
MIDI_BYTES = 1 << 20
"""Room for MIDI that nobody has read yet: 100,000 notes."""
MOST_PERIOD = 1 << 14
"""Frames of a cycle at most; of a longer one the rest is silence."""
CLOSE_S = 2.0
"""How long a client may take to close before it is left behind."""


class JackClient:
    """One client of one server, from its opening until `close`, or until the server is `gone`.

    `play` comes before `activate`; then it runs. rate: Hz; name: as the server calls it.
    OSError where there is no JACK library or no server.
    """

    def __init__(self, name: str = NAME) -> None:
        self._jack = load_jack()
        silent = callbacks().silent
        self._jack.jack_set_error_function(silent)
        self._jack.jack_set_info_function(silent)
        status = ctypes.c_int()
        client = self._jack.jack_client_open(name.encode(), NO_START, ctypes.byref(status))
        if not client:
            raise OSError("no JACK server is running")
        self._client: int = client
        self.name: str = self._jack.jack_get_client_name(client).decode()
        self.rate: int = self._jack.jack_get_sample_rate(client)
        self._table = np.zeros(TABLE, np.int64)
        self._kept: list[NDArray] = []
        """What the table points to."""
        self._bell, pipe = os.pipe()
        for end in (self._bell, pipe):
            os.set_blocking(end, False)
        self._midi = np.zeros(MIDI_BYTES, np.uint8)
        for place, value in (
            (CLIENT, client),
            (PIPE, pipe),
            (EVENT, self._address(np.zeros(3, np.int64))),
            (RANGE, self._address(np.zeros(1, np.int64))),
            (MIDI_RING, self._address(self._midi)),
            (MIDI_CAPACITY, MIDI_BYTES),
        ):
            self._table[place] = value
        self._lock = threading.RLock()
        """Held to use JACK's client, or to close it: a closed one must not be asked anything."""
        self._names: list[str] = []
        """Of our ports of sound."""
        self._closed = False
        self._closer: threading.Thread | None = None
        # Not when it is closed: somebody may still wait.
        weakref.finalize(self, _close_files, self._bell, pipe)

    def play(
        self,
        names: Sequence[str],
        ring_counts: NDArray[np.int64],
        ring: NDArray[np.float32],
        counts: NDArray[np.int64],
        fades: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    ) -> None:
        """Add a port for each channel of a ring; the arrays are what `common.jack.playing` takes.

        fades: fall, held and last. OSError if the server refuses a port.
        """
        fall, held, last = fades
        scratch = np.zeros((MOST_PERIOD, len(names)), np.float32)
        for place, array in (
            (RING_AT, ring_counts),
            (RING, ring),
            (PLAYOUT, counts),
            (FALL, fall),
            (HELD, held),
            (LAST, last),
            (SCRATCH, scratch),
        ):
            self._table[place] = self._address(array)
        self._table[RING_CAPACITY], self._table[FALL_LENGTH] = len(ring), len(fall)
        self._table[SCRATCH_CAPACITY] = MOST_PERIOD
        for n, name in enumerate(names):
            self._table[FIRST_PORT + n] = self._register(name, AUDIO, OUTPUT)
        self._names = list(names)
        self._table[CHANNELS] = len(names)

    def listen(self, name: str) -> int:
        """Add a MIDI input, at any time; its number. OSError if there is no room for it."""
        with self._lock:
            number = int(self._table[MIDI_PORTS])
            if self._away or number == MOST_MIDI:
                raise OSError(f"no room for the MIDI port {name}")
            port = self._register(name, MIDI, INPUT)
            self._table[FIRST_PORT + MOST_CHANNELS + number] = port
            # Last: the callback may run.
            self._table[MIDI_PORTS] = number + 1
            return number

    def activate(self) -> None:
        """Begin to run. OSError if the server refuses."""
        jack, table, on = self._jack, self._table.ctypes.data, callbacks()
        jack.jack_set_process_callback(self._client, on.process, table)
        jack.jack_set_latency_callback(self._client, on.latency, table)
        jack.jack_set_xrun_callback(self._client, on.xrun, table)
        jack.jack_on_info_shutdown(self._client, on.shutdown, table)
        if jack.jack_activate(self._client):
            raise OSError("the JACK server refuses the client")

    @property
    def _away(self) -> bool:
        return self._closed or self.gone

    @property
    def gone(self) -> bool:
        """Whether the server has ended, or has shut this client out."""
        return bool(self._table[GONE])

    def give_up(self) -> None:
        """Take the server for gone, since it has not called for long."""
        self._table[GONE] = 1

    @property
    def cycles(self) -> int:
        """How often the server has called so far: a clock that proves it alive."""
        return int(self._table[CYCLES])

    @property
    def xruns(self) -> int:
        """How often the server was late, because some program on it was: then all lose sound."""
        return int(self._table[XRUNS])

    @property
    def now_s(self) -> float:
        """JACK's own clock, seconds."""
        return float(self._jack.jack_get_time()) / 1e6

    def wait(self, timeout: float) -> None:
        """Wait until a cycle has been run since the last wait, at most timeout seconds."""
        if select.select([self._bell], [], [], timeout)[0]:
            os.read(self._bell, 4096)

    def state_latency(self, frames: int) -> None:
        """Tell JACK how long after a MIDI message its sound comes out of our ports, in frames, if
        that has changed by more than it always does."""
        frames = steadied(int(self._table[OWN_LATENCY]), frames, self.rate)
        with self._lock:
            if not self._away and self._table[OWN_LATENCY] != frames:
                self._table[OWN_LATENCY] = frames
                self._jack.jack_recompute_total_latencies(self._client)

    def playback_latency(self) -> int:
        """Frames from the loudspeaker's port to the air, as JACK states them."""
        told = (ctypes.c_uint32 * 2)()
        with self._lock:
            port = int(self._table[SPEAKER])
            if port and not self._away:
                self._jack.jack_port_get_latency_range(port, PLAYBACK, told)
        return int(told[1])

    def ports(self, *, midi: bool, output: bool, physical: bool = False) -> list[str]:
        """Names of ports of any client but this one."""
        flags = (OUTPUT if output else INPUT) | (PHYSICAL if physical else 0)
        names: list[str] = []
        with self._lock:
            if self._away:
                return names
            found = self._jack.jack_get_ports(self._client, None, MIDI if midi else AUDIO, flags)
            if found:
                while (name := found[len(names)]) is not None:
                    names.append(name.decode(errors="replace"))
                self._jack.jack_free(found)
        mine = f"{self.name}:"
        return [name for name in names if not name.startswith(mine)]

    def connect(self, source: str, target: str) -> bool:
        """Connect two ports, ours without the client's name; whether they are connected now."""
        names = [n if ":" in n else f"{self.name}:{n}" for n in (source, target)]
        with self._lock:
            if self._away:
                return False
            told = self._jack.jack_connect(self._client, *(n.encode() for n in names))
        return told in (0, errno.EEXIST)

    def find_speakers(self) -> list[str]:
        """The sound card's ports; the latency of the first one counts from now on."""
        speakers = self.ports(midi=False, output=False, physical=True)
        with self._lock:
            if speakers and not self._away:
                port = self._jack.jack_port_by_name(self._client, speakers[0].encode())
                self._table[SPEAKER] = port
        return speakers

    def play_on(self, speakers: Sequence[str]) -> None:
        """Connect our first ports of sound to ports of the sound card, one to each."""
        for ours, speaker in zip(self._names, speakers, strict=False):
            self.connect(ours, speaker)

    def messages(self) -> list[tuple[int, bytes, float]]:
        """MIDI that has come: port, message, and how many seconds ago. One thread asks.

        A message may belong to a moment of the cycle that has just begun: it then lies ahead. An
        empty one says that a sender has left the port.
        """
        told: list[tuple[int, bytes, float]] = []
        with self._lock:
            if self._away or self._table[MIDI_READ] == self._table[MIDI_WRITTEN]:
                return told
            now = self._jack.jack_frame_time(self._client)
        while (read := int(self._table[MIDI_READ])) < self._table[MIDI_WRITTEN]:
            head = self._bytes(read, HEADER)
            size, frame = (int.from_bytes(head[i : i + 4], "little") for i in (0, 4))
            message = self._bytes(read + HEADER, size)
            self._table[MIDI_READ] = read + HEADER + size
            # Counts of frames start again after 2^32.
            age = (now - frame + 2**31) % 2**32 - 2**31
            told.append((head[8], message, age / self.rate))
        return told

    @property
    def midi_lost(self) -> int:
        """Messages for which there was no room."""
        return int(self._table[MIDI_LOST])

    def close(self) -> None:
        """End it. One that hangs is left to itself after 2 s."""
        # One that hangs may also hold the lock.
        held = self._lock.acquire(timeout=CLOSE_S)
        was_closed, self._closed = self._closed, True
        if held:
            self._lock.release()
        if was_closed:
            return
        self._closer = threading.Thread(target=self._close, daemon=True)
        self._closer.start()
        self._closer.join(CLOSE_S)

    @property
    def hangs(self) -> bool:
        """Whether it is still being closed. Until then no other client may be opened: libjack
        keeps things in common for all clients of a process."""
        return self._closer is not None and self._closer.is_alive()

    def _close(self) -> None:
        if not self.gone:
            self._jack.jack_deactivate(self._client)
        self._jack.jack_client_close(self._client)

    def _bytes(self, at: int, count: int) -> bytes:
        at %= MIDI_BYTES
        straight = self._midi[at : at + count]
        return straight.tobytes() + self._midi[: count - len(straight)].tobytes()

    def _register(self, name: str, kind: bytes, flags: int) -> int:
        port = self._jack.jack_port_register(self._client, name.encode(), kind, flags, 0)
        if not port:
            raise OSError(f"the JACK server has no room for the port {name}")
        return int(port)

    def _address(self, array: NDArray) -> int:
        self._kept.append(array)
        return int(array.ctypes.data)


def _close_files(*files: int) -> None:
    for file in files:
        os.close(file)
