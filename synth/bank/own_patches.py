"""A user's own patches of a bank, in a folder outside it: saved, deleted, renamed, and all undone.

What is deleted or overwritten stays beside the others as NAME.yaml~ until another of that name is.
A file that cannot be read is skipped and named; it spoils no other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from common.documents import MOST_BYTES
from common.files import read_file, remove_partials, write_whole
from common.patch import Patch, check_name
from synth.bank.patch_file import load_patch, save_patch

MOST_UNDONE = 100
"""Steps that can be undone."""


class OwnPatches:
    """Patches in a folder, which need not exist before the first is saved. One thread at a time.

    embedding_size, knobs: of the bank. patches: by name; never changed in place. problems: why
    files were skipped when the folder was read last, one line each. Methods that raise ValueError,
    in one line, have changed nothing.
    """

    def __init__(self, folder: Path, embedding_size: int, knobs: Collection[str]) -> None:
        self.folder = folder
        self.patches: Mapping[str, Patch] = {}
        self.problems: list[str] = []
        self._embedding_size, self._knobs = embedding_size, knobs
        self._steps: list[dict[str, bytes | None]] = []
        """What stood in the files that each step changed, None where there was none."""
        self.read()

    def read(self) -> None:
        """Read the folder again, whatever has been put into it or taken out."""
        patches, self.problems = {}, []
        for path in sorted(self.folder.glob("*.yaml")):
            if path.name.startswith("."):
                continue
            try:
                patches[path.stem] = load_patch(path, self._embedding_size, self._knobs)
            except (ValueError, OSError) as error:
                self.problems.append(str(error))
        self.patches = patches

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

    def _own(self, name: str) -> str:
        """The name of one of these patches; ValueError for any other."""
        if name not in self.patches:
            known = ", ".join(self.patches) or "none"
            raise ValueError(f"patch {name!r} is not one of your own; they are: {known}")
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
