"""A MIDI file that a page has brought, played in time by the server.

Its messages are handed on a little before they are due, not all at once: a knob that is turned for
later counts on the desk at once, so that the pages would show the end of the piece. When it ends,
the desk stands as before (`Changes`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from mido import Message

from daw_bridge.clock import AudioClock
from daw_bridge.commands.actions import Session
from daw_bridge.events import PEDALS, AllNotesOff, Pedal
from daw_bridge.midi.file import TimedMessage, midi_messages, sounding_end
from daw_bridge.midi.messages import MidiTranslator
from page.as_before import Changes

MOST_BYTES = 4 * 2**20
"""Of a file that a page brings: the longest pieces have less than one MiB."""
AHEAD_S = 0.2
"""How long before they are due messages are handed on. A page's server may be late that long."""
STEP_S = 0.05
AT_ONCE = 500
"""Messages that are handed on before others have their turn."""
RING_S = 4.0
"""How long released notes may ring."""
END_S = 1.0
"""How long the piece counts as playing after its last message."""


@dataclass(frozen=True, slots=True)
class Song:
    """A piece that plays. name: of its file; seconds: how long it is; start: the sample at which it
    begins; notes: how many; drums: how many were left out."""

    name: str
    seconds: float
    start: int
    notes: int
    drums: int


class Songs:
    """Plays one piece at a time. Only the event loop's thread calls it.

    playing: the piece, None if there is none.
    """

    def __init__(self, session: Session, clock: AudioClock) -> None:
        self.playing: Song | None = None
        self._session, self._clock = session, clock
        self._task: asyncio.Task[None] | None = None
        self._fed = 0
        """The sample up to which messages have been handed on."""
        self._parts: set[int] = set()
        self._changes = Changes(session.desk)

    async def play(self, name: str, content: bytes) -> Song:
        """Play a MIDI file from its start, instead of the one before.

        ValueError, in one line that begins with name, if it is none, or has no notes.
        """
        messages = await asyncio.to_thread(midi_messages, content, name)
        kept = [timed for timed in messages if not timed.drums]
        notes, all_notes = _notes(kept), _notes(messages)
        if not notes:
            raise ValueError(f"{name}: no note to play" + " but drums" * bool(all_notes))
        self.stop()
        start = self._clock.now() + round(AHEAD_S * self._clock.rate)
        song = Song(name, sounding_end(kept), start, notes, all_notes - notes)
        self.playing, self._fed = song, start
        self._task = asyncio.create_task(self._feed(song, kept))
        return song

    def stop(self) -> None:
        """End the piece, if one plays: its keys and pedals go up, and its settings go back.

        A master volume or tuning, such as that of a piece that fades out, ends once its notes have
        rung out.
        """
        if self._task:
            self._task.cancel()
        had_played = self.playing is not None
        self._task = self.playing = None
        time = max(self._fed, self._clock.now())
        for part in sorted(self._parts):
            for pedal in PEDALS:
                self._session.inbox.post(Pedal(time, part, pedal, False))
            self._session.inbox.post(AllNotesOff(time, part))
        self._parts.clear()
        # First: a setting for an earlier time would make the master's out of date.
        self._changes.take_back(time)
        if had_played:
            self._session.desk.reset_master(time + round(RING_S * self._clock.rate))

    async def _feed(self, song: Song, messages: list[TimedMessage]) -> None:
        """Hand on the messages as they fall due, until the end or a panic."""
        inbox, rate = self._session.inbox, self._clock.rate
        translator, panics = MidiTranslator(self._session.desk, inbox.post), inbox.panics
        at = 0
        while True:
            if inbox.panics != panics:
                self._parts.clear()  # all is up already
                break
            now = self._clock.now()
            due = [song.start + round(m.seconds * rate) for m in messages[at : at + AT_ONCE]]
            count = sum(time < now + AHEAD_S * rate for time in due)
            for time, timed in zip(due[:count], messages[at : at + count], strict=False):
                self._changes.around(partial(translator.hear, timed.message, time))
                if timed.message.type != "sysex":
                    self._parts.add(timed.message.channel + 1)
                self._fed = time
            at += count
            if at == len(messages) and now > self._fed + END_S * rate:
                break
            await asyncio.sleep(0 if count == AT_ONCE else STEP_S)
        self._task = None
        self.stop()


def _notes(messages: list[TimedMessage]) -> int:
    return sum(_strikes(timed.message) for timed in messages)


def _strikes(message: Message) -> bool:
    return bool(message.type == "note_on" and message.velocity)
