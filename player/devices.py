"""What `--list-devices` prints: audio outputs and MIDI inputs, as flags to paste."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence

from common.jack.link import JackLink, jack_link
from daw_bridge.midi.inputs import input_names
from synth.output.choice import JACK, quiet_libraries
from synth.output.portaudio import OutputDevice, load_portaudio, output_devices


def listed() -> list[str]:
    """One line for each device, below a title; or why there are none."""
    link = jack_link()
    with quiet_libraries():
        return [
            *_section("audio outputs", lambda: _outputs(link)),
            *_section("MIDI inputs", lambda: _inputs(link)),
        ]


def _section(title: str, find: Callable[[], Sequence[str]]) -> list[str]:
    try:
        lines = find()
    except OSError as error:
        return [f"{title}: {str(error).removeprefix('MIDI: ')}"]
    return [title, *(f"  {line}" for line in lines)] if lines else [f"{title}: none"]


def _outputs(link: JackLink | None) -> list[str]:
    jack = [f"--audio {JACK}  runs"] if link and link.seek() else []
    try:
        devices = output_devices(load_portaudio())
    except OSError:
        if jack:
            return jack
        raise
    # JACK by way of PortAudio would not come back after a restart.
    others = [d for d in devices if not (jack and d.host.startswith("JACK"))]
    return jack + [f"--audio {quoted(name(d))}  {about(d)}" for d in others]


def _inputs(link: JackLink | None) -> list[str]:
    return [f"--midi {quoted(port)}" for port in input_names(link)]


def name(device: OutputDevice) -> str:
    """What `--audio` calls a device, and no other."""
    return f"{device.name} ({device.host})"


def about(device: OutputDevice) -> str:
    """What it is like, in words."""
    default = ", the system's default" * device.default
    return f"{device.channels} channels, {device.rate} Hz{default}"


def quoted(text: str) -> str:
    """As the system's shell wants an argument.

    >>> quoted("default")
    'default'
    """
    return subprocess.list2cmdline([text]) if sys.platform == "win32" else shlex.quote(text)
