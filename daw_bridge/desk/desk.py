"""The knobs of sixteen parts: each part has a patch, a timbre, a level and a bend.

Each change posts one `Timbre`, `Level` or `Bend` that carries the whole setting, so that the engine
sees only embeddings, decibels and semitones. A change that is scheduled for later counts here at
once: what is sent after it includes it, even if it is sent for an earlier time.

Numbers must be in range: those from outside have been checked (daw_bridge/commands), and MIDI
cannot say others. But coordinates may be any: those beyond the reach of the bank are moved to its
edge, because far away from what was trained a sound may be of any loudness. Names of patches are
checked here, because patches are saved while we play.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from common.checks import brief, listed
from common.patch import ALL_KEYS
from common.window import PARTS
from daw_bridge.desk.binding import knobs_of
from daw_bridge.desk.learn import MidiMap
from daw_bridge.desk.patch_book import PatchBook
from daw_bridge.desk.programs import family_of, nearest
from daw_bridge.desk.settings import BEND, Embedding, Range, Settings, Tuning, decibels
from daw_bridge.desk.snapshots import KeptPart, Snapshots
from daw_bridge.desk.zones import MANAGER_BEND, MEMBER_BEND, Zones
from daw_bridge.events import PEDALS, Bend, Event, Level, Pedal, Timbre

MARGIN = 0.25
"""How far timbres reach beyond what the bank was trained on, as a share of what that spans."""

ROUNDING = 1e-6
"""Files of patches round coordinates: so little beyond the reach is not worth a word."""

_log = logging.getLogger(__name__)


class Desk:
    """The knobs of all parts; any thread may turn them.

    book: the bank; post: where events go, in the order of the changes; now: the time in samples
    for changes without one; midi_map: the file of learnt controllers, None if they are not to be
    kept; snapshots: the folder of snapshots, likewise. Parts start on the first patch of the book;
    `announce` tells the engine so. A method that raises ValueError, in one line, has changed
    nothing. reach: the range of each coordinate; patches beyond it are logged when the desk is
    made.
    """

    def __init__(
        self,
        book: PatchBook,
        post: Callable[[Event], object],
        now: Callable[[], int],
        midi_map: Path | None = None,
        snapshots: Path | None = None,
    ) -> None:
        self.book = book
        self.zones = Zones()
        self.learnt = MidiMap(midi_map, self._has_knob)
        self.snapshots = Snapshots(snapshots)
        self.reach = tuple(map(_wider, book.span))
        self._post = post
        self._now = now
        self._turning = threading.Lock()
        self._saving = threading.Lock()
        for name in book.names:
            self._log_if_beyond(name)
        first = self.fresh(book.names[0])
        self._settings = {part: first for part in PARTS}
        self._replaced: set[int] = set()
        """Programs that another patch has been taken for."""
        self._master_db = 0.0
        self._tuning = Tuning()
        """What MIDI's master messages say of all parts."""
        self._soloing = False
        """Whether any part is soloed: then the others are silent."""
        self._serial = 0

    @property
    def names(self) -> list[str]:
        """The patches of the bank, in its order."""
        return list(self.book.names)

    def settings(self, part: int) -> Settings:
        """The knobs of a part as they are now; later changes do not alter the answer."""
        return self._settings[part]

    def parts(self) -> Mapping[int, Settings]:
        """The knobs of all parts as they are now."""
        return dict(self._settings)

    def recall(self, parts: Mapping[int, KeptPart], time: int | None = None) -> None:
        """Let parts stand as in a snapshot. A patch that is gone is called by the first one's name.

        ValueError if a part has not as many coordinates as the bank, or what it holds of a deep
        patch is none; then nothing has changed.
        """
        size = self.book.embedding_size
        for part, kept in parts.items():
            if len(kept.embedding) != size:
                raise ValueError(
                    f"snapshot: part {part}: embedding: expected {size} numbers, "
                    f"got {len(kept.embedding)}"
                )
            try:
                self.book.amounts(kept.deep, ())
            except ValueError as error:
                raise ValueError(f"snapshot: part {part}: deep: {error}") from None
        for part, kept in parts.items():
            stood = replace(kept, embedding=self._within(kept.embedding))
            self.turn(part, time, stood.over, post_all=True, alone=True)
        self.settle()

    def effective(self, part: int) -> Embedding:
        """The embedding that the part plays: its base, moved by its knobs, within reach."""
        return self._moved(self.settings(part))

    def keys(self, part: int) -> tuple[int, int]:
        """The lowest and the highest key that sound on a part: those of its patch, or after a morph
        of the nearer one."""
        s = self._settings[part]
        name = s.towards if (s.morph or 0) > 0.5 else s.patch
        try:
            return self.book.patch(name).keys
        except ValueError:  # it has been deleted since
            return ALL_KEYS

    def fresh(self, name: str) -> Settings:
        """Settings as they are right after a patch is chosen. ValueError if there is no such."""
        names = list(self.book.names)
        if name not in names:
            raise ValueError(f"patch: no {brief(name)} in this bank; it has: {listed(names)}")
        patch = self.book.patch(name)
        following = names[(names.index(name) + 1) % len(names)]
        knobs = MappingProxyType({knob: patch.knobs.get(knob, 0.5) for knob in self.book.knobs})
        base = self._within(patch.embedding)
        deep = {patch.deep: 1.0} if patch.deep else {}
        gain_db, pan = patch.gain_db, patch.pan
        return Settings(name, following, base, knobs, gain_db, pan, base, knobs, deep=deep)

    def announce(self, time: int | None = None) -> None:
        """Post the timbre, level and bend of every part, e.g. to an engine that has just started.

        time: samples, like everywhere here; None is now.
        """
        for part in PARTS:
            self.turn(part, time, lambda s: s, post_all=True, alone=True)

    def timbre(self, part: int, embedding: Embedding, time: int | None = None) -> Embedding:
        """Move the base; the knobs stay. Returns where it is: within reach.

        embedding: as long as the bank's.
        """
        base = self._within(embedding)
        self.turn(part, time, lambda s: s.with_base(base))
        return base

    def coordinate(self, part: int, i: int, value: float, time: int | None = None) -> float:
        """Move the base along coordinate i, counted from 0. Returns where it is: within reach."""
        value = _clipped(value, self.reach[i])
        self.turn(part, time, lambda s: s.with_coordinate(i, value))
        return value

    def knob(self, part: int, name: str, value: float, time: int | None = None) -> None:
        """Turn one of the bank's knobs to 0..1; at 0.5 it does not move the base."""
        self.turn(part, time, lambda s: s.with_knob(name, value))

    def morph(self, part: int, a: str, b: str, amount: float, time: int | None = None) -> None:
        """Mix patches a (amount 0) and b (amount 1): base, knobs and gain, linearly."""
        start, end = self.fresh(a), self.fresh(b)
        self.turn(part, time, lambda s: s.between(start, end, amount))

    def patch(self, part: int, name: str, time: int | None = None) -> None:
        """Take all of a patch: base, knobs, gain and pan; what belongs to the song stays.

        Notes that sound keep the patch before.
        """
        fresh = self.fresh(name)

        self.turn(part, time, lambda s: s.with_sound_of(fresh), post_all=True)

    def step(self, part: int, by: int, time: int | None = None) -> str:
        """Take the patch some steps on from the part's own, from the last to the first."""
        names = list(self.book.names)
        now = self._settings[part].patch
        name = names[(names.index(now) + by) % len(names)] if now in names else names[0]
        self.patch(part, name, time)
        return name

    def program(self, part: int, program: int, time: int | None = None) -> None:
        """Take the patch of a General MIDI program 0..127, or the nearest; that is logged once.

        ValueError if nothing is near it.
        """
        programs = self.book.programs
        taken = nearest(program, programs)
        if taken is None:
            known = ", ".join(map(str, sorted(programs))) or "none"
            raise ValueError(f"program: no patch for {program}; this bank has: {known}")
        if taken != program and program not in self._replaced:
            self._replaced.add(program)
            _log.warning(
                "no patch for program %d (%s): %s is the nearest",
                *(program, family_of(program), programs[taken]),
            )
        self.patch(part, programs[taken], time)

    def gain_db(self, part: int, gain_db: float, time: int | None = None) -> None:
        """Set the gain over the patch as trained, -120..24 dB."""
        self.turn(part, time, lambda s: replace(s, gain_db=gain_db))

    def pan(self, part: int, pan: float, time: int | None = None) -> None:
        """Set the place: -1 left, 0 middle, 1 right."""
        self.turn(part, time, lambda s: replace(s, pan=pan))

    def mute(self, part: int, muted: bool, time: int | None = None) -> None:
        """Silence a part, or let it be heard again. Its notes go on meanwhile."""
        self.turn(part, time, lambda s: replace(s, muted=muted))

    def solo(self, part: int, soloed: bool, time: int | None = None) -> None:
        """While any parts are soloed, only they are heard, as far as they are not muted."""
        self.turn(part, time, lambda s: replace(s, soloed=soloed))

    def bend(self, part: int, semitones: float, time: int | None = None) -> None:
        """Bend every key of the part, -48..48 semitones."""
        self.bend_by(part, lambda s: replace(s, bend=semitones, way=0.0), time)

    def bend_by(
        self, part: int, change: Callable[[Settings], Settings], time: int | None = None
    ) -> None:
        """Change what bends a part, e.g. its wheel; the manager of a zone bends its members, too.

        What else the change does is done to this part alone.
        """
        self.turn(part, time, change, alone=True)
        semitones = self._settings[part].bend
        for member in self.zones.members(part):
            self.turn(member, time, lambda s: replace(s, zone_bend=semitones), alone=True)

    def open_zone(self, manager: int, count: int, time: int | None = None) -> None:
        """Give part 1 or 16 an MPE zone of 0..15 members, which then sound as it does."""
        before = set(self.zones.members(manager)) | set(self.zones.others(manager))
        self.zones.open(manager, count)
        now = self.zones.members(manager)
        for part in sorted(before - set(now) - set(self.zones.others(manager))):
            self.turn(part, time, lambda s: s.unbent(MANAGER_BEND), alone=True)
            # The manager's pedals no longer reach it, so nobody could lift them there.
            for pedal in PEDALS:
                self._post(Pedal(self._at(time), part, pedal, False))
        self.turn(manager, time, lambda s: s.unbent(MANAGER_BEND), alone=True)
        sound = self._settings[manager]

        def joined(s: Settings) -> Settings:
            s = replace(s, volume=sound.volume, expression=sound.expression)
            return s.with_sound_of(sound).unbent(MEMBER_BEND)

        for part in now:
            self.turn(part, time, joined, post_all=True, alone=True)

    def master_volume(self, amount: float, time: int | None = None) -> float:
        """Set the level of all parts, 0..1, on the curve of controller 7; the decibels it is."""
        with self._turning:
            self._master_db = decibels(amount)
            for part, s in self._settings.items():
                self._serial += 1
                level = Level(
                    self._at(time), part, self._heard_db(s), s.pan, self._serial, s.chosen
                )
                self._post(level)
            return self._master_db

    def master_tuning(self, change: Callable[[Tuning], Tuning], time: int | None = None) -> None:
        """Tune all parts."""
        with self._turning:
            old, self._tuning = self._tuning, change(self._tuning)
            if self._tuning != old:
                for part, s in self._settings.items():
                    self._serial += 1
                    self._post(Bend(self._at(time), part, self._bent(s), self._serial))

    def reset_master(self, time: int | None = None) -> None:
        """All parts as loud as they are, and in tune."""
        if self._master_db:
            self.master_volume(1.0, time)
        self.master_tuning(lambda _: Tuning(), time)

    def reached(self, part: int) -> tuple[int, ...]:
        """The parts that a change of this part reaches: itself, and the members of its zone."""
        return (part, *self.zones.members(part))

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
                keys=self.keys(part),
                deep=s.deep,
                overwrite=overwrite,
            )
        fresh = self.fresh(saved.name)
        with self._turning:
            now = self._settings[part]
            s = replace(
                now,
                patch=fresh.patch,
                towards=fresh.towards,
                home=fresh.home,
                home_knobs=fresh.home_knobs,
                deep=fresh.deep,
                morph=None,
                wheel=0,
            )
            self._settings[part] = s
        return s

    def delete(self, name: str) -> None:
        """Delete a patch of the user's. Parts that play it keep their sound, under another name.

        ValueError, from the book, if it is none.
        """
        with self._saving:
            self.book.delete(name)
            self.settle()

    def rename(self, name: str, new: str) -> None:
        """Rename a patch of the user's, also where parts play it. ValueError, from the book."""
        with self._saving:
            self.book.rename(name, new)
            self.settle({name: new})

    def undo(self) -> list[str]:
        """Undo the last save, deletion or renaming; the names it was about. ValueError if none."""
        with self._saving:
            names = self.book.undo()
            self.settle()
        return names

    def reload(self) -> list[str]:
        """Read the user's patches again; why files were skipped, one line each."""
        with self._saving:
            problems = self.book.reload()
            self.settle()
        return problems

    def turn(
        self,
        part: int,
        time: int | None,
        change: Callable[[Settings], Settings],
        post_all: bool = False,
        alone: bool = False,
    ) -> None:
        """Apply a change to a part and post what it altered (or, with post_all, everything).

        The members of the part's MPE zone take the change, too, unless it is for the part alone.
        Changes are applied one at a time. change must be quick and must not turn knobs itself.
        """
        with self._turning:
            time = self._at(time)
            for each in (part,) if alone else self.reached(part):
                # A member of a zone is turned for one note, unless its manager is.
                held = each == part and self.zones.manager(part) is not None
                self._turn(each, time, change, post_all, held)

    def _turn(
        self,
        part: int,
        time: int,
        change: Callable[[Settings], Settings],
        post_all: bool,
        held: bool,
    ) -> None:
        old = self._settings[part]
        new = self._settings[part] = change(old)
        self._serial += 1
        if post_all or (old.embedding, old.knobs, old.deep) != (new.embedding, new.knobs, new.deep):
            self._post(Timbre(time, part, self._played(new), self._serial, new.chosen, held))
        was, soloing = self._heard_db(old), self._soloing
        if old.soloed != new.soloed:
            self._soloing = any(s.soloed for s in self._settings.values())
        now = self._heard_db(new)
        if post_all or (was, old.pan) != (now, new.pan):
            self._post(Level(time, part, now, new.pan, self._serial, new.chosen))
        if self._soloing != soloing:
            self._post_others(part, time)
        # An engine that has just started is not bent.
        bent = self._bent(new)
        if bent != self._bent(old) or (post_all and bent):
            held = held and old.zone_bend == new.zone_bend
            self._post(Bend(time, part, bent, self._serial, held))

    def _post_others(self, part: int, time: int) -> None:
        """Post the levels of all other parts, after the first solo has begun or the last ended."""
        for other, s in self._settings.items():
            if other != part and not (s.muted or s.soloed):
                self._serial += 1
                self._post(Level(time, other, self._heard_db(s), s.pan, self._serial, s.chosen))

    def _heard_db(self, settings: Settings) -> float:
        """The level of a part, with mute, solo and master volume: -inf..24 dB."""
        silent = settings.muted or (self._soloing and not settings.soloed)
        return -math.inf if silent else settings.level_db + self._master_db

    def _bent(self, settings: Settings) -> float:
        """How far a part is bent, with the tuning of all parts: -48..48 semitones."""
        return _clipped(settings.bent + self._tuning.together, (-BEND, BEND))

    def _at(self, time: int | None) -> int:
        return self._now() if time is None else time

    def settle(self, renamed: Mapping[str, str] = MappingProxyType({})) -> None:
        """Let no part stand on a patch that is gone: it takes the first one's name, or the new one.

        Its sound stays as it is.
        """
        names = list(self.book.names)

        def settled(name: str) -> str:
            name = renamed.get(name, name)
            return name if name in names else names[0]

        with self._turning:
            for part, s in self._settings.items():
                patch, towards = settled(s.patch), settled(s.towards)
                if (patch, towards) != (s.patch, s.towards):
                    self._settings[part] = replace(s, patch=patch, towards=towards, morph=None)

    def _within(self, embedding: Embedding) -> Embedding:
        """The nearest embedding within reach. A tilt behind the coordinates stays as it is."""
        size = len(self.reach)
        return (*map(_clipped, embedding[:size], self.reach), *embedding[size:])

    def _moved(self, settings: Settings) -> Embedding:
        return self._within(settings.effective(self.book.knobs))

    def _played(self, settings: Settings) -> Embedding:
        """The network's input: the embedding that is played, knobs and deep patches behind it."""
        others = {deep for s in self._settings.values() for deep in s.deep}
        return self._moved(settings) + self.book.amounts(settings.deep, others)

    def _log_if_beyond(self, name: str) -> None:
        patch = self.book.patch(name).embedding
        for i, (value, (low, high)) in enumerate(zip(patch, self.reach, strict=True)):
            taken = _clipped(value, (low, high))
            if abs(value - taken) > ROUNDING:
                _log.warning(
                    "patch %s: embedding: %d: %g is out of reach, and taken as %g (%g to %g)",
                    *(name, i, value, taken, low, high),
                )

    def _has_knob(self, knob: str) -> bool:
        """Whether a controller could turn this: a knob, or a coordinate as timbre/<i>."""
        return knob in knobs_of(self.book.knobs, self.book.embedding_size)


def _wider(span: Range) -> Range:
    """A span with its margins."""
    low, high = span
    margin = MARGIN * (high - low)
    return low - margin, high + margin


def _clipped(value: float, within: Range) -> float:
    return min(max(value, within[0]), within[1])
