"""What is used of libjack, through ctypes. JACK's own library, or PipeWire's.

JACK-Client, the Python package, has a callback in Python and no latencies; ours is compiled
(process.py), and so are the few others that JACK's threads call.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_ulong, c_void_p
from functools import lru_cache

import llvmlite.binding

AUDIO = b"32 bit float mono audio"
MIDI = b"8 bit raw midi"
INPUT, OUTPUT, PHYSICAL = 1, 2, 4
"""Flags of ports."""
CAPTURE, PLAYBACK = 0, 1
"""Of latencies."""
NO_START = 1
"""Option: never start a server."""

_FUNCTIONS: dict[str, tuple[type | None, list[type]]] = {
    # Clients, ports and callbacks are passed as numbers: compiled code holds them in arrays.
    "jack_client_open": (c_size_t, [c_char_p, c_int, POINTER(c_int)]),
    "jack_client_close": (c_int, [c_size_t]),
    "jack_activate": (c_int, [c_size_t]),
    "jack_deactivate": (c_int, [c_size_t]),
    "jack_get_client_name": (c_char_p, [c_size_t]),
    "jack_get_sample_rate": (c_uint32, [c_size_t]),
    "jack_get_buffer_size": (c_uint32, [c_size_t]),
    "jack_frame_time": (c_uint32, [c_size_t]),
    "jack_get_time": (c_uint64, []),
    "jack_port_register": (c_size_t, [c_size_t, c_char_p, c_char_p, c_ulong, c_ulong]),
    "jack_port_by_name": (c_size_t, [c_size_t, c_char_p]),
    "jack_port_get_latency_range": (None, [c_size_t, c_int, POINTER(c_uint32)]),
    "jack_get_ports": (POINTER(c_char_p), [c_size_t, c_char_p, c_char_p, c_ulong]),
    "jack_connect": (c_int, [c_size_t, c_char_p, c_char_p]),
    "jack_free": (None, [c_void_p]),
    "jack_recompute_total_latencies": (c_int, [c_size_t]),
    "jack_set_process_callback": (c_int, [c_size_t, c_size_t, c_size_t]),
    "jack_set_latency_callback": (c_int, [c_size_t, c_size_t, c_size_t]),
    "jack_set_xrun_callback": (c_int, [c_size_t, c_size_t, c_size_t]),
    "jack_on_info_shutdown": (None, [c_size_t, c_size_t, c_size_t]),
    "jack_set_error_function": (None, [c_size_t]),
    "jack_set_info_function": (None, [c_size_t]),
}


@lru_cache(1)
def load_jack() -> ctypes.CDLL:
    """libjack, its functions declared, and known to compiled code. OSError where it is missing."""
    if sys.platform == "win32":
        raise OSError("JACK on Windows is not supported")
    name = ctypes.util.find_library("jack")
    if name is None:
        raise OSError(
            "the JACK library is missing (Debian: apt install libjack-jackd2-0; "
            "Fedora: dnf install pipewire-jack-audio-connection-kit)"
        )
    library = ctypes.CDLL(name)
    for function, (result, arguments) in _FUNCTIONS.items():
        declared = getattr(library, function)
        declared.restype, declared.argtypes = result, arguments
    llvmlite.binding.load_library_permanently(name)
    return library
