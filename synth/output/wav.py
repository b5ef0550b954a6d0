"""A WAV file that can be read at any moment while it grows.

Samples are stored as 32-bit floats, so that what was rendered comes back bit for bit. The
header is renewed in place as the file grows: whatever stops the program, the file on the
disk is whole up to the last renewal. Beyond 4 GB (9 hours of stereo at 16 kHz) the header
becomes RF64 (EBU Tech 3306), whose sizes have 64 bits; the room for them is kept from the
start by a JUNK chunk.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_FLOAT = 3
_BYTES = 4
_BIG = 0xFFFF_FFFF


def wav_header(rate: int, channels: int, samples: int) -> bytes:
    """The bytes before the samples, of the same length for any number of samples.

    rate: Hz; samples: in each channel.

    >>> len(wav_header(16_000, 2, 0)) == len(wav_header(16_000, 2, 10**10))
    True
    """
    width = _BYTES * channels
    data = samples * width
    form = struct.pack("<HHIIHHH", _FLOAT, channels, rate, rate * width, width, 8 * _BYTES, 0)
    body = 4 + (8 + 28) + (8 + len(form)) + (8 + 4) + 8
    if body + data <= _BIG:
        head = struct.pack("<4sI4s", b"RIFF", body + data, b"WAVE")
        sizes = struct.pack("<4sI28x", b"JUNK", 28)
        shown, counted = data, samples
    else:
        head = struct.pack("<4sI4s", b"RF64", _BIG, b"WAVE")
        sizes = struct.pack("<4sIQQQI", b"ds64", 28, body + data, data, samples, 0)
        shown = counted = _BIG
    return (
        head
        + sizes
        + struct.pack("<4sI", b"fmt ", len(form))
        + form
        + struct.pack("<4sII", b"fact", 4, counted)
        + struct.pack("<4sI", b"data", shown)
    )


class WavWriter:
    """Writes float samples to an open binary file (seekable, at its start)."""

    def __init__(self, file: BinaryIO, rate: int, channels: int) -> None:
        self.rate = rate
        self.channels = channels
        self.samples = 0
        self._file = file
        self._renewed = 0
        file.write(wav_header(rate, channels, 0))

    def write(self, block: NDArray[np.float32]) -> None:
        """Append block (samples, channels); the header is renewed every second of sound."""
        self._file.write(block.astype("<f4", copy=False).tobytes())
        self.samples += len(block)
        if self.samples - self._renewed >= self.rate:
            self.renew_header()

    def scale(self, factor: float) -> None:
        """Multiply every sample written so far. The file must have been opened to be read, too."""
        head, width = len(wav_header(self.rate, self.channels, 0)), _BYTES * self.channels
        for start in range(0, self.samples, self.rate):
            at = head + start * width
            self._file.seek(at)
            read = self._file.read(min(self.rate, self.samples - start) * width)
            self._file.seek(at)
            self._file.write((np.frombuffer(read, "<f4") * np.float32(factor)).tobytes())
        self._file.seek(0, 2)

    def renew_header(self) -> None:
        """Make the header count every sample written so far."""
        self._file.seek(0)
        self._file.write(wav_header(self.rate, self.channels, self.samples))
        self._file.seek(0, 2)
        self._file.flush()
        self._renewed = self.samples
