"""Files that appear whole or not at all.

The new content is written beside the old file under a random name that nobody can have planted,
brought to the disk, and renamed over the old one. Whatever stops the program, a reader finds the
old file or the new one.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

NO_WAIT = getattr(os, "O_NONBLOCK", 0)
"""Opening a pipe would wait for somebody at its other end."""

PARTIAL = ".part"
"""How the names of unfinished files end; they begin with a dot."""


def write_whole(path: Path, content: bytes | str, overwrite: bool = True) -> None:
    """Write a file; see `whole_file`. Text is written as UTF-8."""
    with whole_file(path, overwrite) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_file(path: Path, overwrite: bool = True) -> Iterator[BinaryIO]:
    """An empty file to write and seek in; when the block ends well it takes the place of path.

    If the block raises, path stays as it was and nothing is left beside it. Raises OSError,
    in one line that names path, when it cannot be written; FileExistsError when overwrite is
    False and path exists, even if it was made just now.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        # Exclusive and following no link: a file planted under that name is not written to.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        flags |= getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(partial, flags, 0o644), "w+b") as file:
            with suppress(OSError):  # some disks know no locks
                _lock(file.fileno())  # no other program sweeps it away meanwhile
            yield file
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            os.replace(partial, path)
        else:
            _claim(partial, path)
        _sync_folder(path.parent)
    except FileExistsError:
        raise FileExistsError(f"{path}: exists") from None
    except OSError as error:
        raise OSError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        # A full disk must not stay full of halves.
        with suppress(OSError):
            partial.unlink()


def check_file(path: Path, most_bytes: int) -> None:
    """Raises ValueError unless path is a file of at most so many bytes.

    A pipe or a device would be read for ever.
    """
    if not path.exists():
        raise ValueError(f"{path}: no such file")
    _check(path, path.stat(), most_bytes)


def read_file(path: Path, most_bytes: int) -> bytes:
    """What a file holds. Raises FileNotFoundError, or ValueError as `check_file` does.

    What is checked is what is read, even if another file takes its name meanwhile.
    """
    try:
        flags = os.O_RDONLY | NO_WAIT | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
        try:
            _check(path, os.fstat(descriptor), most_bytes)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(most_bytes)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from None


def remove_partials(folder: Path) -> None:
    """Remove what killed programs left unfinished in a folder, not what others write just now."""
    for partial in folder.glob(f".*{PARTIAL}"):
        with suppress(OSError):
            descriptor = os.open(partial, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | NO_WAIT)
            try:
                _lock(descriptor)
                partial.unlink()
            finally:
                os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock a file until it is closed. BlockingIOError if another program has."""
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _check(path: Path, found: os.stat_result, most_bytes: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path}: expected a file, got a folder, pipe or device")
    if found.st_size > most_bytes:
        size, most = (n / 2**20 for n in (found.st_size, most_bytes))
        raise ValueError(f"{path}: expected at most {most:g} MiB, got {size:.1f} MiB")


def _claim(partial: Path, path: Path) -> None:
    """Give a file its name. FileExistsError where it is taken, even if it was taken just now."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # a memory stick, most likely: FAT knows no links
        path.open("x").close()
        try:
            os.replace(partial, path)
        except OSError:
            path.unlink()
            raise


def _sync_folder(folder: Path) -> None:
    """Bring a folder's own list of names to the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def put_content(path: Path, content: bytes | None) -> None:
    """Let a file hold this, or be gone for None. ValueError, in one line, where it cannot be."""
    try:
        if content is None:
            path.unlink(missing_ok=True)
        else:
            write_whole(path, content)
    except OSError as error:
        raise ValueError(f"{path}: cannot be changed: {error.strerror or error}") from None


def back_up(path: Path, most: int) -> bytes | None:
    """Keep what a file holds, at most so many bytes, beside it as NAME~. Returns it, None where
    there is no file; ValueError, in one line, where that cannot be done."""
    try:
        if not path.exists():
            return None
        content = read_file(path, most)
        write_whole(path.with_name(f"{path.name}~"), content)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    return content
