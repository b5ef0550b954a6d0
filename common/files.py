"""Files that appear whole or not at all.

The new content is written beside the old file under a random name that nobody can have planted,
brought to the disk, and renamed over the old one. Whatever stops the program, a reader finds the
old file or the new one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

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
    if not path.is_file():
        raise ValueError(f"{path}: expected a file, got a folder, pipe or device")
    if path.stat().st_size > most_bytes:
        size, most = (n / 2**20 for n in (path.stat().st_size, most_bytes))
        raise ValueError(f"{path}: expected at most {most:g} MiB, got {size:.1f} MiB")


def remove_partials(folder: Path) -> None:
    """Remove what a killed program left unfinished in a folder."""
    for partial in folder.glob(f".*{PARTIAL}"):
        with suppress(OSError):
            partial.unlink()


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
