"""A host of the LV2 plug-in, by its C interface: what a DAW does, without one."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.waiting import PATIENCE_S, wait_until

SOURCE = Path(__file__).resolve().parents[2] / "plugin"
RATE, PERIOD = 48_000, 256
LEFT, RIGHT, LATENCY, SERVER, FIRST_KNOB = 1, 2, 3, 4, 5
KNOBS = 6
MIDI = b"http://lv2plug.in/ns/ext/midi#MidiEvent"
STATE = b"urn:melstream:instrument:desk"

_MAP = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_char_p)
_STORE = ctypes.CFUNCTYPE(
    *(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t),
    *(ctypes.c_uint32, ctypes.c_uint32),
)
_RETRIEVE = ctypes.CFUNCTYPE(
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_size_t)),
    *(ctypes.POINTER(ctypes.c_uint32), ctypes.POINTER(ctypes.c_uint32)),
)
_POINTERS = [ctypes.c_void_p] * 2


class _UridMap(ctypes.Structure):
    _fields_ = [("handle", ctypes.c_void_p), ("map", _MAP)]


class _Feature(ctypes.Structure):
    _fields_ = [("uri", ctypes.c_char_p), ("data", ctypes.c_void_p)]


class _Descriptor(ctypes.Structure):
    _fields_ = [
        ("uri", ctypes.c_char_p),
        (
            "instantiate",
            ctypes.CFUNCTYPE(
                *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_double, ctypes.c_char_p),
                ctypes.c_void_p,
            ),
        ),
        (
            "connect_port",
            ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p),
        ),
        ("activate", ctypes.c_void_p),
        ("run", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32)),
        ("deactivate", ctypes.c_void_p),
        ("cleanup", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("extension_data", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)),
    ]


class _State(ctypes.Structure):
    _fields_ = [
        (
            "save",
            ctypes.CFUNCTYPE(
                *(ctypes.c_int, ctypes.c_void_p, _STORE, ctypes.c_void_p, ctypes.c_uint32),
                ctypes.c_void_p,
            ),
        ),
        (
            "restore",
            ctypes.CFUNCTYPE(
                *(ctypes.c_int, ctypes.c_void_p, _RETRIEVE, ctypes.c_void_p, ctypes.c_uint32),
                ctypes.c_void_p,
            ),
        ),
    ]


def built(folder: Path) -> Path:
    """The plug-in, compiled here; the test is skipped where it cannot be."""
    if not shutil.which("make") or not shutil.which("cc"):
        pytest.skip("needs a C compiler and make")
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
    made = subprocess.run(["make", "-B"], cwd=folder, capture_output=True, text=True)
    if made.returncode and "lv2" in made.stderr and "No such file" in made.stderr:
        pytest.skip("needs the headers of LV2 (Debian: lv2-dev)")
    assert made.returncode == 0, made.stderr
    return folder / "melstream.lv2" / "melstream.so"


class Host:
    """Plays the plug-in in real time, in a thread, from construction to `close`.

    heard: one (samples, 2) array for each cycle. ValueError if the plug-in refuses.
    """

    def __init__(self, library: Path, rate: int = RATE) -> None:
        find = ctypes.CDLL(str(library)).lv2_descriptor
        find.restype = ctypes.POINTER(_Descriptor)
        self._plugin = find(0).contents
        self._names: dict[bytes, int] = {}
        self._map = _UridMap(None, _MAP(lambda _, uri: self._number(uri)))
        feature = _Feature(b"http://lv2plug.in/ns/ext/urid#map", ctypes.addressof(self._map))
        self._features = (ctypes.c_void_p * 2)(ctypes.addressof(feature), None)
        self._feature = feature
        self._handle = self._plugin.instantiate(None, rate, b"", self._features)
        if not self._handle:
            raise ValueError("the plug-in refuses")
        state = self._plugin.extension_data(b"http://lv2plug.in/ns/ext/state#interface")
        self._state = ctypes.cast(state, ctypes.POINTER(_State)).contents
        self._midi = ctypes.create_string_buffer(8192)
        self._sound = np.zeros((2, PERIOD), np.float32)
        self._controls = np.full(FIRST_KNOB + KNOBS, 0.5, np.float32)
        self._controls[:FIRST_KNOB] = 0
        ports = [ctypes.addressof(self._midi), *(s.ctypes.data for s in self._sound)]
        ports += [self._controls[n:].ctypes.data for n in range(LATENCY, FIRST_KNOB + KNOBS)]
        for number, place in enumerate(ports):
            self._plugin.connect_port(self._handle, number, place)
        self._rate = rate
        self._waiting: list[tuple[int, bytes]] = []
        self.heard: list[np.ndarray] = []
        self._closing = threading.Event()
        self._rests = False
        self._at_rest = threading.Event()
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    @property
    def latency(self) -> int:
        """Samples, as the plug-in states it."""
        return int(self._controls[LATENCY])

    @property
    def served(self) -> bool:
        """Whether the plug-in says that a server is there."""
        return bool(self._controls[SERVER])

    def turn(self, knob: int, value: float) -> None:
        self._controls[FIRST_KNOB + knob] = value

    def send(self, message: str, at: int = 0) -> int:
        """A message as hexadecimal text, at a sample of the next cycle; number of that cycle."""
        number = len(self.heard)
        self._waiting.append((at, bytes.fromhex(message)))
        return number

    def rest(self, rests: bool) -> None:
        """Call the plug-in no more, or again, as a DAW whose engine is stopped."""
        self._rests = rests
        if rests:
            self._at_rest.clear()
            assert self._at_rest.wait(PATIENCE_S)

    def saved(self) -> bytes:
        """The state that a session would keep, b"" for none."""
        kept: list[bytes] = []

        def store(_state, key, value, size, _kind, _flags):
            assert key == self._number(STATE)
            kept.append(ctypes.string_at(value, size).rstrip(b"\0"))
            return 0

        assert self._state.save(self._handle, _STORE(store), None, 0, None) == 0
        return kept[0] if kept else b""

    def restore(self, content: bytes) -> None:
        """Bring back a state."""
        held = ctypes.create_string_buffer(content)

        def retrieve(_state, key, size, kind, _flags):
            assert key == self._number(STATE)
            size[0] = len(content) + 1
            kind[0] = self._number(b"http://lv2plug.in/ns/ext/atom#String")
            return ctypes.addressof(held)

        assert self._state.restore(self._handle, _RETRIEVE(retrieve), None, 0, None) == 0

    def play(self, seconds: float, first: int | None = None) -> np.ndarray:
        """Wait until so much has been played: (samples, 2), from a cycle on, else from the next."""
        first = len(self.heard) if first is None else first
        cycles = round(seconds * self._rate / PERIOD)
        wait_until(lambda: len(self.heard) >= first + cycles)
        return np.concatenate(self.heard[first:])

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._plugin.cleanup(self._handle)

    def _play(self) -> None:
        due = time.perf_counter()
        while not self._closing.is_set():
            due += PERIOD / self._rate
            time.sleep(max(due - time.perf_counter(), 0))
            if self._rests:
                self._at_rest.set()
                continue
            events, waiting = b"", self._waiting
            self._waiting = []
            for at, message in waiting:
                head = struct.pack("<qII", at, len(message), self._number(MIDI))
                events += head + message + bytes(-len(message) % 8)
            kind = self._number(b"http://lv2plug.in/ns/ext/atom#Sequence")
            content = struct.pack("<IIII", 8 + len(events), kind, 0, 0) + events
            self._midi[: len(content)] = content
            self._plugin.run(self._handle, PERIOD)
            self.heard.append(self._sound.T.copy())

    def _number(self, uri: bytes) -> int:
        return self._names.setdefault(uri, len(self._names) + 1)
