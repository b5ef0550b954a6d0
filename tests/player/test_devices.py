"""What --list-devices prints can be pasted into a command line."""

from __future__ import annotations

import shlex
import sys

import pytest

from player.devices import about, name, quoted
from synth.output.portaudio import OutputDevice
from tests.server import run

DEVICE = OutputDevice(3, "Kid's speakers", "ALSA", 2, 48_000, True)


def test_outputs_and_inputs_are_listed_or_it_is_said_why_not():
    ended = run("--list-devices")
    assert ended.returncode == 0 and not ended.stderr
    titles = [line for line in ended.stdout.splitlines() if not line.startswith(" ")]
    assert [title.split(":")[0] for title in titles] == ["audio outputs", "MIDI inputs"]
    for line in ended.stdout.splitlines():
        assert not line.startswith(" ") or line.startswith(("  --audio ", "  --midi "))


@pytest.mark.skipif(sys.platform == "win32", reason="for shells of Unix")
def test_names_are_quoted_for_the_shell():
    assert shlex.split(quoted(name(DEVICE))) == ["Kid's speakers (ALSA)"]
    assert about(DEVICE) == "2 channels, 48000 Hz, the system's default"
