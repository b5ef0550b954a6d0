"""A SoundFont of two looped waves, made on the spot: FluidSynth loads it in no time."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

RATE = 48_000
LOOP = 1_200
"""Samples of eleven periods of 440 Hz at 48 kHz."""
PROGRAMS = {"soft-wave": 0, "bright-wave": 80}


def write_soundfont(path: Path) -> Path:
    """Programs 0, a sine, and 80, with two more harmonics; both at 440 Hz for key 69."""
    turn = np.arange(4 * LOOP) * (2 * np.pi * 11 / LOOP)
    waves = [np.sin(turn), (np.sin(turn) + np.sin(2 * turn) / 2 + np.sin(3 * turn) / 3) / 1.5]
    silence = np.zeros(46)
    samples = np.concatenate([part for wave in waves for part in (wave, silence)])
    presets, bags, generators, instruments, headers = b"", b"", b"", b"", b""
    instrument_bags, instrument_generators = b"", b""
    for number, (name, program) in enumerate(PROGRAMS.items()):
        start = number * (4 * LOOP + 46)
        presets += struct.pack("<20sHHHIII", name.encode(), program, 0, number, 0, 0, 0)
        bags += struct.pack("<HH", number, 0)
        generators += struct.pack("<HH", 41, number)
        instruments += struct.pack("<20sH", name.encode(), number)
        instrument_bags += struct.pack("<HH", 2 * number, 0)
        # Generator 54: loop while the key sounds; 53: the sample, which must come last.
        instrument_generators += struct.pack("<HHHH", 54, 1, 53, number)
        loop = start + LOOP, start + 2 * LOOP
        place = start, start + 4 * LOOP, *loop, RATE, 69, 0, 0, 1
        headers += struct.pack("<20sIIIIIBbHH", name.encode(), *place)
    count = len(PROGRAMS)
    about = _chunk(b"ifil", struct.pack("<HH", 2, 1)) + _chunk(b"isng", b"EMU8000\0")
    pieces = (
        (b"phdr", presets + struct.pack("<20sHHHIII", b"EOP", 0, 0, count, 0, 0, 0)),
        (b"pbag", bags + struct.pack("<HH", count, 0)),
        (b"pmod", bytes(10)),
        (b"pgen", generators + bytes(4)),
        (b"inst", instruments + struct.pack("<20sH", b"EOI", count)),
        (b"ibag", instrument_bags + struct.pack("<HH", 2 * count, 0)),
        (b"imod", bytes(10)),
        (b"igen", instrument_generators + bytes(4)),
        (b"shdr", headers + struct.pack("<20s26x", b"EOS")),
    )
    audio = _chunk(b"smpl", (samples * 30_000).astype("<i2").tobytes())
    lists = (
        (b"INFO", about + _chunk(b"INAM", b"tiny\0\0")),
        (b"sdta", audio),
        (b"pdta", b"".join(_chunk(name, content) for name, content in pieces)),
    )
    body = b"".join(_chunk(b"LIST", name + content) for name, content in lists)
    path.write_bytes(_chunk(b"RIFF", b"sfbk" + body))
    return path


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
