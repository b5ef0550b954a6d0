"""The callbacks that JACK's threads call, compiled: they need no interpreter, and never wait.

Everything they touch is told in one table of int64. Sound comes out of a ring (`playing.py`). MIDI
goes into a ring of bytes, one record after the other: 4 bytes length of
the message, 4 bytes JACK's frame at which it belongs, 1 byte number of the port, then the
message; little-endian. An empty message says that a sender has left the port. A byte written to a
pipe after each cycle wakes who waits for room.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

from common.jack.library import CAPTURE, PLAYBACK
from common.jack.playing import PLAYOUT_COUNTS, RING_COUNTS, fill

CLIENT, GONE, CYCLES, OWN_LATENCY, PIPE = range(5)
"""Places in the table: JACK's client; whether it was shut out; cycles so far; frames from a MIDI
message to its sound, as told to JACK; the pipe's writing end."""
MIDI_RING, MIDI_CAPACITY, MIDI_WRITTEN, MIDI_READ, MIDI_LOST = range(5, 10)
"""Address and size of the ring of bytes, bytes ever written and read, messages without room."""
RING, RING_CAPACITY, RING_AT, PLAYOUT, FALL, FALL_LENGTH, HELD, LAST = range(10, 18)
"""Address and capacity of the ring's samples; addresses of the counts and of what `fill` needs."""
SCRATCH, SCRATCH_CAPACITY = 18, 19
"""Address of a cycle's samples, all channels, and how many frames it holds."""
EVENT, RANGE = 20, 21
"""Addresses of what JACK fills in: a MIDI event (3 of int64), a range of latencies (1)."""
SPEAKER = 22
"""The port of the sound card that we play on, if there is one."""
CHANNELS, MIDI_PORTS, FIRST_PORT = 24, 25, 26
"""How many ports of sound and of MIDI there are; the ports, first those of sound."""
MOST_CHANNELS, MOST_MIDI = 34, 16
SENDERS = FIRST_PORT + MOST_CHANNELS + MOST_MIDI
"""How many senders each MIDI port had in the last cycle."""
XRUNS = SENDERS + MOST_MIDI
"""How often the server was late, because some program on it was: then all lose sound."""
TABLE = XRUNS + 1

HEADER = 9
"""Bytes before a MIDI message in its ring."""


def _external(name: str, result: Any, *arguments: Any) -> Any:
    """A function of libjack or libc, for compiled code."""
    return types.ExternalFunction(name, result(*arguments))


_connected = _external("jack_port_connected", types.int32, types.uintp)
_get_buffer = _external("jack_port_get_buffer", types.voidptr, types.uintp, types.uint32)
_event_count = _external("jack_midi_get_event_count", types.uint32, types.voidptr)
_event_get = _external(
    "jack_midi_event_get", types.int32, types.voidptr, types.voidptr, types.uint32
)
_last_frame = _external("jack_last_frame_time", types.uint32, types.voidptr)
_time = _external("jack_get_time", types.uint64)
_get_latency = _external(
    "jack_port_get_latency_range", types.void, types.uintp, types.int32, types.voidptr
)
_set_latency = _external(
    "jack_port_set_latency_range", types.void, types.uintp, types.int32, types.voidptr
)
_write = _external("write", types.intp, types.int32, types.voidptr, types.uintp)


class Callbacks(NamedTuple):
    """Addresses of functions for JACK; all but the last take the table as their argument."""

    process: int
    latency: int
    xrun: int
    shutdown: int
    silent: int


@lru_cache(1)
def callbacks() -> Callbacks:
    """The compiled callbacks; libjack must have been loaded."""
    compiled = [
        _compiled(types.int32(types.uint32, types.voidptr), _process),
        _compiled(types.void(types.int32, types.voidptr), _latency),
        _compiled(types.int32(types.voidptr), _xrun),
        _compiled(types.void(types.int32, types.voidptr, types.voidptr), _shutdown),
        _compiled(types.void(types.voidptr), _silent),
    ]
    return Callbacks(*(function.address for function in compiled))


def _compiled(signature: Any, function: Callable[..., object]) -> Any:
    return cfunc(signature, cache=True)(function)


