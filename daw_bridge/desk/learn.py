"""Which controller turns which knob: learnt by moving it, and kept in a file.

21: brightness
22: timbre/0

timbre/0 is a coordinate of the embedding, over what the bank's patches span. The file may also be
written by hand; comments in it are lost when something is learnt.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import yaml

from common.checks import whole

TAKEN = {0, 6, 32, 38, 64, 66, 67, *range(96, 102), *range(120, 128)}
"""Controllers that keep their meaning: bank select, data entry, pedals, parameters, modes."""


class MidiMap:
    """Controllers bound to knobs, on every channel. Any thread may ask and learn.

    path: its file, which need not be there yet; None keeps nothing. knows: whether the bank has
    such a knob; a file may name others, which then do nothing. told: where a line goes that
    says what has been learnt. Raises ValueError, in one line, for a file that is none.
    """

    def __init__(
        self, path: Path | None, knows: Callable[[str], bool], told: Callable[[str], object] = print
    ) -> None:
        self._path, self._knows, self._told = path, knows, told
        self._changing = threading.Lock()
        self._awaited: str | None = None
        self._seen: dict[int, float] = {}
        """Where controllers stood that were heard since a knob is awaited."""
        self._bound = read_map(path) if path else {}

    @property
    def bound(self) -> Mapping[int, str]:
        """Controller -> knob; a snapshot."""
        return dict(sorted(self._bound.items()))

    def learn(self, knob: str | None) -> None:
        """Bind the next free controller that moves; None calls it off. ValueError for a knob that
        there is not.

        A controller moves when it comes with a second value: a DAW that starts to play sends
        each once, to say where they stand.
        """
        if knob is not None:
            self._check(knob)
        with self._changing:
            self._awaited, self._seen = knob, {}

    def bind(self, controller: int, knob: str) -> None:
        """Bind a controller, or ValueError; it no longer means what MIDI says."""
        self._check(knob)
        if whole("controller", controller, 0, 127) in TAKEN:
            free = ", ".join(_spans(set(range(128)) - TAKEN))
            raise ValueError(f"controller: {controller} keeps its meaning; free are {free}")
        with self._changing:
            self._keep({**self._known(), int(controller): knob})

    def forget(self, controller: int) -> None:
        """Give a controller back its meaning. ValueError if it was not bound."""
        controller = whole("controller", controller, 0, 127)
        with self._changing:
            known = self._known()
            if controller not in known:
                bound = ", ".join(map(str, sorted(known))) or "none"
                raise ValueError(f"controller: {controller} is not bound; bound are: {bound}")
            self._keep({c: knob for c, knob in known.items() if c != controller})

    def turned(self, controller: int, value: float) -> str | None:
        """The knob that a controller turns, which has just come with a value 0..127, if any.

        Learns it if one is awaited. Never raises: what cannot be kept is told.
        """
        knob = self._awaited_by(controller, value)
        if knob is not None:
            try:
                self.bind(controller, knob)
                told = f"controller {controller} turns {knob}"
            except ValueError as error:
                told = f"controller {controller} was not learnt: {error}"
            with suppress(OSError, ValueError):  # a terminal that is gone
                self._told(told)
        knob = self._bound.get(controller)
        return knob if knob is not None and self._knows(knob) else None

    def _awaited_by(self, controller: int, value: float) -> str | None:
        """The knob that waits, if this controller has moved; nobody else gets it then."""
        if self._awaited is None or controller in TAKEN:
            return None
        with self._changing:
            if self._seen.setdefault(controller, value) == value:
                return None
            knob, self._awaited = self._awaited, None
            return knob

    def _check(self, knob: str) -> None:
        if not isinstance(knob, str) or not self._knows(knob):
            raise ValueError(f"knob: no {knob!r} in this bank")

    def _known(self) -> dict[int, str]:
        """What is bound; another server may have learnt too, and have kept it in the same file."""
        return read_map(self._path) if self._path else self._bound

    def _keep(self, bound: dict[int, str]) -> None:
        """Have this bound from now on, on disk first."""
        if self._path:
            _write(self._path, bound)
        # A new dictionary, so that a reader never sees one change under it.
        self._bound = bound


def read_map(path: Path) -> dict[int, str]:
    """Controller -> knob, as a file says; empty if there is none. ValueError in one line."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from None
    except Exception as error:  # PyYAML lets many kinds escape where a tag belies its value
        raise ValueError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must be a mapping, controller: knob")
    for controller, knob in content.items():
        try:
            if whole("controller", controller, 0, 127) in TAKEN:
                raise ValueError(f"controller: {controller} keeps its meaning")
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if not isinstance(knob, str):
            raise ValueError(f"{path}: {controller} is {knob!r:.60}, but must be a knob's name")
    return {int(controller): knob for controller, knob in content.items()}


def _write(path: Path, bound: Mapping[int, str]) -> None:
    """Write the file whole beside the old one, and rename it over that."""
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            yaml.safe_dump(dict(sorted(bound.items())), file, sort_keys=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            partial.unlink()


def _spans(numbers: set[int]) -> list[str]:
    """Runs of numbers in words.

    >>> _spans({1, 2, 3, 5})
    ['1-3', '5']
    """
    starts = sorted(n for n in numbers if n - 1 not in numbers)
    ends = sorted(n for n in numbers if n + 1 not in numbers)
    return [str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]
