"""Snapshots of the whole desk, each in a file, and the desk as it stood when the server ended.

parts:
  1:
    patch: grand-piano
    embedding: [0.31, -0.84]
    ...

What is deleted or overwritten stays as NAME.yaml~ until another of that name is. Saves and
deletions since the start can be undone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import yaml
from annotated_types import Interval, Len
from pydantic import ConfigDict, Strict, with_config

from common.checks import brief, listed
from common.documents import MOST_BYTES, fit, parsed_yaml, read_document
from common.files import back_up, put_content, write_whole
from common.patch import COORDINATE, GAIN_DB, LONGEST_DEEP, check_name
from common.window import PARTS
from daw_bridge.desk.settings import Settings

LAST = ".last"
"""The desk as it stood; no snapshot's name begins with a dot."""
MOST_UNDONE = 100
"""Steps that can be undone."""
LOOK_S = 5.0
"""How often it is looked whether the desk has come to rest somewhere else."""

Coordinate = Annotated[float, Strict(), Interval(ge=-COORDINATE, le=COORDINATE)]
Turn = Annotated[float, Strict(), Interval(ge=0, le=1)]
Deep = Annotated[str, Strict(), Len(max_length=LONGEST_DEEP)]
Controller = Annotated[int, Strict(), Interval(ge=0, le=127)]

_log = logging.getLogger(__name__)


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPart:
    """What a snapshot holds of a part. Names as in `Settings`; wheels are at rest."""

    patch: str
    towards: str
    embedding: tuple[Coordinate, ...]
    knobs: dict[str, Turn] = field(default_factory=dict)
    morph: Turn | None = None
    gain_db: Annotated[float, Strict(), Interval(ge=GAIN_DB[0], le=GAIN_DB[1])] = 0.0
    pan: Annotated[float, Strict(), Interval(ge=-1, le=1)] = 0.0
    volume: Controller = 100
    expression: Controller = 127
    bend_range: Annotated[float, Strict(), Interval(ge=0, le=127.99)] = 2.0
    muted: Annotated[bool, Strict()] = False
    soloed: Annotated[bool, Strict()] = False
    deep: Annotated[dict[Deep, Turn], Len(max_length=2)] = field(default_factory=dict)

    def over(self, now: Settings) -> Settings:
        """The settings that a part of these settings takes; knobs that now lacks are left out."""
        knobs = MappingProxyType({name: self.knobs.get(name, 0.5) for name in now.knobs})
        return Settings(
            patch=self.patch,
            towards=self.towards,
            embedding=self.embedding,
            knobs=knobs,
            gain_db=self.gain_db,
            pan=self.pan,
            home=self.embedding,
            home_knobs=knobs,
            morph=self.morph,
            volume=self.volume,
            expression=self.expression,
            bend_range=self.bend_range,
            muted=self.muted,
            soloed=self.soloed,
            chosen=now.chosen,
            deep=self.deep,
        )


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A desk as a file holds it. parts: those that are not named stay as they are."""

    parts: dict[Annotated[int, Strict(), Interval(ge=PARTS[0], le=PARTS[-1])], KeptPart]


class Snapshots:
    """Snapshots in a folder, which need not exist before the first is saved. Any thread may ask.

    folder: None where none are kept: then everything but `names` raises ValueError. Methods that
    raise ValueError, in one line, have changed nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._changing = threading.Lock()
        self._names = self._listed()
        self._steps: list[tuple[str, bytes | None]] = []
        """Of each save and deletion: the name, and what stood in its file before, if anything."""

    @property
    def names(self) -> tuple[str, ...]:
        """All snapshots, by name; the same object until one comes or goes."""
        return self._names

    def save(self, name: str, parts: Mapping[int, Settings], overwrite: bool) -> None:
        """Save a desk. ValueError for a bad name, or a taken one unless overwrite is true."""
        check_name(name)
        with self._changing:
            before = None
            if name in self._listed():
                if not overwrite:
                    raise ValueError(f"snapshot {name!r} exists; save under another name")
                before = back_up(self._path(name), MOST_BYTES)
            self._write(name, parts)
            self._done(name, before)

    def read(self, name: str) -> Mapping[int, KeptPart]:
        """The parts of a snapshot. ValueError if there is none, or it cannot be read."""
        return read_document(self._path(self._known(name)), Snapshot).parts

    def delete(self, name: str) -> None:
        """Delete a snapshot. ValueError if there is none."""
        with self._changing:
            before = back_up(self._path(self._known(name)), MOST_BYTES)
            put_content(self._path(name), None)
            self._done(name, before)

    def undo(self) -> str:
        """Undo the last save or deletion of this run; the name. ValueError if there is none."""
        with self._changing:
            if not self._steps:
                raise ValueError("nothing to undo")
            name, before = self._steps[-1]
            put_content(self._path(name), before)
            del self._steps[-1]
            self._names = self._listed()
        return name

    def last(self) -> Mapping[int, KeptPart]:
        """The desk as it stood; nothing if that is not known. ValueError if it cannot be read."""
        if self._folder is None or not self._path(LAST).exists():
            return {}
        return read_document(self._path(LAST), Snapshot).parts

    def back_up_last(self) -> None:
        """Keep the file of the desk as it stood, whatever it holds, under a name with a ~.

        Then another desk can be saved. ValueError if that cannot be done.
        """
        back_up(self._path(LAST), MOST_BYTES)

    def save_last(self, parts: Mapping[int, Settings]) -> None:
        """Save the desk as it stands. ValueError if it cannot be."""
        with self._changing:
            self._write(LAST, parts)

    def _listed(self) -> tuple[str, ...]:
        if self._folder is None:
            return ()
        names = []
        for path in sorted(self._folder.glob("*.yaml")):
            with suppress(ValueError):
                check_name(path.stem)
                names.append(path.stem)
        return tuple(names)

    def _known(self, name: str) -> str:
        """A name that is in the folder: what others send never becomes a path."""
        names = self._listed()
        if name not in names:
            raise ValueError(f"no snapshot {brief(name)}; there are: {listed(names)}")
        return name

    def _path(self, name: str) -> Path:
        if self._folder is None:
            raise ValueError("no snapshots are kept (--desk none)")
        return self._folder / f"{name}.yaml"

    def _done(self, name: str, before: bytes | None) -> None:
        """Take in what has just been saved or deleted."""
        self._steps = [*self._steps[-MOST_UNDONE + 1 :], (name, before)]
        self._names = self._listed()

    def _write(self, name: str, parts: Mapping[int, Settings]) -> None:
        path = self._path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text_of(parts))
        except OSError as error:
            raise ValueError(str(error)) from None


