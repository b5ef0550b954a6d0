"""A user's own patches of a bank, in a folder outside it: saved, deleted, renamed, and all undone.

What is deleted or overwritten stays beside the others as NAME.yaml~ until another of that name is.
A file that cannot be read is skipped and named; it spoils no other. The names of favourites, the
bank's patches among them, stand in .favourites.yaml.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from common.checks import brief, listed
from common.documents import MOST_BYTES, read_document, read_yaml
from common.files import back_up, put_content, read_file, remove_partials, write_whole
from common.patch import Patch, check_name
from synth.bank.patch_file import patch_of, save_patch

FAVOURITES = ".favourites.yaml"
INDEX = ".index.json"
"""What many files hold, with their stamps: it is read ten times as fast as they are."""
MOST_INDEX = 64 * 2**20
Stamp = tuple[int, int, int]
"""Of a file: when it was changed, its size, and its number on the disk, which a new one under an
old name does not have."""
MANY = 500
"""Files from which on there is an index, and from which on they are looked at one by one only every
`EVERY` looks, unless the folder itself says that one has come, gone or been replaced."""
EVERY = 10
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
        self._files: dict[str, tuple[Stamp, Patch | str]] = {}
        """Of each file that was read, by name: its stamp then, and its patch or why it has none."""
        self._looked: dict[str, Stamp] = {}
        self._folder_stamp = 0
        self._looks = 0
        self._embedding_size, self._knobs = embedding_size, knobs
        self._steps: list[dict[str, bytes | None]] = []
        """What stood in the files that each step changed, None where there was none."""
        remove_partials(folder)
        self.read()

    def read(self) -> None:
        """Read the folder again, whatever has been put into it or taken out.

        Only files that have changed since they were read are read again.
        """
        self._looked = self._listing()
        index = self._read_index() if len(self._looked) > MANY and not self._files else {}
        contents: dict[str, tuple[Stamp, Any]] = {}
        files = {}
        for name, stamp in sorted(self._looked.items()):
            known = self._files.get(name)
            if known is None or known[0] != stamp:
                kept = index.get(name)
                if kept is None or kept[0] != stamp:
                    kept = contents[name] = stamp, self._content_of(name)
                known = stamp, self._patch_of(name, kept[1])
            files[name] = known
        self._files = files
        self._gather()
        self.favourites = self._read_favourites()
        if len(contents) > MANY:
            self._write_index(index | contents)

    def _content_of(self, name: str) -> Any:
        """What a file holds, or the ValueError that says why it cannot be read."""
        try:
            return read_yaml(self.folder / name)
        except (ValueError, OSError) as error:
            return ValueError(str(error))

    def _patch_of(self, name: str, content: Any) -> Patch | str:
        """The patch of a file that holds this, or why it has none."""
        if isinstance(content, ValueError):
            return str(content)
        try:
            return patch_of(self.folder / name, content, self._embedding_size, self._knobs)
        except ValueError as error:
            return str(error)

    def _read_index(self) -> dict[str, tuple[Stamp, Any]]:
        """What was known of files, by name; it is checked as if it were just read from them."""
        try:
            known = json.loads(read_file(self.folder / INDEX, MOST_INDEX))
            return {
                name: ((when, size, at), told) for name, (when, size, at, told) in known.items()
            }
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return {}  # there is none, or it is no index

    def _write_index(self, contents: Mapping[str, tuple[Stamp, Any]]) -> None:
        known = {
            name: (*stamp, content)
            for name, (stamp, content) in contents.items()
            if name in self._looked and not isinstance(content, ValueError)
        }
        with suppress(OSError, ValueError, TypeError):  # it only saves time
            write_whole(self.folder / INDEX, json.dumps(known, default=str))

    def _gather(self) -> None:
        found = [one for _, one in self._files.values()]
        self.patches = {one.name: one for one in found if isinstance(one, Patch)}
        self.problems = [one for one in found if isinstance(one, str)]

    @property
    def stale(self) -> bool:
        """Whether others have changed the folder since it was read, and are done: call it again and
        again, some time apart."""
        self._looks += 1
        if len(self._looked) > MANY and self._looks % EVERY and not self._folder_has_changed():
            return False
        listing = self._listing()
        settled, self._looked = listing == self._looked, listing
        return settled and listing != {name: stamp for name, (stamp, _) in self._files.items()}

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
        back_up(self._path(patch.name), MOST_BYTES)
        save_patch(self.folder, patch, overwrite)
        self._done({patch.name: before})

    def delete(self, name: str) -> None:
        """Take a patch out of the folder."""
        before = self._content(self._own(name))
        back_up(self._path(name), MOST_BYTES)
        put_content(self._path(name), None)
        self._done({name: before})

    def rename(self, name: str, new: str) -> None:
        """Give a patch another name, which must be free."""
        check_name(new)
        step = {self._own(name): self._content(name), new: self._content(new)}
        if step[new] is not None:
            raise ValueError(f"patch {new!r} exists; take another name")
        save_patch(self.folder, replace(self.patches[name], name=new), overwrite=False)
        put_content(self._path(name), None)
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
            put_content(self._path(name), content)
        self._steps.pop()
        self.read()
        return list(step)

    def _listing(self) -> dict[str, Stamp]:
        """The files of patches as they are now."""
        found = {}
        self._folder_stamp = self._stamp_of_folder()
        with suppress(OSError):  # there is no folder yet, or a file has just gone
            for entry in os.scandir(self.folder):
                if entry.name.endswith(".yaml") and not entry.name.startswith("."):
                    found[entry.name] = _stamp(entry.stat())
        return found

    def _folder_has_changed(self) -> bool:
        """Whether files have come or gone since they were listed, or may not have settled yet."""
        unread = self._looked.keys() != self._files.keys()
        return unread or self._stamp_of_folder() != self._folder_stamp

    def _stamp_of_folder(self) -> int:
        try:
            return self.folder.stat().st_mtime_ns
        except OSError:
            return 0

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

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"{self.folder}: cannot be made: {error.strerror}") from None

    def _done(self, step: dict[str, bytes | None]) -> None:
        """Take in a step that has just been done: only its files are read again."""
        self._steps = [*self._steps[-MOST_UNDONE + 1 :], step]
        for name in step:
            path = self._path(name)
            try:
                stamp = _stamp(path.stat())
            except FileNotFoundError:
                self._files.pop(path.name, None)
                self._looked.pop(path.name, None)
            else:
                content = self._content_of(path.name)
                self._files[path.name] = stamp, self._patch_of(path.name, content)
                self._looked[path.name] = stamp
        self._gather()


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_size, status.st_ino
