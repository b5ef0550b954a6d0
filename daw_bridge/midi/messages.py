"""MIDI messages to events: what each one means, wherever it came from.

Whole messages only, as rtmidi and mido deliver them; the bytes are their business. Not
heard, and counted as ignored: aftertouch, bank select and other controllers the desk has no use
for, programs the bank has no patch for. System messages (clock, sysex) are passed over uncounted.
"""

from __future__ import annotations

from collections.abc import Callable

from mido import Message

from daw_bridge.desk.desk import Desk
from daw_bridge.events import Event, NoteOff, NoteOn


class MidiTranslator:
    """Turns messages into posts and turned knobs.

    post: where notes go; the desk posts the rest. ignored: channel messages without
    effect; it only grows.
    """

    def __init__(self, desk: Desk, post: Callable[[Event], object]) -> None:
        self.ignored = 0
        self._desk = desk
        self._post = post

    def hear(self, message: Message, time: int) -> None:
        """Act on one message; time: samples. MIDI channel 0..15 is part 1..16. Never raises."""
        match message.type:
            case "note_on" if message.velocity > 0:
                self._post(NoteOn(time, message.channel + 1, message.note, message.velocity))
            case "note_on" | "note_off":
                self._post(NoteOff(time, message.channel + 1, message.note))
            case "control_change":
                part, number, value = message.channel + 1, message.control, message.value
                self.ignored += not self._desk.control(part, number, value, time)
            case "program_change":
                try:
                    self._desk.program(message.channel + 1, message.program, time)
                except ValueError:  # MIDI has no way to answer
                    self.ignored += 1
            case "pitchwheel":
                self._desk.pitch_wheel(message.channel + 1, message.pitch, time)
            case "aftertouch" | "polytouch":
                self.ignored += 1
