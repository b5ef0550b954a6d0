"""What the desk needs of a bank: names, patches, axes, knobs. A bank fits by having these."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from common.patch import Patch
from daw_bridge.desk.settings import Embedding, Range


class PatchBook(Protocol):
    """The patches and knobs of a bank. Any thread may use it."""

    @property
    def names(self) -> Sequence[str]:
        """The patches, in order; at least one."""
        ...

    @property
    def edition(self) -> object:
        """The same object for as long as no patch comes, goes or changes, nor a favourite."""
        ...

    @property
    def own_names(self) -> Collection[str]:
        """The patches that are the user's own, and can be deleted."""
        ...

    @property
    def favourites(self) -> Collection[str]:
        """The names of the user's favourites."""
        ...

    @property
    def stale(self) -> bool:
        """Whether files of the user's have been put in or taken out since they were read."""
        ...

    @property
    def embedding_size(self) -> int:
        """How many coordinates an embedding has."""
        ...

    @property
    def span(self) -> Sequence[Range]:
        """Of each coordinate, the least and the greatest value that it was trained on."""
        ...

    @property
    def axes(self) -> Sequence[str]:
        """A name for each coordinate; empty if they have none."""
        ...

    @property
    def places(self) -> Mapping[str, tuple[float, float]]:
        """Patch -> x and y on a map of a space of many coordinates; empty if there is none."""
        ...

    @property
    def knobs(self) -> Mapping[str, Embedding]:
        """Name of a knob -> its direction in the embedding space."""
        ...

    @property
    def programs(self) -> Mapping[int, str]:
        """General MIDI program 0..127 -> name of a patch."""
        ...

    def patch(self, name: str) -> Patch:
        """The patch of that name; the desk asks only for those in `names`."""
        ...

    def save(
        self,
        name: str,
        *,
        embedding: Embedding,
        knobs: Mapping[str, float],
        gain_db: float,
        pan: float,
        overwrite: bool,
        keys: tuple[int, int],
        deep: Mapping[str, float],
    ) -> Patch:
        """Save a patch, made of deep ones by their amounts. ValueError for a bad name, or a taken
        one unless overwrite is true."""
        ...

    def amounts(self, deep: Mapping[str, float], others: Collection[str]) -> Embedding:
        """What stands behind embedding and knobs to play deep patches, `Patch.deep` -> amount;
        others: those that are played elsewhere."""
        ...

    def duplicate(self, name: str, new: str) -> None:
        """Copy a patch to one of the user's. ValueError for a bad or taken name."""
        ...

    def import_text(self, name: str, text: str) -> None:
        """Take the content of a patch file. ValueError for a bad one, or a bad or taken name."""
        ...

    def export_text(self, name: str) -> str:
        """The content of a patch's file. ValueError if there is none."""
        ...

    def describe(self, name: str, author: str, tags: tuple[str, ...]) -> None:
        """State author and tags of a patch of the user's. ValueError if it is none."""
        ...

    def favour(self, name: str, on: bool) -> None:
        """Make a patch a favourite, or no longer. ValueError if there is none."""
        ...

    def delete(self, name: str) -> None:
        """Delete a patch of the user's. ValueError if it is none."""
        ...

    def rename(self, name: str, new: str) -> None:
        """Rename a patch of the user's. ValueError if it is none, or new is bad or taken."""
        ...

    def undo(self) -> list[str]:
        """Undo the last save, deletion or renaming; the names it was about. ValueError if none."""
        ...

    def reload(self) -> list[str]:
        """Read the user's patches again; why files were skipped, one line each."""
        ...
