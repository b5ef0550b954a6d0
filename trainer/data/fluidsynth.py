"""FluidSynth, called through ctypes, turns a score into the sound to be learnt.

The library comes with the pygame-ce wheel (pinned, so that a data set can be made again)
or from the system. Every render uses a fresh synth: a reused one is not bit-identical.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from pathlib import Path

import numpy as np
import soxr

from daw_bridge.events import Event
from trainer.data.plan import RENDER_RATE
from trainer.data.score import to_message

GAIN = 0.5
POLYPHONY = 1024
INSTALL = "pip install pygame-ce==2.5.8"
"""Installs the library, the same one on every machine."""


class FluidSynth:
    """One SoundFont, kept loaded; `render` may be called any number of times.

    rate: what it renders at, 8,000 to 96,000; its notes start on multiples of 64 of these
    samples. Raises ValueError when the library or the SoundFont cannot be loaded.
    """

    def __init__(self, soundfont: str | Path, rate: int = RENDER_RATE) -> None:
        self._lib = _load_library()
        self._soundfont, self._rate = str(soundfont), rate
        if not Path(soundfont).is_file():
            raise ValueError(f"{soundfont}: no such SoundFont")
        self._settings = self._lib.new_fluid_settings()
        for name, value in {"synth.gain": GAIN, "synth.sample-rate": float(rate)}.items():
            self._lib.fluid_settings_setnum(self._settings, name.encode(), value)
        quiet = {"synth.reverb.active": 0, "synth.chorus.active": 0}
        for name, number in {**quiet, "synth.polyphony": POLYPHONY}.items():
            self._lib.fluid_settings_setint(self._settings, name.encode(), number)
        # A synth that stays alive lends its SoundFont to the fresh ones: reading it takes as long
        # as playing a minute.
        self._keeper = self._lib.new_fluid_synth(self._settings)
        if self._lib.fluid_synth_sfload(self._keeper, self._soundfont.encode(), 1) != 1:
            self._lib.delete_fluid_synth(self._keeper)
            raise ValueError(f"{self._soundfont}: not a SoundFont that FluidSynth can read")
        self._lent = self._lib.fluid_synth_get_sfont(self._keeper, 0)

    @property
    def version(self) -> str:
        """FluidSynth's version, such as "2.5.7"."""
        return self._lib.fluid_version_str().decode()

    def render(self, events: list[Event], program: int, rate: int, seconds: float) -> np.ndarray:
        """The sound of events (times in samples of rate): mono float32, rate * seconds long.

        program: 0..127, counted as MIDI does; ValueError when the SoundFont has no such one.
        """
        synth = self._new_synth()
        # A mere program change would put another instrument in a missing one's place.
        if self._lib.fluid_synth_program_select(synth, 0, 1, 0, program) < 0:
            self._end(synth)
            raise ValueError(f"{self._soundfont}: has no program {program}")
        audio = np.zeros((round(seconds * self._rate), 2), np.float32)
        at = 0
        for event in events:
            until = min(event.time * self._rate // rate, len(audio))
            self._write(synth, audio[at:until])
            at = max(at, until)
            self._send(synth, event)
        self._write(synth, audio[at:])
        self._end(synth)
        mono = audio.mean(axis=1)
        if self._rate == rate:
            return mono
        return soxr.resample(mono, self._rate, rate, quality="VHQ")[: round(seconds * rate)]

    def _send(self, synth: int, event: Event) -> None:
        message = to_message(event)
        if message.type == "note_on":
            self._lib.fluid_synth_noteon(synth, 0, message.note, message.velocity)
        elif message.type == "note_off":
            self._lib.fluid_synth_noteoff(synth, 0, message.note)
        else:
            self._lib.fluid_synth_cc(synth, 0, message.control, message.value)

    def _write(self, synth: int, audio: np.ndarray) -> None:
        if len(audio):
            at, stride = audio.ctypes.data, 2
            self._lib.fluid_synth_write_float(synth, len(audio), at, 0, stride, at, 1, stride)

    def _new_synth(self) -> int:
        synth = self._lib.new_fluid_synth(self._settings)
        # The first SoundFont of a synth has the number 1.
        self._lib.fluid_synth_add_sfont(synth, self._lent)
        return synth

    def _end(self, synth: int) -> None:
        self._lib.fluid_synth_remove_sfont(synth, self._lent)
        self._lib.delete_fluid_synth(synth)


def _load_library() -> ctypes.CDLL:
    lib = ctypes.CDLL(_library_path())
    pointer, integer, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    signatures = {
        "new_fluid_settings": (pointer, []),
        "fluid_settings_setnum": (integer, [pointer, text, ctypes.c_double]),
        "fluid_settings_setint": (integer, [pointer, text, integer]),
        "new_fluid_synth": (pointer, [pointer]),
        "delete_fluid_synth": (None, [pointer]),
        "fluid_synth_sfload": (integer, [pointer, text, integer]),
        "fluid_synth_get_sfont": (pointer, [pointer, integer]),
        "fluid_synth_add_sfont": (integer, [pointer, pointer]),
        "fluid_synth_remove_sfont": (integer, [pointer, pointer]),
        "fluid_synth_program_select": (integer, [pointer, *[integer] * 4]),
        "fluid_synth_noteon": (integer, [pointer, integer, integer, integer]),
        "fluid_synth_noteoff": (integer, [pointer, integer, integer]),
        "fluid_synth_cc": (integer, [pointer, integer, integer, integer]),
        "fluid_synth_write_float": (
            integer,
            [pointer, integer, pointer, integer, integer, pointer, integer, integer],
        ),
        "fluid_version_str": (text, []),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    # Its warnings about unused generators would break the progress bar.
    lib.fluid_set_log_function.argtypes = [integer, pointer, pointer]
    for level in range(1, 5):
        lib.fluid_set_log_function(level, None, None)
    return lib


def _library_path() -> str:
    for folder in sys.path:
        # Beside the package, which need not be there: a wheel's libraries alone will do.
        found = sorted((Path(folder) / "pygame_ce.libs").glob("libfluidsynth*.so*"))
        if found:
            return str(found[0])
    system = ctypes.util.find_library("fluidsynth")
    if system:
        return system
    raise ValueError(f"FluidSynth is not installed: {INSTALL}")
