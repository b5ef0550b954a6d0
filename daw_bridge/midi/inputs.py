"""The MIDI inputs that a player asks for by name, of all systems that this machine has."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from common.jack.link import JackLink
from common.plugin.link import PluginLink
from daw_bridge.midi.jack import JackMidi
from daw_bridge.midi.plugin import PluginMidi
from daw_bridge.midi.port import AUTO, Hear, MidiInput, Stamp, System
from daw_bridge.midi.system import NO_VIRTUAL, SystemMidi


def midi_inputs(
    wanted: Sequence[str],
    hear: Hear,
    stamp: Stamp,
    link: JackLink | None,
    plugin: PluginLink | None = None,
) -> MidiInput:
    """Inputs that are not started yet: the machine's own, and JACK's as a member of link.

    wanted: ("none",) for none; else names, or AUTO. link: None where there is no JACK library; it
    is to be started first. plugin: heard, too, whatever is wanted. OSError if a port was named and
    this machine has no MIDI at all.
    """
    systems: list[System] = [PluginMidi(plugin)] if plugin else []
    if list(wanted) == ["none"]:
        return MidiInput(systems, (), hear, stamp)
    missing = f"no inputs. {NO_VIRTUAL}" if sys.platform == "win32" else "no inputs"
    try:
        systems.append(SystemMidi())
    except OSError as error:
        missing = str(error)
    if link is not None:
        jack = JackMidi(hardware=not any(isinstance(one, SystemMidi) for one in systems))
        link.add(jack)
        systems.append(jack)
    named = [name for name in wanted if name != AUTO]
    if named and not systems:
        raise OSError(f"--midi {named[0]}: {missing}")
    return MidiInput(systems, wanted, hear, stamp, missing)


def input_names(link: JackLink | None) -> list[str]:
    """The inputs that there are to choose from. OSError where this machine has no MIDI."""
    of_jack = link.inputs() if link else []
    try:
        system = SystemMidi()
    except OSError as error:
        if of_jack:
            return of_jack
        raise OSError(f"MIDI: {error}") from None
    names = system.names()
    system.close()
    return names + of_jack
