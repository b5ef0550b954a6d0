"""Where compiled code is kept from one start to the next, also where nothing may be written.

Numba keeps it beside the code or else in the user's folder of caches, and refuses to compile where
it may write to neither.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

CODE = Path(__file__).resolve().parents[1]
KEEPERS = ("NUMBA_CACHE_DIR", "TRITON_CACHE_DIR")
"""What names a folder to the two compilers."""


def provide_caches() -> str:
    """See that compiled code can be put somewhere, before Numba is imported.

    Returns "" where it can be kept, else a line for the user; then it lies in a folder that is
    removed at the end. Raises OSError where nothing at all can be written.
    """
    if os.environ.get(KEEPERS[0]) or can_write(CODE / "synth" / "__pycache__"):
        return ""
    # Here, since nobody else needs it.
    import platformdirs

    own = Path(platformdirs.user_cache_dir("numba", appauthor=False))
    if own.is_absolute() and can_write(own):
        return ""
    folder = _new_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in KEEPERS:
        os.environ.setdefault(name, folder)
    return (
        f"compiled code cannot be kept, since neither {CODE} nor {own} can be written: "
        f"each start takes about a minute (set {KEEPERS[0]} to a folder that can be)"
    )


def can_write(path: Path) -> bool:
    """Whether a file or folder can be written, or made where it does not exist yet."""
    if path.is_file():
        return os.access(path, os.W_OK)
    first = next(place for place in (path, *path.absolute().parents) if place.exists())
    return first.is_dir() and os.access(first, os.W_OK | os.X_OK)


def _new_folder() -> str:
    problem: OSError | None = None
    for parent in (None, "/dev/shm"):
        try:
            return tempfile.mkdtemp(prefix="melstream-", dir=parent)
        except OSError as error:
            problem = error
    raise OSError(
        f"no folder can be written, not even a temporary one ({problem}): "
        f"set {KEEPERS[0]} or TMPDIR to one that can be"
    )
