"""MIDI messages to events: what each one means, from a port or from a file.

Messages without effect are counted: aftertouch, bank select and other controllers without a
meaning here, programs that the bank has no patch for. System messages (clock, sysex) are skipped
and not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mido import Message

from common.window import HIGHEST_KEY, LOWEST_KEY
from daw_bridge.desk.controllers import Controllers
from daw_bridge.desk.desk import Desk
from daw_bridge.events import Event, NoteOff, NoteOn


class MidiTranslator:
    """Turns messages into posts and turned knobs.

    post: where notes and pedals go; the desk posts the rest. ignored: channel messages without
    effect; malformed: bytes that are no whole MIDI message; outside: notes of keys outside 21..108,
    which do not sound. The counters only grow.
    """

    def __init__(self, desk: Desk, post: Callable[[Event], object]) -> None:
        self.ignored = 0
        self.malformed = 0
        self.outside = 0
        self._desk = desk
        self._controllers = Controllers(desk, post)
        self._post = post

    def hear_bytes(self, data: Sequence[int], time: int) -> None:
        """Act on the bytes of one message, as a port delivers them; time: samples."""
        try:
            message = Message.from_bytes(data)
        except (ValueError, IndexError):  # mido raises IndexError where bytes are missing
            self.malformed += 1
            return
        self.hear(message, time)

    def hear(self, message: Message, time: int) -> None:
        """Act on one message; time: samples. MIDI channel 0..15 is part 1..16. Never raises."""
        match message.type:
            case "note_on" if message.velocity and not LOWEST_KEY <= message.note <= HIGHEST_KEY:
                self.outside += 1
            case "note_on" if message.velocity:
                self._post(NoteOn(time, message.channel + 1, message.note, message.velocity))
            case "note_on" | "note_off":
                self._post(NoteOff(time, message.channel + 1, message.note))
            case "control_change":
                part, controller, value = message.channel + 1, message.control, message.value
                self.ignored += not self._controllers.control(part, controller, value, time)
            case "program_change":
                try:
                    self._desk.program(message.channel + 1, message.program, time)
                except ValueError:  # MIDI has no way to answer
                    self.ignored += 1
            case "pitchwheel":
                self._controllers.pitch_wheel(message.channel + 1, message.pitch, time)
            case "aftertouch" | "polytouch":
                self.ignored += 1
