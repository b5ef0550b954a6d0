"""MIDI messages to events: what each one means, from a port or from a file.

Messages without effect are counted: aftertouch of single keys, bank select and other controllers
without a meaning here, programs that the bank has no patch for. Those that an ear would miss are
also told, once. Of system messages, resets and the master's volume and tuning are heard; the others
(clock, other sysex) are skipped and not counted. docs/midi.md lists them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from mido import Message

from common.window import HIGHEST_KEY, LOWEST_KEY
from daw_bridge.desk.controllers import Controllers
from daw_bridge.desk.desk import Desk
from daw_bridge.events import ALL_SOUND_OFF, RESET_CONTROLLERS, Event, NoteOff, NoteOn
from daw_bridge.midi.mono import OneKey
from daw_bridge.midi.sysex import MasterTuning, MasterVolume, Reset, missed, read_sysex

MISSED = {
    2: "breath",
    5: "portamento time",
    65: "portamento",
    84: "portamento from a key",
    91: "reverb",
    92: "tremolo",
    93: "chorus",
    94: "detune",
    95: "phaser",
}
"""Controllers without a meaning here that an ear would miss."""

MISSED_PARAMETERS = {
    3: "a tuning program (RPN 3 and 4)",
    4: "a tuning program (RPN 3 and 4)",
    5: "the depth of the wheel (RPN 5)",
}
"""Likewise registered parameters."""


class MidiTranslator:
    """Turns messages into posts and turned knobs.

    post: where notes and pedals go; the desk posts the rest. say: gets a line, once, for each kind
    of message that is not supported, and for each patch that lacks a key that was struck. ignored:
    channel messages without effect; malformed: bytes that are no whole MIDI message; outside: notes
    of keys that do not sound, outside 21..108 or outside those of the patch. The counters only
    grow. panics: says how often all sound has been ended from elsewhere.
    """

    def __init__(
        self,
        desk: Desk,
        post: Callable[[Event], object],
        say: Callable[[str], object] = print,
        panics: Callable[[], int] = int,
    ) -> None:
        self.ignored = 0
        self.malformed = 0
        self.outside = 0
        self._desk = desk
        self._controllers = Controllers(desk, post)
        self._post = post
        self._say = say
        self._said: set[str] = set()
        self._panics, self._panicked = panics, panics()
        self._one_key: defaultdict[int, OneKey] = defaultdict(OneKey)
        """Of parts that play one key at a time."""

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
            case "note_on" if message.velocity and self._lacks(message.channel + 1, message.note):
                self.outside += 1
            case "note_on" if message.velocity:
                self._play(NoteOn(time, message.channel + 1, message.note, message.velocity))
            case "note_on" | "note_off":
                self._play(NoteOff(time, message.channel + 1, message.note))
            case "control_change":
                self._control(message.channel + 1, message.control, message.value, time)
            case "program_change":
                try:
                    self._desk.program(message.channel + 1, message.program, time)
                except ValueError:  # MIDI has no way to answer
                    self.ignored += 1
            case "pitchwheel":
                self._controllers.pitch_wheel(message.channel + 1, message.pitch, time)
            case "aftertouch":
                if not self._controllers.pressure(message.channel + 1, message.value, time):
                    self._miss("aftertouch", message.value)
            case "polytouch":
                self._miss("aftertouch of single keys", message.value)
            case "sysex":
                self._hear_sysex(message.data, time)

    def _hear_sysex(self, data: Sequence[int], time: int) -> None:
        match read_sysex(data):
            case Reset():
                self._controllers.reset_device(time)
            case MasterVolume(amount):
                level = self._desk.master_volume(amount, time)
                if level < 0:
                    self._tell(f"a sysex message turns all parts down, now by {-level:.0f} dB")
            case MasterTuning(cents=cents, semitones=semitones):
                changed = {"cents": cents} if semitones is None else {"semitones": semitones}
                self._desk.master_tuning(lambda tuning: replace(tuning, **changed), time)
            case None if what := missed(data):
                self._miss(what)

    def _lacks(self, part: int, key: int) -> bool:
        """Whether a key does not sound on a part."""
        low, high = self._desk.keys(part)
        if low <= key <= high:
            return False
        if LOWEST_KEY <= key <= HIGHEST_KEY:
            patch = self._desk.settings(part).patch
            self._tell(f"{patch} has keys {low} to {high} only, others do not sound")
        return True

    def _play(self, note: NoteOn | NoteOff) -> None:
        """Post a note; a part that plays one key at a time may say more or less."""
        if self._panics() != self._panicked:
            self._panicked = self._panics()
            self._one_key.clear()  # no key is down any more
        if note.part not in self._controllers.mono:
            self._one_key.pop(note.part, None)
            self._post(note)
            return
        keys = self._one_key[note.part]
        for event in keys.strike(note) if isinstance(note, NoteOn) else keys.release(note):
            self._post(event)

    def _control(self, part: int, controller: int, value: int, time: int) -> None:
        if self._controllers.control(part, controller, value, time):
            if controller >= ALL_SOUND_OFF and controller != RESET_CONTROLLERS:
                self._one_key.pop(part, None)
        elif controller in MISSED:
            self._miss(f"controller {controller} ({MISSED[controller]})", value)
        elif controller in (6, 38, 96, 97):
            parameter = self._desk.settings(part).parameter
            self._miss(MISSED_PARAMETERS.get(parameter, "a parameter (RPN or NRPN) not known"))
        else:
            self.ignored += 1

    def _miss(self, what: str, value: int = 1) -> None:
        """Count a message without effect, and tell it once; at 0 it would do nothing anywhere."""
        self.ignored += 1
        if value:
            self._tell(f"{what} has no effect here")

    def _tell(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            with suppress(OSError, ValueError):  # the terminal may be closed
                self._say(f"MIDI: {what}")
