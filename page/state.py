"""What a page shows of the instrument, as JSON values: first all of it, then what has changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from common.patch import Patch
from common.window import HIGHEST_KEY, LOWEST_KEY, PARTS
from daw_bridge.clock import AudioClock
from daw_bridge.commands.actions import Session
from daw_bridge.desk.settings import Settings
from page.fits import Fits, Fitting
from page.messages import Heard, MessageLog
from page.song import Song, Songs

Json = dict[str, Any]
LEAST_DB = -120.0
"""What stands for silence: JSON has no infinity."""


@dataclass(frozen=True, slots=True)
class About:
    """What does not change while the server runs.

    bank: its folder's name; rate: Hz of the sound; frame_rate: columns a second; mels: bands of a
    column; delay: frames that the sound runs behind the keys; lines: the banner, name -> text;
    device: whether the server itself plays to a device; version: of the server; osc: where it
    listens for OSC, None if it does not.
    """

    bank: str
    rate: int
    frame_rate: float
    mels: int
    delay: int
    lines: Mapping[str, str]
    device: bool
    version: str
    osc: tuple[str, int] | None = None


class Follower:
    """Keeps one page in step: `changes` tells what it has not been told yet.

    songs, clock: the piece that plays, and how far it is; fits: the patch that is fitted. Its
    caller's thread must not be the one that renders.
    """

    def __init__(
        self,
        about: About,
        session: Session,
        log: MessageLog,
        songs: Songs,
        clock: AudioClock,
        fits: Fits,
    ) -> None:
        self._about, self._session, self._log = about, session, log
        self._songs, self._clock, self._fits = songs, clock, fits
        self._desk = session.desk
        self._parts: dict[int, Settings] = {}
        self._edition: object = None
        self._bound: Mapping[int | str, str] | None = None
        self._waiting: str | None = None
        self._logged = 0
        self._desks: tuple[str, ...] | None = None
        self._song: Song | None = None
        self._fit: Fitting | None = None

    def greeting(self) -> Json:
        """What does not change: the server, its bank, and what its timbre space is like."""
        about, desk = self._about, self._desk
        return {
            "hello": {
                "bank": about.bank,
                "version": about.version,
                "rate": about.rate,
                "frameRate": about.frame_rate,
                "mels": about.mels,
                "delay": about.delay,
                "device": about.device,
                "lines": dict(about.lines),
                "keys": [LOWEST_KEY, HIGHEST_KEY],
                "axes": list(desk.book.axes),
                "places": {name: list(place) for name, place in desk.book.places.items()},
                "reach": [list(ends) for ends in desk.reach],
                "knobs": list(desk.book.knobs),
                "directions": {name: list(way) for name, way in desk.book.knobs.items()},
            }
        }

    def changes(self) -> Json:
        """What has changed since the last call: patches, parts, snapshots, MIDI learn and so on."""
        told: Json = {}
        desk = self._desk
        book = desk.book
        edition = book.edition
        if edition is not self._edition:
            own, liked = set(book.own_names), set(book.favourites)
            patches = self._patches_now().items()
            told["patches"] = [_patch(p, n in own, n in liked) for n, p in patches]
            self._edition = edition
        for part in PARTS:
            settings = desk.settings(part)
            if settings is not self._parts.get(part):
                told.setdefault("parts", {})[part] = _part(settings, desk.effective(part))
                self._parts[part] = settings
        bound, waiting = desk.learnt.bound, desk.learnt.waiting
        if (bound, waiting) != (self._bound, self._waiting):
            told["learnt"] = {"bound": dict(bound), "waiting": waiting}
            self._bound, self._waiting = bound, waiting
        if desk.snapshots.names is not self._desks:
            self._desks = desk.snapshots.names
            told["desks"] = list(self._desks)
        if self._songs.playing is not self._song:
            self._song = self._songs.playing
            told["song"] = self._song and _song(self._song, self._clock)
        if self._fits.now is not self._fit:
            self._fit = self._fits.now
            told["fit"] = self._fit and asdict(self._fit)
        if self._log.count != self._logged:
            heard = self._log.after(self._logged)
            told["messages"] = [_message(one) for one in heard]
            self._logged = heard[-1].number
        return told

    def _patches_now(self) -> dict[str, Patch]:
        found = {}
        for name in self._desk.book.names:
            with suppress(ValueError):  # it has been deleted since
                found[name] = self._desk.book.patch(name)
        return found

    def status(self) -> Json:
        """The counters and latency terms of now."""
        return {"status": dict(self._session.status())}


def _patch(patch: Patch, own: bool, favourite: bool) -> Json:
    return {
        "name": patch.name,
        "own": own,
        "favourite": favourite,
        "author": patch.author,
        "tags": list(patch.tags),
        "date": patch.date,
        "embedding": list(patch.embedding),
        "knobs": dict(patch.knobs),
        "gain": patch.gain_db,
        "pan": patch.pan,
        "program": patch.program,
        "keys": list(patch.keys),
    }


def _part(settings: Settings, effective: tuple[float, ...]) -> Json:
    level = settings.level_db
    return {
        "patch": settings.patch,
        "towards": settings.towards,
        "morph": settings.morph,
        "embedding": list(settings.embedding),
        "effective": list(effective),
        "knobs": dict(settings.knobs),
        "gain": settings.gain_db,
        "level": level if math.isfinite(level) else LEAST_DB,
        "pan": settings.pan,
        "bend": settings.bend,
        "muted": settings.muted,
        "soloed": settings.soloed,
    }


def _song(song: Song, clock: AudioClock) -> Json:
    elapsed = (clock.now() - song.start) / clock.rate
    return {"name": song.name, "seconds": song.seconds, "elapsed": elapsed}


def _message(heard: Heard) -> Json:
    return {
        "number": heard.number,
        "at": heard.at,
        "source": heard.source,
        "sender": heard.sender,
        "text": heard.text(),
        "problem": heard.problem,
    }
