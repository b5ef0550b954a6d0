"""The memory that an LV2 plug-in shares with the server; plugin/shared.h has the same layout.

The plug-in makes a file in /dev/shm and holds a lock on it as long as it lives. The server looks
for one that no other server has, and takes it. Each field has one writer: P, the plug-in, or S, the
server; counts only grow, and are written after what they count.
"""

from __future__ import annotations

import mmap
import os
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.jack.playing import PLAYOUT_COUNTS, RING_COUNTS

FOLDER = Path("/dev/shm")
SLOTS = 16
"""Plug-ins at once on a machine, for each user."""
MAGIC = int.from_bytes(b"melstrm1", "little")
MIDI_BYTES = TEXT_BYTES = 65_536
FALL_MOST, RING_SAMPLES = 1_024, 192_000
LEAST_RATE, MOST_RATE = 8_000, RING_SAMPLES
KNOBS = ("brightness", "movement", "attack", "decay", "body", "air")
"""The plug-in's controls, in its order; plugin/melstream.lv2/melstream.ttl has them, too."""
HEADER = 12
"""Bytes before a MIDI message: int64 ns of the monotonic clock, int32 length."""

_TEXT = [("version", "<i8"), ("length", "<i8"), ("bytes", "u1", TEXT_BYTES)]
LAYOUT = np.dtype(
    [
        ("magic", "<i8"),  # P, last of all
        ("rate", "<i8"),  # P: Hz of the host
        ("cycles", "<i8"),  # P: how often the host has called
        ("closed", "<i8"),  # P: the host has taken the plug-in away
        ("latency", "<i8"),  # S: samples from a MIDI message to its sound
        ("looks", "<i8"),  # S: grows while a server is there
        ("applied", "<i8"),  # S: version of `wanted` that the desk has taken
        ("ring", "<i8", RING_COUNTS),  # samples written (S) and read (P)
        ("playout", "<i8", PLAYOUT_COUNTS),  # RESERVE and MUTED: S; the others: P
        ("fall_length", "<i8"),  # S
        ("midi_written", "<i8"),  # P: bytes
        ("midi_read", "<i8"),  # S
        ("midi_lost", "<i8"),  # P: messages without room
        ("knobs", "<f4", 8),  # P: 0..1, as the host has them
        ("held", "<f4", 2),  # P
        ("last", "<f4", 2),  # P
        ("fall", "<f4", FALL_MOST),  # S: from 1 to 0, the shape of a fade
        ("midi", "u1", MIDI_BYTES),  # P
        ("now", _TEXT),  # S: how the desk stands
        ("wanted", _TEXT),  # P: how the session wants it to stand
        ("samples", "<f4", (RING_SAMPLES, 2)),  # S
    ]
)


class PluginMemory:
    """The memory of one plug-in, taken by this server until `close`.

    OSError, with the reason, for a file that is none, or of a plug-in that is gone or served.
    """

    def __init__(self, path: Path) -> None:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(file)
            # Others might put a file there, and change it while it is used.
            if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
                raise OSError(f"{path} belongs to somebody else")
            if status.st_size != LAYOUT.itemsize:
                raise OSError(f"{path} is of another version of the plug-in")
            if _is_free(file):
                raise OSError(f"the plug-in of {path} has gone")
            if not _claims(file):
                raise OSError(f"the plug-in of {path} has a server")
            self._all = np.frombuffer(mmap.mmap(file, LAYOUT.itemsize), LAYOUT)
            if self._all["magic"][0] != MAGIC or not LEAST_RATE <= self.rate <= MOST_RATE:
                raise OSError(f"{path} is not ready")
        except BaseException:
            os.close(file)
            raise
        self._file = file
        self.name = path.name

    @property
    def rate(self) -> int:
        return int(self._all["rate"][0])

    @property
    def cycles(self) -> int:
        return int(self._all["cycles"][0])

    @property
    def gone(self) -> bool:
        """Whether the plug-in has been taken away, or its host has ended."""
        return self._file < 0 or bool(self._all["closed"][0]) or _is_free(self._file)

    @property
    def lost(self) -> int:
        """MIDI messages without room."""
        return int(self._all["midi_lost"][0])

    def field(self, name: str) -> NDArray:
        """A field that is an array, to be read and written in place."""
        return self._all[name][0]

    def say(self, name: str, value: int) -> None:
        """Write a count of ours."""
        self._all[name][0] = value

    def read_midi(self) -> tuple[bytes, float] | None:
        """The oldest message, and when it is due in seconds of `time.perf_counter`."""
        read, written = (int(self._all[name][0]) for name in ("midi_read", "midi_written"))
        if not 0 <= written - read <= MIDI_BYTES:
            self._all["midi_read"][0] = written  # a plug-in that has lost its mind
            return None
        if written - read < HEADER:
            return None
        head = self._bytes(read, HEADER)
        due, size = int.from_bytes(head[:8], "little"), int.from_bytes(head[8:], "little")
        if size > written - read - HEADER:
            self._all["midi_read"][0] = written
            return None
        message = self._bytes(read + HEADER, size)
        self._all["midi_read"][0] = read + HEADER + size
        return message, due / 1e9

    def write_now(self, text: str) -> None:
        """State how the desk stands. ValueError if that is too long."""
        data = text.encode()
        if len(data) >= TEXT_BYTES:
            raise ValueError(f"the desk is too large for the plug-in's session: {len(data)} bytes")
        now = self._all["now"]
        now["version"][0] += 1
        now["bytes"][0, : len(data)] = np.frombuffer(data, np.uint8)
        now["length"][0] = len(data)
        now["version"][0] += 1

    def read_now(self) -> str:
        """How it stood under the server before, "" if there was none."""
        return self._text("now")[1]

    def read_wanted(self) -> str:
        """How the session wants the desk to stand, "" if that has been taken or is not known."""
        version, text = self._text("wanted")
        if version == self._all["applied"][0]:
            return ""
        self._all["applied"][0] = version
        return text

    def close(self) -> None:
        """Give the plug-in back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _text(self, name: str) -> tuple[int, str]:
        """Version and content; the last version of ours where it is being written."""
        field = self._all[name]
        version, length = int(field["version"][0]), int(field["length"][0])
        if version % 2 or not 0 <= length < TEXT_BYTES:
            return int(self._all["applied"][0]), ""
        data = field["bytes"][0, :length].tobytes()
        if int(field["version"][0]) != version:
            return int(self._all["applied"][0]), ""
        return version, data.decode(errors="replace")

    def _bytes(self, at: int, count: int) -> bytes:
        at %= MIDI_BYTES
        straight = self._all["midi"][0, at : at + count]
        return straight.tobytes() + self._all["midi"][0, : count - len(straight)].tobytes()


def _is_free(file: int) -> bool:
    """Whether no plug-in holds its lock of a file (BSD's, of an open file)."""
    import fcntl  # which Windows has not

    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True


def _claims(file: int) -> bool:
    """Take a file for this server, by a lock of the other kind (POSIX's, of a process); whether
    no other server has it. It ends when the file is closed."""
    import fcntl

    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