def _cast(context: Any, address: Any) -> Any:
    """An address as a pointer."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


_pointer: Any = intrinsic(_cast)


def _process(frames, table):
    _cycle(frames, carray(table, (TABLE,), np.int64), table)
    return 0


def _latency(mode, table):
    _tell_latencies(mode, carray(table, (TABLE,), np.int64))


def _xrun(table):
    carray(table, (TABLE,), np.int64)[XRUNS] += 1
    return 0


def _shutdown(_code, _reason, table):
    carray(table, (TABLE,), np.int64)[GONE] = 1


def _silent(_message):
    pass


@njit(nogil=True, cache=True, error_model="numpy")
def _cycle(frames, table, address):
    channels = table[CHANNELS]
    if channels:
        _play(frames, table, channels)
    if table[MIDI_PORTS]:
        _hear(frames, table)
    table[CYCLES] += 1
    _write(np.int32(table[PIPE]), address, np.uintp(1))


@njit(nogil=True, cache=True, error_model="numpy")
def _play(frames, table, channels):
    """Bring the next samples out of the ring to the ports."""
    out = carray(_pointer(table[SCRATCH]), (table[SCRATCH_CAPACITY], channels), np.float32)[
        : min(frames, table[SCRATCH_CAPACITY])
    ]
    fill(
        carray(_pointer(table[RING_AT]), (RING_COUNTS,), np.int64),
        carray(_pointer(table[RING]), (table[RING_CAPACITY], channels), np.float32),
        carray(_pointer(table[PLAYOUT]), (PLAYOUT_COUNTS,), np.int64),
        carray(_pointer(table[FALL]), (table[FALL_LENGTH],), np.float32),
        carray(_pointer(table[HELD]), (channels,), np.float32),
        carray(_pointer(table[LAST]), (channels,), np.float32),
        np.int64(_time()) * 1000,
        out,
    )
    for c in range(channels):
        port = carray(
            _get_buffer(np.uintp(table[FIRST_PORT + c]), np.uint32(frames)), (frames,), np.float32
        )
        for i in range(frames):
            port[i] = out[i, c] if i < out.shape[0] else np.float32(0)


@njit(nogil=True, cache=True, error_model="numpy")
def _hear(frames, table):
    """Take in the messages of this cycle, with their frames, and the leaving of senders."""
    start = np.int64(_last_frame(_pointer(table[CLIENT])))
    for n in range(table[MIDI_PORTS]):
        port = table[FIRST_PORT + MOST_CHANNELS + n]
        # Here, not where messages are read: who comes, plays and leaves between two looks counts.
        senders = np.int64(_connected(np.uintp(port)))
        if senders < table[SENDERS + n]:
            _store(table, n, start, np.int64(0), np.int64(0))
        table[SENDERS + n] = senders
        buffer = _get_buffer(np.uintp(port), np.uint32(frames))
        for i in range(_event_count(buffer)):
            # jack_midi_event_t: uint32 time, size_t size, pointer to the bytes.
            if _event_get(_pointer(table[EVENT]), buffer, np.uint32(i)):
                continue
            event = carray(_pointer(table[EVENT]), (3,), np.int64)
            if event[1]:
                frame = (start + (event[0] & 0xFFFFFFFF)) & 0xFFFFFFFF
                _store(table, n, frame, event[2], event[1])


@njit(nogil=True, cache=True, error_model="numpy")
def _store(table, port, frame, address, size):
    """Append one record to the ring, or count it as lost where there is no room."""
    ring = carray(_pointer(table[MIDI_RING]), (table[MIDI_CAPACITY],), np.uint8)
    written = table[MIDI_WRITTEN]
    if written + HEADER + size - table[MIDI_READ] > ring.size:
        table[MIDI_LOST] += 1
        return
    for k in range(4):
        ring[(written + k) % ring.size] = (size >> (8 * k)) & 255
        ring[(written + 4 + k) % ring.size] = (frame >> (8 * k)) & 255
    ring[(written + 8) % ring.size] = port
    if size:
        data = carray(_pointer(address), (size,), np.uint8)
        for k in range(size):
            ring[(written + HEADER + k) % ring.size] = data[k]
    # Last: what is counted is whole.
    table[MIDI_WRITTEN] = written + HEADER + size


@njit(nogil=True, cache=True, error_model="numpy")
def _tell_latencies(mode, table):
    """Tell how old our sound is where it comes out, and how late MIDI is heard that comes in.

    The first does not count how old the MIDI was, and the second counts the loudspeaker alone: a
    program that plays MIDI to us and hears our sound would add them up for ever.
    """
    # jack_latency_range_t: uint32 min, uint32 max.
    told = carray(_pointer(table[RANGE]), (2,), np.uint32)
    first, count, behind = FIRST_PORT, table[CHANNELS], np.int64(0)
    if mode == PLAYBACK:
        if table[SPEAKER]:
            _get_latency(np.uintp(table[SPEAKER]), mode, _pointer(table[RANGE]))
            behind = np.int64(told[1])
        first, count = FIRST_PORT + MOST_CHANNELS, table[MIDI_PORTS]
    elif mode != CAPTURE:
        return
    told[0] = told[1] = table[OWN_LATENCY] + behind
    for n in range(count):
        _set_latency(np.uintp(table[first + n]), mode, _pointer(table[RANGE]))
