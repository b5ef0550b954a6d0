"""Where a user's own files lie, as the system wants it."""

from __future__ import annotations

from pathlib import Path

NAME = "melstream"


def user_file(name: str) -> Path:
    """The path of a file of the user's settings, which need not exist.

    It lies in the system's folder for settings, such as ~/.config/melstream. A file that an
    earlier version left in ~/.melstream is used where it lies. Raises ValueError when there
    is no home folder.
    """
    # Here and not above: nobody who names a file of their own needs it.
    import platformdirs

    try:
        earlier = Path.home() / f".{NAME}" / name
    except RuntimeError:
        raise ValueError("there is no home folder") from None
    if earlier.exists():
        return earlier
    return platformdirs.user_config_path(NAME, appauthor=False) / name


def user_patches(bank: str) -> Path:
    """The folder of the user's patches of a bank, by its name; it need not exist.

    It lies in the system's folder for data, such as ~/.local/share/melstream/patches. One in
    ~/.melstream/patches is used where it lies. Raises ValueError when there is no home folder.
    """
    return _user_data("patches", bank)


def user_desks(bank: str) -> Path:
    """The folder of the user's snapshots of the desk, likewise."""
    return _user_data("desks", bank)


def _user_data(kind: str, bank: str) -> Path:
    import platformdirs

    try:
        earlier = Path.home() / f".{NAME}" / kind / bank
    except RuntimeError:
        raise ValueError("there is no home folder") from None
    if earlier.exists():
        return earlier
    return platformdirs.user_data_path(NAME, appauthor=False) / kind / bank