class Keeper:
    """Keeps the desk as it stands, in a thread of its own, from construction to `close`.

    It is saved when it has come to rest, and at the end: no automation wears out a disk.
    parts: gives the settings of all parts as they are now.
    """

    def __init__(self, snapshots: Snapshots, parts: Callable[[], Mapping[int, Settings]]) -> None:
        self._snapshots, self._parts = snapshots, parts
        self._saved = parts()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="desk", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Save the desk a last time, if it has changed."""
        self._closing.set()
        self._thread.join()
        self._save(self._parts())

    def _watch(self) -> None:
        before = self._saved
        while not self._closing.wait(LOOK_S):
            now = self._parts()
            if now == before:
                self._save(now)
            before = now

    def _save(self, now: Mapping[int, Settings]) -> None:
        if now == self._saved:
            return
        self._saved = now
        try:
            self._snapshots.save_last(now)
        except ValueError as error:
            _log.warning("the desk as it stands was not saved: %s", error)


def text_of(parts: Mapping[int, Settings]) -> str:
    """A snapshot as its file has it."""
    content = {"parts": {part: _kept(settings) for part, settings in parts.items()}}
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None)


def parts_of(name: str, text: str) -> Mapping[int, KeptPart]:
    """The parts of a snapshot that is no file. ValueError, in one line that begins with name."""
    return fit(name, parsed_yaml(name, text), Snapshot).parts


def _kept(settings: Settings) -> dict[str, object]:
    """What stands in a file of a part."""
    part = KeptPart(
        patch=settings.patch,
        towards=settings.towards,
        embedding=tuple(round(x, 6) for x in settings.embedding),
        knobs={name: round(value, 6) for name, value in settings.knobs.items()},
        morph=settings.morph,
        gain_db=round(settings.gain_db, 3),
        pan=round(settings.pan, 4),
        volume=settings.volume,
        expression=settings.expression,
        bend_range=settings.bend_range,
        muted=settings.muted,
        soloed=settings.soloed,
        deep={text: round(amount, 6) for text, amount in settings.deep.items()},
    )
    told = {**asdict(part), "embedding": list(part.embedding)}
    return told if settings.deep else {k: v for k, v in told.items() if k != "deep"}
