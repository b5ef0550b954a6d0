"""Which melstream this is."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The program's name and version."""
    try:
        return f"melstream {metadata.version('melstream')}"
    except metadata.PackageNotFoundError:
        return "melstream (not installed)"
