"""The knobs as they stand: sixteen parts, each with a patch, a timbre and a level.

Names and ranges are checked here, at the edge, so that the sender hears of a mistake at
once and the engine sees only embeddings, decibels and semitones. Each change posts one `Timbre`,
`Level` or `Bend` that says it whole. A change scheduled for later counts at the desk at once: what
is sent after it builds on it, even for an earlier time, and is not undone when it falls due.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from common.checks import number, whole
from daw_bridge import events
from daw_bridge.desk.learn import MidiMap
from daw_bridge.desk.patch_book import Patch, PatchBook
from daw_bridge.desk.settings import BEND_RANGE, GAIN_DB, NO_PARAMETER, Embedding, Settings
from daw_bridge.events import Event

COORDINATE = 100.0
"""Largest magnitude of an embedding coordinate: far outside what a bank learns (a few
units), well inside what a network survives."""

TIMBRE = "timbre/"
"""What a coordinate's number follows where a knob is named."""

MOST_BEND = 24.0
"""Semitones by which keys are bent at most."""

__all__ = ["Desk", "Patch", "PatchBook", "Settings"]


class Desk:
    """The knobs of all parts; any thread may turn them.

    book: the bank; post: where events go, in the order of the changes; now: the time in
    samples for changes made without one. midi_map: the file of what controllers were learnt to
    turn, if it is to be kept; see `learnt`. Parts start on the book's first patch; `announce`
    tells the engine so. Every method raises ValueError, in one line that names the field,
    the value and what is allowed, and then changes nothing.
    """

    def __init__(
        self,
        book: PatchBook,
        post: Callable[[Event], object],
        now: Callable[[], int],
        midi_map: Path | None = None,
    ) -> None:
        self._book = book
        self.learnt = MidiMap(midi_map, self._knows)
        self._post = post
        self._now = now
        self._turning = threading.Lock()
        self._saving = threading.Lock()
        first = self._loaded(book.names[0])
        self._settings = {part: first for part in events.PARTS}
        self._turns = 0

    @property
    def names(self) -> list[str]:
        """The bank's patches, in its order."""
        return list(self._book.names)

    def settings(self, part: int) -> Settings:
        """The part's knobs as they stand; a snapshot that no later change alters."""
        return self._settings[_part(part)]

    def effective(self, part: int) -> Embedding:
        """The embedding that the part plays: its base, moved by its knobs."""
        return self.settings(part).effective(self._book.knobs)

    def announce(self, time: int | None = None) -> None:
        """Post every part's timbre, level and bend, e.g. to an engine that has just started."""
        for part in events.PARTS:
            self._turn(part, time, lambda s: s, tell_all=True)

    def timbre(self, part: int, embedding: Embedding, time: int | None = None) -> None:
        """Put the base at embedding; the knobs stay."""
        size = self._book.embedding_size
        if len(embedding) != size:
            raise ValueError(f"timbre: {len(embedding)} numbers given, this bank has {size}")
        base = tuple(_coordinate(i, value) for i, value in enumerate(embedding))
        self._turn(part, time, lambda s: replace(s, embedding=base))

    def coordinate(self, part: int, i: int, value: float, time: int | None = None) -> None:
        """Move the base along coordinate i, counted from 0."""
        i = whole("timbre coordinate", i, 0, self._book.embedding_size - 1)
        value = _coordinate(i, value)
        self._turn(part, time, lambda s: s.moved(i, value))

    def knob(self, part: int, name: str, value: float, time: int | None = None) -> None:
        """Turn one of the bank's knobs: 0..1; 0.5 leaves the base alone."""
        if name not in self._book.knobs:
            known = ", ".join(self._book.knobs) or "none"
            raise ValueError(f"knob: no {name!r} in this bank; it has: {known}")
        value = number(f"knob {name}", value, 0, 1)
        self._turn(part, time, lambda s: s.turned(name, value))

    def morph(self, part: int, a: str, b: str, amount: float, time: int | None = None) -> None:
        """Stand between patches a (amount 0) and b (1): base, knobs and gain, linearly."""
        start, end = self._loaded(a), self._loaded(b)
        amount = number("morph", amount, 0, 1)
        self._turn(part, time, lambda s: s.between(start, end, amount))

    def wheel(self, part: int, value: float, time: int | None = None) -> None:
        """Mod wheel 0..127: morph from the part's patch to the next one of the bank.

        After a `morph` it rides between that pair. Where the wheel already stands nothing
        changes: DAWs send a 0 at every start, and it must not undo a timbre set by hand.
        """
        wheel = round(number("wheel", value, 0, 127))

        def ridden(s: Settings) -> Settings:
            if wheel == s.wheel or s.patch == s.towards:
                return s
            start, end = self._loaded(s.patch), self._loaded(s.towards)
            return replace(s.between(start, end, wheel / 127), wheel=wheel)

        self._turn(part, time, ridden)

    def patch(self, part: int, name: str, time: int | None = None) -> None:
        """Take a patch whole: base, knobs, gain and pan; the player's controllers stay."""
        fresh = self._loaded(name)

        def taken(s: Settings) -> Settings:
            return replace(
                fresh,
                volume=s.volume,
                expression=s.expression,
                bend=s.bend,
                bend_range=s.bend_range,
                parameter=s.parameter,
            )

        self._turn(part, time, taken, tell_all=True)

    def program(self, part: int, program: int, time: int | None = None) -> None:
        """Take the patch that stands for a General MIDI program, 0..127."""
        program = whole("program", program, 0, 127)
        name = self._book.programs.get(program)
        if name is None:
            known = ", ".join(map(str, sorted(self._book.programs))) or "none"
            raise ValueError(f"program: no patch for {program}; this bank has: {known}")
        self.patch(part, name, time)

    def gain_db(self, part: int, gain_db: float, time: int | None = None) -> None:
        """Set the gain over the patch as trained, -120..24 dB."""
        gain_db = number("gain_db", gain_db, *GAIN_DB)
        self._turn(part, time, lambda s: replace(s, gain_db=gain_db))

    def pan(self, part: int, pan: float, time: int | None = None) -> None:
        """Set the place: -1 left, 0 middle, 1 right."""
        pan = number("pan", pan, -1, 1)
        self._turn(part, time, lambda s: replace(s, pan=pan))

    def volume(self, part: int, value: float, time: int | None = None) -> None:
        """Channel volume 0..127: 40 log10(value / 100) dB, so 100 (a MIDI reset) is 0 dB."""
        volume = round(number("volume", value, 0, 127))
        self._turn(part, time, lambda s: replace(s, volume=volume))

    def expression(self, part: int, value: float, time: int | None = None) -> None:
        """Expression 0..127: 40 log10(value / 127) dB."""
        expression = round(number("expression", value, 0, 127))
        self._turn(part, time, lambda s: replace(s, expression=expression))

    def bend(self, part: int, semitones: float, time: int | None = None) -> None:
        """Bend every key of the part, -24..24 semitones."""
        semitones = number("bend", semitones, -MOST_BEND, MOST_BEND)
        self._turn(part, time, lambda s: replace(s, bend=semitones))

    def pitch_wheel(self, part: int, value: float, time: int | None = None) -> None:
        """Pitch wheel -8192..8191: bends by the part's range, 2 semitones unless told otherwise.

        24 semitones are the most; a new range acts when the wheel moves next.
        """
        way = number("pitch wheel", value, -8192, 8191) / 8192

        def bent(s: Settings) -> Settings:
            return replace(s, bend=min(max(way * s.bend_range, -MOST_BEND), MOST_BEND))

        self._turn(part, time, bent)

    def control(self, part: int, controller: int, value: float, time: int | None = None) -> bool:
        """Hear a MIDI controller 0..127 at a value 0..127; False if it means nothing here.

        1 wheel, 7 volume, 10 pan (64 is the middle), 11 expression, 64 66 67 pedals,
        71 74 timbre, 100 101 choose a registered parameter, of which 6 and 38 set the pitch
        wheel's range (0: semitones, cents), 120 all sound off, 121 reset (pedals up, expression
        full, wheels at rest, no parameter), 123 all notes off. 74 is the knob "brightness" if
        the bank has one, 71 then the embedding's first coordinate; else 74 and 71 are the first
        two. Such a coordinate runs over what the bank's patches span. What `learnt` says of a
        controller comes before all that.
        """
        part = _part(part)
        controller = whole("controller", controller, 0, 127)
        value = number(f"controller {controller}", value, 0, 127)
        time = self._now() if time is None else time
        knob = self.learnt.turned(controller, value)
        if knob is not None:
            self._turn_learnt(part, knob, value / 127, time)
            return True
        match controller:
            case 1:
                self.wheel(part, value, time)
            case 7:
                self.volume(part, value, time)
            case 10:
                # MIDI's own reading: 0 and 1 are both hard left, so that 64 is the middle.
                self.pan(part, max(value - 1, 0) / 63 - 1, time)
            case 11:
                self.expression(part, value, time)
            case events.SUSTAIN | events.SOSTENUTO | events.SOFT:
                self._post(events.Pedal(time, part, controller, value >= 64))
            case 6 | 38:
                return self._enter(part, controller, round(value))
            case 98 | 99:  # a parameter of some maker: none is known here
                self._turn(part, time, lambda s: replace(s, parameter=NO_PARAMETER))
                return False
            case 100 | 101:
                self._turn(part, time, lambda s: s.choosing(controller == 101, round(value)))
            case 71 | 74:
                return self._slide(part, controller, value / 127, time)
            case events.ALL_SOUND_OFF:
                self._post(events.AllSoundOff(time, part))
            case events.RESET_CONTROLLERS:
                for pedal in (events.SUSTAIN, events.SOSTENUTO, events.SOFT):
                    self._post(events.Pedal(time, part, pedal, False))
                self.expression(part, 127, time)
                self.wheel(part, 0, time)
                self._turn(part, time, lambda s: replace(s, bend=0.0, parameter=NO_PARAMETER))
            case events.ALL_NOTES_OFF:
                self._post(events.AllNotesOff(time, part))
            case _:
                return False
        return True

    def _enter(self, part: int, controller: int, value: int) -> bool:
        """Data entry: the pitch wheel's range, in whole semitones (6) and cents (38)."""
        if self.settings(part).parameter != BEND_RANGE:
            return False

        def entered(s: Settings) -> Settings:
            semitones = value if controller == 6 else int(s.bend_range)
            cents = min(value, 99) if controller == 38 else 0
            return replace(s, bend_range=semitones + cents / 100)

        self._turn(part, None, entered)
        return True

    def _slide(self, part: int, controller: int, way: float, time: int) -> bool:
        """Move the timbre to way 0..1 of what controller 71 or 74 spans."""
        bright = "brightness" in self._book.knobs
        if bright and controller == 74:
            self.knob(part, "brightness", way, time)
            return True
        i = 0 if bright or controller == 74 else 1
        if i >= self._book.embedding_size:
            return False
        self._slide_coordinate(part, i, way, time)
        return True

    def _slide_coordinate(self, part: int, i: int, way: float, time: int) -> None:
        span = [self._book.patch(name).embedding[i] for name in self._book.names]
        self.coordinate(part, i, (1 - way) * min(span) + way * max(span), time)

    def _knows(self, knob: str) -> bool:
        """Whether a controller could turn that: a knob, or a coordinate as timbre/<i>."""
        coordinates = {f"{TIMBRE}{i}" for i in range(self._book.embedding_size)}
        return knob in self._book.knobs or knob in coordinates

    def _turn_learnt(self, part: int, knob: str, way: float, time: int) -> None:
        if knob in self._book.knobs:
            self.knob(part, knob, way, time)
        else:
            self._slide_coordinate(part, int(knob.removeprefix(TIMBRE)), way, time)

    def save(self, part: int, name: str, overwrite: bool = False) -> Settings:
        """Keep the part's base, knobs, gain and pan as patch name, which it then plays.

        Volume and expression belong to the song, not to the patch. Names and what may be
        overwritten are the book's to judge (ValueError).
        """
        part = _part(part)
        with self._saving:  # a file is slow: nobody else's knob waits for it
            s = self._settings[part]
            saved = self._book.save(
                name,
                embedding=s.embedding,
                knobs=s.knobs,
                gain_db=s.gain_db,
                pan=s.pan,
                overwrite=overwrite,
            )
        fresh = self._loaded(saved.name)
        with self._turning:
            s = replace(self._settings[part], patch=fresh.patch, towards=fresh.towards, wheel=0)
            self._settings[part] = s
        return s

    def _turn(
        self,
        part: int,
        time: int | None,
        change: Callable[[Settings], Settings],
        tell_all: bool = False,
    ) -> None:
        """Apply change to the part and post what it altered: one change at a time."""
        part = _part(part)
        with self._turning:
            old = self._settings[part]
            new = self._settings[part] = change(old)
            time = self._now() if time is None else time
            self._turns += 1
            if tell_all or (old.embedding, old.knobs) != (new.embedding, new.knobs):
                embedding = new.effective(self._book.knobs)
                self._post(events.Timbre(time, part, embedding, self._turns))
            if tell_all or (old.level_db, old.pan) != (new.level_db, new.pan):
                self._post(events.Level(time, part, new.level_db, new.pan, self._turns))
            # An engine that has just started is not bent.
            if old.bend != new.bend or (tell_all and new.bend):
                self._post(events.Bend(time, part, new.bend, self._turns))

    def _loaded(self, name: str) -> Settings:
        """Settings as they are right after choosing a patch."""
        names = self._book.names
        if name not in names:
            raise ValueError(f"patch: no {name!r} in this bank; it has: {', '.join(names)}")
        patch = self._book.patch(name)
        following = names[(names.index(name) + 1) % len(names)]
        knobs = MappingProxyType({knob: patch.knobs.get(knob, 0.5) for knob in self._book.knobs})
        return Settings(name, following, patch.embedding, knobs, patch.gain_db, patch.pan)


def _part(part: int) -> int:
    return whole("part", part, events.PARTS[0], events.PARTS[-1])


def _coordinate(i: int, value: float) -> float:
    return number(f"timbre coordinate {i}", value, -COORDINATE, COORDINATE)
