"""A user's own patches of a bank, in a folder outside it: saved, deleted, renamed, and all undone.

What is deleted or overwritten stays beside the others as NAME.yaml~ until another of that name is.
A file that cannot be read is skipped and named; it spoils no other. The names of favourites, the
bank's patches among them, stand in .favourites.yaml.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import yaml

from common.checks import brief, listed
from common.documents import MOST_BYTES, read_document
from common.files import read_file, remove_partials, write_whole
from common.patch import Patch, check_name
from synth.bank.patch_file import load_patch, save_patch

FAVOURITES = ".favourites.yaml"
Listing = tuple[tuple[str, int, int], ...]
MOST_UNDONE = 100
"""Steps that can be undone."""


class OwnPatches:
    """Patches in a folder, which need not exist before the first is saved. One thread at a time.

    embedding_size, knobs: of the bank. patches: by name; never changed in place. problems: why
    files were skipped when the folder was read last, one line each. favourites: names, also of
    patches that are gone. Methods that raise ValueError,
    in one line, have changed nothing.
    """

    def __init__(self, folder: Path, embedding_size: int, knobs: Collection[str]) -> None:
        self.folder = folder
        self.patches: Mapping[str, Patch] = {}
        self.problems: list[str] = []
        self.favourites: frozenset[str] = frozenset()
        self._seen: Listing = ()
        self._looked: Listing = ()
        self._embedding_size, self._knobs = embedding_size, knobs
        self._steps: list[dict[str, bytes | None]] = []
        """What stood in the files that each step changed, None where there was none."""
        self.read()

    def read(self) -> None:
        """Read the folder again, whatever has been put into it or taken out."""
        patches, self.problems = {}, []
        self._seen = self._looked = self._listing()
        self.favourites = self._read_favourites()
        for path in sorted(self.folder.glob("*.yaml")):
            if path.name.startswith("."):
                continue
            try:
                patches[path.stem] = load_patch(path, self._embedding_size, self._knobs)
            except (ValueError, OSError) as error:
                self.problems.append(str(error))
        self.patches = patches

    @property
    def stale(self) -> bool:
        """Whether others have changed the folder since it was read, and are done: call it again and
        again, some time apart."""
        listing = self._listing()
        settled, self._looked = listing == self._looked, listing
        return settled and listing != self._seen

    def favour(self, name: str, on: bool) -> None:
        """Make a name a favourite, or no longer."""
        names = self.favourites | {name} if on else self.favourites - {name}
        self._make_folder()
        try:
            write_whole(self.folder / FAVOURITES, yaml.safe_dump(sorted(names), allow_unicode=True))
        except OSError as error:
            raise ValueError(str(error)) from None
        self.favourites = names

    def save(self, patch: Patch, overwrite: bool) -> None:
        """Write a patch, which must be one that fits the bank."""
        check_name(patch.name)
        before = self._content(patch.name)
        if before is not None and not overwrite:
            raise ValueError(f"patch {patch.name!r} exists; save under another name")
        self._make_folder()
        self._back_up(patch.name)
        save_patch(self.folder, patch, overwrite)
        self._done({patch.name: before})

    def delete(self, name: str) -> None:
        """Take a patch out of the folder."""
        before = self._content(self._own(name))
        self._back_up(name)
        self._put(name, None)
        self._done({name: before})

    def rename(self, name: str, new: str) -> None:
        """Give a patch another name, which must be free."""
        check_name(new)
        step = {self._own(name): self._content(name), new: self._content(new)}
        if step[new] is not None:
            raise ValueError(f"patch {new!r} exists; take another name")
        save_patch(self.folder, replace(self.patches[name], name=new), overwrite=False)
        self._put(name, None)
        self._done(step)
        if name in self.favourites:
            self.favour(name, False)
            self.favour(new, True)

    def undo(self) -> list[str]:
        """Undo the last save, deletion or renaming of this run: the names that it was about."""
        if not self._steps:
            raise ValueError("nothing to undo")
        step = self._steps[-1]
        self._make_folder()
        for name, content in step.items():
            self._put(name, content)
        self._steps.pop()
        self.read()
        return list(step)

    def _listing(self) -> Listing:
        """The files of patches as they are now: names, times of change, sizes."""
        found = []
        with suppress(OSError):  # there is no folder yet, or a file has just gone
            for entry in os.scandir(self.folder):
                if entry.name.endswith(".yaml") and not entry.name.startswith("."):
                    status = entry.stat()
                    found.append((entry.name, status.st_mtime_ns, status.st_size))
        return tuple(sorted(found))

    def _read_favourites(self) -> frozenset[str]:
        path = self.folder / FAVOURITES
        if not path.exists():
            return frozenset()
        try:
            return frozenset(read_document(path, tuple[str, ...]))
        except ValueError as error:
            self.problems.append(str(error))
            return self.favourites

    def _own(self, name: str) -> str:
        """The name of one of these patches; ValueError for any other."""
        if name not in self.patches:
            known = listed(self.patches)
            raise ValueError(f"patch {brief(name)} is not one of your own; they are: {known}")
        return name

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.yaml"

    def _content(self, name: str) -> bytes | None:
        try:
            return read_file(self._path(name), MOST_BYTES)
        except FileNotFoundError:
            return None

    def _put(self, name: str, content: bytes | None) -> None:
        path = self._path(name)
        try:
            if content is None:
                path.unlink(missing_ok=True)
            else:
                write_whole(path, content)
        except OSError as error:
            raise ValueError(f"{path}: cannot be changed: {error.strerror or error}") from None

    def _back_up(self, name: str) -> None:
        content = self._content(name)
        if content is not None:
            path = self._path(name)
            try:
                write_whole(path.with_name(f"{path.name}~"), content)
            except OSError as error:
                raise ValueError(str(error)) from None

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"{self.folder}: cannot be made: {error.strerror}") from None
        remove_partials(self.folder)

    def _done(self, step: dict[str, bytes | None]) -> None:
        self._steps = [*self._steps[-MOST_UNDONE + 1 :], step]
        self.read()
