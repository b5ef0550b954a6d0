"""The knobs of sixteen parts: each part has a patch, a timbre, a level and a bend.

Each change posts one `Timbre`, `Level` or `Bend` that carries the whole setting, so that the engine
sees only embeddings, decibels and semitones. A change that is scheduled for later counts here at
once: what is sent after it includes it, even if it is sent for an earlier time.

Numbers must be in range: those from outside have been checked (daw_bridge/commands), and MIDI
cannot say others. Names of patches are checked here, because patches are saved while we play.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from common.checks import brief
from common.window import PARTS
from daw_bridge.desk.learn import MidiMap, knobs_of
from daw_bridge.desk.patch_book import PatchBook
from daw_bridge.desk.settings import Embedding, Settings
from daw_bridge.events import Bend, Event, Level, Timbre


class Desk:
    """The knobs of all parts; any thread may turn them.

    book: the bank; post: where events go, in the order of the changes; now: the time in samples
    for changes without one; midi_map: the file of learnt controllers, None if they are not to be
    kept. Parts start on the first patch of the book; `announce` tells the engine so. A method that
    raises ValueError, in one line, has changed nothing.
    """

    def __init__(
        self,
        book: PatchBook,
        post: Callable[[Event], object],
        now: Callable[[], int],
        midi_map: Path | None = None,
    ) -> None:
        self.book = book
        self.learnt = MidiMap(midi_map, self._has_knob)
        self._post = post
        self._now = now
        self._turning = threading.Lock()
        self._saving = threading.Lock()
        first = self.fresh(book.names[0])
        self._settings = {part: first for part in PARTS}
        self._serial = 0

    @property
    def names(self) -> list[str]:
        """The patches of the bank, in its order."""
        return list(self.book.names)

    def settings(self, part: int) -> Settings:
        """The knobs of a part as they are now; later changes do not alter the answer."""
        return self._settings[part]

    def effective(self, part: int) -> Embedding:
        """The embedding that the part plays: its base, moved by its knobs."""
        return self.settings(part).effective(self.book.knobs)

    def fresh(self, name: str) -> Settings:
        """Settings as they are right after a patch is chosen. ValueError if there is no such."""
        names = list(self.book.names)
        if name not in names:
            known = ", ".join(names)
            raise ValueError(f"patch: no {brief(name)} in this bank; it has: {known}")
        patch = self.book.patch(name)
        following = names[(names.index(name) + 1) % len(names)]
        knobs = MappingProxyType({knob: patch.knobs.get(knob, 0.5) for knob in self.book.knobs})
        return Settings(name, following, patch.embedding, knobs, patch.gain_db, patch.pan)

    def announce(self, time: int | None = None) -> None:
        """Post the timbre, level and bend of every part, e.g. to an engine that has just started.

        time: samples, like everywhere here; None is now.
        """
        for part in PARTS:
            self.turn(part, time, lambda s: s, post_all=True)

    def timbre(self, part: int, embedding: Embedding, time: int | None = None) -> None:
        """Move the base; the knobs stay. embedding: as long as the bank's, each within +-100."""
        self.turn(part, time, lambda s: s.with_base(embedding))

    def coordinate(self, part: int, i: int, value: float, time: int | None = None) -> None:
        """Move the base along coordinate i, counted from 0, to a value within +-100."""
        self.turn(part, time, lambda s: s.with_coordinate(i, value))

    def span(self, i: int) -> tuple[float, float]:
        """The least and the greatest value of coordinate i among the patches of the bank."""
        values = [self.book.patch(name).embedding[i] for name in self.book.names]
        return min(values), max(values)

    def knob(self, part: int, name: str, value: float, time: int | None = None) -> None:
        """Turn one of the bank's knobs to 0..1; at 0.5 it does not move the base."""
        self.turn(part, time, lambda s: s.with_knob(name, value))

    def morph(self, part: int, a: str, b: str, amount: float, time: int | None = None) -> None:
        """Mix patches a (amount 0) and b (amount 1): base, knobs and gain, linearly."""
        start, end = self.fresh(a), self.fresh(b)
        self.turn(part, time, lambda s: s.between(start, end, amount))

    def patch(self, part: int, name: str, time: int | None = None) -> None:
        """Take all of a patch: base, knobs, gain and pan; volume, expression and bend stay."""
        fresh = self.fresh(name)

        def taken(s: Settings) -> Settings:
            return replace(
                fresh,
                volume=s.volume,
                expression=s.expression,
                bend=s.bend,
                bend_range=s.bend_range,
                parameter=s.parameter,
            )

        self.turn(part, time, taken, post_all=True)

    def program(self, part: int, program: int, time: int | None = None) -> None:
        """Take the patch of a General MIDI program 0..127. ValueError if the bank has none."""
        name = self.book.programs.get(program)
        if name is None:
            known = ", ".join(map(str, sorted(self.book.programs))) or "none"
            raise ValueError(f"program: no patch for {program}; this bank has: {known}")
        self.patch(part, name, time)

    def gain_db(self, part: int, gain_db: float, time: int | None = None) -> None:
        """Set the gain over the patch as trained, -120..24 dB."""
        self.turn(part, time, lambda s: replace(s, gain_db=gain_db))

    def pan(self, part: int, pan: float, time: int | None = None) -> None:
        """Set the place: -1 left, 0 middle, 1 right."""
        self.turn(part, time, lambda s: replace(s, pan=pan))

    def bend(self, part: int, semitones: float, time: int | None = None) -> None:
        """Bend every key of the part, -24..24 semitones."""
        self.turn(part, time, lambda s: replace(s, bend=semitones))

    def save(self, part: int, name: str, overwrite: bool = False) -> Settings:
        """Save the base, knobs, gain and pan of a part as a patch, which the part then plays.

        Volume and expression belong to the song, not to the patch. The book raises ValueError for
        a bad name, or a taken one unless overwrite is true.
        """
        with self._saving:  # writing a file is slow: knobs can be turned meanwhile
            s = self._settings[part]
            saved = self.book.save(
                name,
                embedding=s.embedding,
                knobs=s.knobs,
                gain_db=s.gain_db,
                pan=s.pan,
                overwrite=overwrite,
            )
        fresh = self.fresh(saved.name)
        with self._turning:
            now = self._settings[part]
            s = replace(now, patch=fresh.patch, towards=fresh.towards, morph=None, wheel=0)
            self._settings[part] = s
        return s

    def turn(
        self,
        part: int,
        time: int | None,
        change: Callable[[Settings], Settings],
        post_all: bool = False,
    ) -> None:
        """Apply a change to a part and post what it altered (or, with post_all, everything).

        Changes are applied one at a time. change must be quick and must not turn knobs itself.
        """
        with self._turning:
            old = self._settings[part]
            new = self._settings[part] = change(old)
            time = self._now() if time is None else time
            self._serial += 1
            if post_all or (old.embedding, old.knobs) != (new.embedding, new.knobs):
                self._post(Timbre(time, part, new.effective(self.book.knobs), self._serial))
            if post_all or (old.level_db, old.pan) != (new.level_db, new.pan):
                self._post(Level(time, part, new.level_db, new.pan, self._serial))
            # An engine that has just started is not bent.
            if old.bend != new.bend or (post_all and new.bend):
                self._post(Bend(time, part, new.bend, self._serial))

    def _has_knob(self, knob: str) -> bool:
        """Whether a controller could turn this: a knob, or a coordinate as timbre/<i>."""
        return knob in knobs_of(self.book.knobs, self.book.embedding_size)
