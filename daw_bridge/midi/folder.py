"""The MIDI files of a folder."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".mid", ".midi", ".kar", ".rmi")


def find_files(midi: Path) -> list[str]:
    """All MIDI files below a folder, in order. Raises ValueError when there is none."""
    if not midi.is_dir():
        raise ValueError(f"{midi}: no such folder")
    found = (p for p in midi.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    paths = sorted(path.relative_to(midi).as_posix() for path in found)
    if not paths:
        raise ValueError(f"{midi}: no MIDI files ({', '.join(SUFFIXES)}) in it or below")
    return paths
