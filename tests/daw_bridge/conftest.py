"""A bank of three patches, and a desk over it, for whatever talks to a desk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from common.patch import Patch
from daw_bridge.desk.desk import Desk
from daw_bridge.events import Event
from daw_bridge.inbox import Inbox


class MemoryBook:
    """A bank without files: the rules of saving, kept in a dict."""

    embedding_size = 2
    span = ((-8.0, 8.0), (-8.0, 8.0))
    axes = ("brightness", "sustain")
    places: Mapping[str, tuple[float, float]] = {}

    def __init__(self) -> None:
        self.knobs = {"brightness": (1.0, 0.0), "breath": (0.0, -2.0)}
        self.programs = {0: "piano", 19: "organ"}
        self._patches = {
            "piano": Patch("piano", (0.0, 1.0), {}),
            "organ": Patch("organ", (2.0, -1.0), {"breath": 1.0}, gain_db=-6.0, pan=0.5),
            "harp": Patch("harp", (-1.0, 0.0), {}),
        }

    @property
    def names(self) -> list[str]:
        return list(self._patches)

    @property
    def own_names(self) -> list[str]:
        return self.names

    def patch(self, name: str) -> Patch:
        return self._patches[name]

    def add(self, patch: Patch) -> None:
        """As if its file had been there from the start."""
        self._patches[patch.name] = patch

    def save(self, name, *, embedding, knobs, gain_db, pan, keys, deep, overwrite) -> Patch:
        if not name.replace("-", "").isalnum():
            raise ValueError(f"patch name {name!r}: letters, digits and '-' only")
        if name in self._patches and not overwrite:
            raise ValueError(f"patch name {name!r}: taken; pass overwrite to replace it")
        self._before = dict(self._patches)
        told = "+".join(f"{amount:g} {one}" for one, amount in deep.items())
        new = Patch(name, embedding, dict(knobs), gain_db, pan, keys=keys, deep=told)
        self._patches[name] = new
        return new

    def amounts(self, deep, others) -> tuple[float, ...]:
        return tuple(deep.values())

    edition = None
    favourites: frozenset[str] = frozenset()
    stale = False

    def duplicate(self, name, new) -> None:
        self.add(replace(self._patches[name], name=new))

    def import_text(self, name, text) -> None:
        self.add(Patch(name, tuple(map(float, text.split())), {}))

    def export_text(self, name) -> str:
        return " ".join(map(str, self._patches[name].embedding))

    def describe(self, name, author, tags) -> None:
        self.add(replace(self._patches[name], author=author, tags=tags))

    def favour(self, name, on) -> None:
        self.favourites = self.favourites | {name} if on else self.favourites - {name}

    def delete(self, name) -> None:
        if name not in self._patches:
            raise ValueError(f"patch {name!r} is not one of your own")
        self._before = dict(self._patches)
        del self._patches[name]

    def rename(self, name, new) -> None:
        if new in self._patches:
            raise ValueError(f"patch {new!r} exists")
        patch = replace(self._patches[name], name=new)
        self.delete(name)
        self._patches[new] = patch

    def undo(self) -> list[str]:
        changed = [n for n in {**self._before, **self._patches} if n not in self._patches]
        self._patches = self._before
        return changed

    def reload(self) -> list[str]:
        return ["spoilt.yaml: not a patch"]


@pytest.fixture
def book() -> MemoryBook:
    return MemoryBook()


@pytest.fixture
def posted() -> list[Event]:
    """What the desk of this test has posted, in order."""
    return []


@pytest.fixture
def desk(book, posted) -> Desk:
    return Desk(book, posted.append, now=lambda: 777)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()
