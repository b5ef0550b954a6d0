"""Where compiled code is kept from one start to the next, also where nothing may be written.

Numba keeps code until the file of the function itself changes. What that function calls, and the
constants that it reads, are compiled into it, and may lie in another file: after an update, half of
the code could be of the old edition, and what it plays is noise at full scale. So each edition of
all compiled files, and of what they import, has a folder of its own.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

CODE = Path(__file__).resolve().parents[1]
KEEPERS = ("NUMBA_CACHE_DIR", "TRITON_CACHE_DIR")
"""What names a folder to the two compilers."""
PACKAGES = ("common", "synth", "trainer")
"""Where compiled functions are."""
IMPORTS = re.compile(rb"^ *from ((?:common|synth|trainer)[\w.]*) import", re.MULTILINE)
"""Imports of our own modules: all are written like that."""
NAME = "melstream-"
"""Folders of editions begin with it."""
EDITIONS = 4
"""That are kept, the last ones that were used: some 10 MB each."""


@functools.cache
def provide_caches() -> str:
    """See that compiled code is kept in this edition's folder, before anything is compiled.

    That is beside the code or in the user's folder of caches, or where NUMBA_CACHE_DIR says.
    Returns "" where it can be kept, else a line for the user; then it lies in a folder that is
    removed at the end. Raises OSError where nothing at all can be written.
    """
    given = os.environ.get(KEEPERS[0])
    # Here, since nobody else needs it.
    import platformdirs

    own = Path(platformdirs.user_cache_dir("numba", appauthor=False))
    places = [Path(given).absolute()] if given else [CODE / "synth" / "__pycache__", own]
    name = NAME + edition(CODE)
    for place in places:
        # A program that we start has been given our folder.
        folder = place if place.name == name else place / name
        if place.is_absolute() and can_write(folder):
            _keep_in(folder)
            return ""
    temporary = _new_folder()
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    for keeper in KEEPERS:
        os.environ.setdefault(keeper, temporary)
    _keep_in(Path(temporary))
    looked = " nor ".join(map(str, places if given else (CODE, own)))
    return (
        f"compiled code cannot be kept, since {'' if given else 'neither '}{looked} "
        f"can{'not' if given else ''} be written: each start takes about a minute "
        f"(set {KEEPERS[0]} to a folder that can be)"
    )


def edition(code: Path) -> str:
    """Names what the files say that compiled functions are made of, and only these."""
    texts = {path: path.read_bytes() for name in PACKAGES for path in (code / name).rglob("*.py")}
    taken = [path for path, text in texts.items() if b"numba" in text]
    for path in taken:  # it grows meanwhile: what they import, and what that imports
        for module in IMPORTS.findall(texts[path]):
            place = code.joinpath(*module.decode().split("."))
            for other in (place.with_suffix(".py"), place / "__init__.py"):
                if other in texts and other not in taken:
                    taken.append(other)
    told = hashlib.sha256()
    for path in sorted(taken):
        told.update(str(path.relative_to(code)).encode() + b"\0" + texts[path])
    return told.hexdigest()[:12]


def can_write(path: Path) -> bool:
    """Whether a file or folder can be written, or made where it does not exist yet."""
    if path.is_file():
        return os.access(path, os.W_OK)
    first = next(place for place in (path, *path.absolute().parents) if place.exists())
    return first.is_dir() and os.access(first, os.W_OK | os.X_OK)


def _keep_in(folder: Path) -> None:
    """Let Numba keep its code there, and let go of old editions beside it."""
    os.environ[KEEPERS[0]] = str(folder)
    if "numba" in sys.modules:  # it has read the environment already
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    if not folder.name.startswith(NAME):
        return
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    others = [other for other in folder.parent.glob(f"{NAME}*") if other != folder]
    for other in sorted(others, key=_last_used)[: -(EDITIONS - 1)]:
        shutil.rmtree(other, ignore_errors=True)


def _last_used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # somebody else has let go of it
        return 0.0


def _new_folder() -> str:
    problem: OSError | None = None
    for parent in (None, "/dev/shm"):
        try:
            return tempfile.mkdtemp(prefix="code-", dir=parent)
        except OSError as error:
            problem = error
    raise OSError(
        f"no folder can be written, not even a temporary one ({problem}): "
        f"set {KEEPERS[0]} or TMPDIR to one that can be"
    )
